"""How tuples a second depend on the size of what is evaluated: ``python -m benchmarks.scaling``.

Four axes: tuples of a batch or a product; hardware points a pair of layer and mapping; cluster
levels; devices (forced host devices, whose results must be identical). Everything is compiled before
anything is timed. ``tuples`` and ``devices`` take a process a point, so that the peak memory is the
point's own; ``tuples`` compiles in it, the others may take programs from the command's cache.
``--quick``, a smoke test whose figures mean nothing, takes some 20 seconds once its programs are there.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import functools
import hashlib
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import jaxmaestro as jm
from benchmarks.scaling_report import AXES, Point, draw, identical, tables
from benchmarks.spaces import LEVELS, PES, accelerator, bandwidths, of_pairs, random_dataflows, random_layers
from jaxmaestro.cli.cache import use_compilation_cache
from jaxmaestro.execution import programs
from jaxmaestro.results.files import atomic

LARGEST_BATCH = 10**6
CHUNK = 262_144
"""Tuples that evaluate_product has in hand at a time."""


def main() -> None:
    """Measure what is asked for, print the tables, draw the picture."""
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.most < 1000 or arguments.repeats < 1:
        parser.error("--most is 1000 or more, --repeats 1 or more")
    if arguments.point:
        print(json.dumps(measure(json.loads(arguments.point))))
        return
    if arguments.read:
        found = json.loads(arguments.read.read_text())
    else:
        found = {"date": datetime.date.today().isoformat(), "quick": arguments.quick}
        found |= dict.fromkeys(AXES, ())
        for axis in (axis for axis in AXES if axis in arguments.axes):
            points = [_in_child(ask) for ask in asked(axis, arguments)]
            found[axis] = [row for point in points for row in point["rows"]]
            found.setdefault("machine", points[0]["machine"])  # forced devices, the last, are of the CPU
    for line in tables(found):
        print(line)
    if arguments.json:
        with atomic(arguments.json) as path:
            path.write_text(json.dumps(found, indent=1))
    if arguments.picture:
        draw(found, arguments.picture)
    if not identical(found["devices"]):
        raise SystemExit("the devices do not give identical results")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=float, default=1e7, help="tuples of the largest product (1e7)")
    parser.add_argument("--precision", choices=("exact", "float32"), default="exact")
    parser.add_argument("--repeats", type=int, default=3, help="measurements, of which the median counts")
    parser.add_argument("--axes", nargs="+", choices=AXES, default=list(AXES), help="what is varied (all)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it works")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--picture", type=Path, help="file for the picture (PNG)")
    parser.add_argument("--read", type=Path, help="measure nothing: take the numbers of such a file")
    parser.add_argument("--point", help=argparse.SUPPRESS)
    return parser


def asked(axis: str, arguments: argparse.Namespace) -> list[Point]:
    """The points of an axis that want a process each."""
    quick, common = arguments.quick, {"axis": axis, "precision": arguments.precision}
    common |= {"repeats": 1 if quick else arguments.repeats, "cache": quick or axis != "tuples", "env": {}}
    match axis:
        case "tuples":
            sizes = [1000] if quick else [10**n for n in range(3, 12) if 10**n <= arguments.most]
            batches = [size for size in sizes if size <= LARGEST_BATCH]
            paths = [("batch", batches), ("product", sizes)]
            return [common | {"path": path, "tuples": n} for path, each in paths for n in each]
        case "hardware":
            points = [10] if quick else [1, 10, 100, 1000, 10_000]
            return [common | {"points": points, "tuples": 4000 if quick else 10**6}]
        case "levels":
            # A third level takes a program of its own, which takes long to compile.
            return [common | {"levels": [1, 2] if quick else [1, 2, 3], "tuples": 2000 if quick else 10**5}]
        case _:
            sizes = [0, 2] if quick else [0, 1, 2, 4, 8]
            pairs = 500 if quick else 10_000
            flag = "--xla_force_host_platform_device_count="
            env = {n: {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": f"{flag}{max(n, 1)}"} for n in sizes}
            return [
                common | {"devices": n, "pairs": pairs, "shared": not quick, "env": env[n]} for n in sizes
            ]


def _in_child(ask: Point) -> Point:
    """What a process of its own measures."""
    flags = [os.environ.get("XLA_FLAGS"), ask["env"].get("XLA_FLAGS")]
    environment = os.environ | ask["env"] | {"XLA_FLAGS": " ".join(filter(None, flags))}
    command = [sys.executable, "-m", "benchmarks.scaling", "--point", json.dumps(ask)]
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(command, cwd=root, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the process of {ask} ended with status {done.returncode}")
    point: Point = json.loads(done.stdout.splitlines()[-1])
    return point


def measure(ask: Point) -> Point:
    """The rows of one process, and the machine."""
    if ask["cache"]:
        use_compilation_cache()
    import jax

    programs.BRIEF_BATCH = 0  # a short batch is timed as one of many
    kinds = {"tuples": _of_tuples, "hardware": _of_hardware, "levels": _of_levels, "devices": _of_devices}
    rows = kinds[ask["axis"]](ask)
    peak = _resident("VmHWM")
    device = jax.devices()[0]
    machine = {
        "machine": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "jax": jax.__version__,
        "device": device.device_kind if device.platform != "cpu" else "cpu",
        "precision": ask["precision"],
        "dtype": "int64 and float64" if ask["precision"] == "exact" else "float32",
    }
    return {"rows": [row | {"peak_mib": peak} for row in rows], "machine": machine}


def _of_tuples(ask: Point) -> list[Point]:
    """A batch (every figure, NumPy results) or a product (best ten and counts kept) of so many tuples.

    Ten accelerators of as many different numbers of PEs, so that no two tuples share an analysis.
    """
    power = round(np.log10(ask["tuples"])) - 1
    layers, flows = random_layers(10 ** (power // 2)), random_dataflows(10 ** (power - power // 2))
    points = [accelerator(pes) for pes in PES]
    if ask["path"] == "batch":
        batch = jm.encode_product(layers, flows, points)
        return [_evaluated(batch, ask)]
    marks: list[tuple[int, float]] = []
    run = functools.partial(
        jm.evaluate_product,
        precision=ask["precision"],
        reductions=[jm.TopK("edp", 10), jm.Count()],
        chunk=CHUNK,
        progress=lambda done, _, seconds: marks.append((done, seconds)),
    )
    run(layers[: max(1, CHUNK // (len(flows) * len(points)))], flows, points)
    before = _resident("VmRSS")
    results, seconds = [], []
    # A long run shows by itself whether the rate is constant.
    for _ in range(ask["repeats"] if ask["tuples"] <= LARGEST_BATCH else 1):
        marks.clear()
        results.append(run(layers, flows, points))
        seconds.append(results[-1].seconds)
    counts = results[-1].reductions[1]
    return [_row(ask, seconds, counts.sound / counts.seen) | {"before_mib": before, "tenths": tenths(marks)}]


def _of_hardware(ask: Point) -> list[Point]:
    """Pairs drawn from a million, on accelerators that differ in bandwidths and latency alone."""
    rows = []
    for points in ask["points"]:
        pairs = ask["tuples"] // points
        rows.append(_evaluated(of_pairs(pairs, bandwidths(points)), ask | {"points": points}))
    return rows


def _of_levels(ask: Point) -> list[Point]:
    """The same convolutions on accelerators of different numbers of PEs."""
    points = [accelerator(64 + 16 * i) for i in range(100)]
    layers = random_layers(max(1, ask["tuples"] // len(points)))
    batches = {n: jm.encode_product(layers, [LEVELS[n]], points) for n in ask["levels"]}
    return [_evaluated(batch, ask | {"levels": n}) for n, batch in batches.items()]


def _of_devices(ask: Point) -> list[Point]:
    """Pairs on three accelerators, each analysed by itself, and on ten that share an analysis."""
    import jax

    points = [accelerator(pes) for pes in PES[:3]] + (bandwidths(10) if ask["shared"] else [])
    batch = of_pairs(ask["pairs"], points)
    devices = jax.devices() if ask["devices"] else []
    if len(devices) != ask["devices"]:
        raise SystemExit(f"asked for {ask['devices']} devices, JAX has {len(devices)}")
    return [_evaluated(batch, ask, devices=devices)]


def _evaluated(batch: jm.Batch, ask: Point, **options: Any) -> Point:
    """A batch evaluated several times; ``hash`` is of every bit of the costs."""

    def run(part: jm.Batch) -> tuple[float, float, str]:
        start = time.perf_counter()
        costs = jm.evaluate_batch(part, precision=ask["precision"], **options)
        seconds = time.perf_counter() - start
        return seconds, float(costs.sound.mean()), fingerprint(costs)

    run(batch.take(np.arange(min(len(batch), 20_000))))  # takes every program that the whole takes
    before = _resident("VmRSS")
    # Each result is dropped before the next one is made.
    seconds, sound, digests = zip(*(run(batch) for _ in range(ask["repeats"])), strict=True)
    if len(set(digests)) > 1:
        raise SystemExit(f"{ask}: not the same figures every time")
    row = _row(ask | {"tuples": len(batch)}, seconds, sound[0])
    return row | {"before_mib": before, "hash": digests[0]}


def _row(ask: Point, seconds: Sequence[float], sound: float) -> Point:
    kept = {name: value for name, value in ask.items() if name not in ("env", "cache", "precision", "axis")}
    middle = float(np.median(seconds))
    return kept | {"seconds": middle, "rate": ask["tuples"] / middle, "sound": sound}


def fingerprint(costs: jm.Costs) -> str:
    """Twelve hex digits of every field: name, type, shape and bits."""
    digest = hashlib.sha256()
    for field in dataclasses.fields(costs):
        array = np.ascontiguousarray(getattr(costs, field.name))
        digest.update(f"{field.name} {array.dtype} {array.shape}".encode())
        digest.update(array.data)
    return digest.hexdigest()[:12]


def tenths(marks: list[tuple[int, float]]) -> list[float]:
    """Tuples a second in each tenth of a run, from (tuples done, seconds) at chunks; [] for few."""
    if len(marks) < 10:
        return []
    done, seconds = zip((0, 0.0), *marks, strict=True)
    step = done[-1] / 10
    at = np.interp(step * np.arange(11), done, seconds)
    return [float(rate) for rate in step / np.diff(at)]


def _resident(name: str) -> float:
    """MiB: ``VmRSS`` now, ``VmHWM`` at most. Not on Linux: the most, of its parent too."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024
    except (OSError, StopIteration):
        unit = 2**20 if sys.platform == "darwin" else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _processor() -> str:
    """The name of the processor, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
