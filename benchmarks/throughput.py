"""Layers a second, against a compatible binary: ``python -m benchmarks.throughput --binary PATH``.

Rows: the dataflows KC-P, YR-P, YX-P and X-P on the distinct layers of ResNet50, VGG16 and MobileNetV2,
on 3,072 accelerators, 12 of each number of PEs; random two-level mappings as GAMMA encodes them, on one
accelerator; and KC-P on 1,000 accelerators. No two tuples are alike. Ours is the steady state of
``evaluate_batch`` (every figure, NumPy results) in a process of its own, held to one core or to two; the
binary evaluates one file of many layers in one thread, less what a file of few takes, so that its start
does not count. In turn, in one run. Compilation, the first result and peak memory stand beside it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROWS = ("kc_p", "yr_p", "yx_p", "x_p", "gamma", "kc_p x 1000")
GAMMA_PAIRS = 20_000
MOST = 32
"""Sub-tiles a mapping, on average, that counting cases provides for."""


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", type=Path, help="a binary that takes the reference's flags")
    parser.add_argument(
        "--tuples", type=int, default=200_000, help="tuples a measurement at most (default 200,000)"
    )
    parser.add_argument("--repeats", type=int, default=5, help="measurements, of which the median counts")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS)
    parser.add_argument("--json", type=Path, help="where to write the numbers too")
    parser.add_argument("--read", type=Path, help="numbers written before: draws them, measures nothing")
    parser.add_argument("--picture", type=Path, help="where to draw the rates")
    parser.add_argument("--child", choices=ROWS, help=argparse.SUPPRESS)
    parser.add_argument("--cores", type=int, default=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(_ours(arguments)))
        return
    if arguments.read:
        _draw(json.loads(arguments.read.read_text()), arguments.picture or Path("throughput.png"))
        return
    import jax

    print(
        f"{_processor()}, {os.cpu_count()} cores, jax {jax.__version__}, {jax.default_backend()}, "
        f"{time.strftime('%Y-%m-%d')}; up to {arguments.tuples:,} tuples, median of {arguments.repeats}"
    )
    print(
        f"{'':12s} {'first s':>8s} {'cases':>6s} {'useful':>7s} {'1 core':>10s} {'2 cores':>10s} "
        f"{'float32':>10s} {'GiB':>5s} {'binary':>8s} {'ratio 1':>8s} {'ratio 2':>8s}"
    )
    results = []
    for row in arguments.rows:
        result = _measure(row, arguments)
        results.append(result)
        print(_text(result), flush=True)
    print("tuples (or layers) a second, exact int64 unless float32 (2 cores); first s: from the start of a")
    print("process to its first 1,000 results, nothing cached, less making networks and mappings;")
    print("cases: of iteration, a tuple; useful: of those evaluated; GiB: peak memory of the process")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")
    if arguments.picture:
        _draw(results, arguments.picture)


def _text(result: dict[str, Any]) -> str:
    text = f"{result['row']:12s} {result['first']:8.1f} {result['cases']:6.1f} {result['useful']:7.0%} "
    text += f"{result['one core']:10,.0f} {result['two cores']:10,.0f} {result['float32']:10,.0f} "
    text += f"{result['memory']:5.1f}"
    if "binary" in result:
        ratios = result["one core"] / result["binary"], result["two cores"] / result["binary"]
        text += f" {result['binary']:8,.0f} {ratios[0]:8.0f} {ratios[1]:8.0f}"
    return text


def _measure(row: str, arguments: argparse.Namespace) -> dict[str, Any]:
    two = _child(row, 2, arguments)
    result = {"row": row, "tuples": arguments.tuples, **two, "two cores": two.pop("rate")}
    result.pop("rate")
    if arguments.binary:
        result["binary"] = _binary_rate(row, arguments)
    result["one core"] = _child(row, 1, arguments)["rate"]
    return result


def _child(row: str, cores: int, arguments: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.throughput", "--child", row, "--cores", str(cores)]
    command += ["--tuples", str(arguments.tuples), "--repeats", str(arguments.repeats)]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


def _ours(arguments: argparse.Namespace) -> dict[str, Any]:
    """The rates of one row in this process, which has started just now."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.cores])
    import numpy as np

    import jaxmaestro as jm
    from benchmarks import workloads

    imported = time.perf_counter()
    name = arguments.child.split()[0]
    pairs = workloads.gamma_pairs(GAMMA_PAIRS) if name == "gamma" else workloads.named_pairs(name)
    points = workloads.POINTS
    if name == "gamma":
        points = workloads.ONE_POINT
    elif "1000" in arguments.child:
        points = workloads.MANY_POINTS
    layers, flows = zip(*pairs, strict=True)
    making = time.perf_counter() - imported
    product = jm.encode_pairs(layers, flows, points)
    batch = product.take(np.arange(min(len(product), arguments.tuples)))
    jm.evaluate_batch(batch.take(np.arange(min(1000, len(batch)))))
    first = time.clock_gettime(time.CLOCK_BOOTTIME) - _started() - making
    # Every program is compiled before anything is timed.
    jm.evaluate_batch(batch)
    threads = arguments.cores
    rate = len(batch) / _seconds(lambda: jm.evaluate_batch(batch, threads=threads), arguments.repeats)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    found = {"first": first, "rate": rate, "memory": memory}
    if arguments.cores > 1:
        jm.evaluate_batch(batch, "float32")
        seconds = _seconds(lambda: jm.evaluate_batch(batch, "float32", threads=threads), arguments.repeats)
        found["float32"] = len(batch) / seconds
        found["cases"], found["useful"] = _cases(batch)
    return found


def _cases(batch: Any) -> tuple[float, float]:
    """Iteration cases a tuple over all levels, and their share of the cases that are evaluated."""
    import numpy as np

    from jaxmaestro.equations.cost import analyse
    from jaxmaestro.execution.programs import PLAIN

    some = batch.take(np.random.default_rng(0).permutation(len(batch))[: PLAIN.rows])
    columns = analyse(dataclasses.replace(some, variants=(MOST,) * (some.levels - 1)).rows()).columns
    useful = evaluated = 0
    for level in columns:
        cases = -np.sort(-np.asarray(level.cases))
        useful += int(cases.sum())
        evaluated += int(cases[:: PLAIN.block].sum()) * PLAIN.block
    return useful / len(some), useful / evaluated


def _draw(results: list[dict[str, Any]], path: Path) -> None:
    """A dot a rate, a line a row, on a logarithmic axis."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    kinds = (("binary", "reference, one thread"), ("one core", "one core"), ("two cores", "two cores"))
    rows = range(len(results))
    axes.hlines(
        rows,
        [min(r[k] for k, _ in kinds if k in r) for r in results],
        [max(r[k] for k, _ in kinds if k in r) for r in results],
        color="0.8",
    )
    for (kind, label), color in zip(kinds, ("tab:gray", "tab:blue", "tab:orange"), strict=True):
        known = [(r[kind], row) for row, r in zip(rows, results, strict=True) if kind in r]
        if known:
            axes.plot(*zip(*known, strict=True), "o", label=label, color=color)
    axes.set_xscale("log")
    axes.set_yticks(rows, [r["row"] for r in results])
    axes.invert_yaxis()
    axes.set_xlabel("tuples a second, every figure, exact")
    axes.grid(axis="x", color="0.9")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, 1.14), ncols=3)
    figure.savefig(path, dpi=130)


def _seconds(run: Callable[[], object], repeats: int) -> float:
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def _started() -> float:
    """When this process started, on the clock that counts from boot."""
    ticks = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
    return ticks / os.sysconf("SC_CLK_TCK")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")


def _binary_rate(row: str, arguments: argparse.Namespace) -> float:
    """Layers a second: many layers less few, on one accelerator of 256 PEs."""
    from benchmarks import workloads

    name = row.split()[0]
    few = workloads.gamma_pairs(500) if name == "gamma" else workloads.named_pairs(name)
    many = workloads.gamma_pairs(5000) if name == "gamma" else few * 20
    found = []
    for _ in range(min(arguments.repeats, 3)):
        seconds = _run(arguments.binary, many) - _run(arguments.binary, few)
        found.append(seconds / (len(many) - len(few)))
    return 1 / statistics.median(found)


def _run(binary: Path, pairs: Sequence[Any]) -> float:
    import jaxmaestro as jm
    from jaxmaestro.description import MappedLayer

    with tempfile.TemporaryDirectory() as folder:
        network = jm.Network("throughput", tuple(MappedLayer(*pair) for pair in pairs))
        jm.write_mapping(network, Path(folder) / "t.m")
        command = [str(binary.resolve()), "--Mapping_file=t.m", "--num_pes=256", "--noc_bw_cstr=300"]
        command += ["--noc_hop_latency=1", "--offchip_bw_cstr=50", "--print_res=false"]
        start = time.perf_counter()
        # One core for one thread: the kernel must not move it about.
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start


if __name__ == "__main__":
    main()
