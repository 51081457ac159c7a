"""Layers a second, against a compatible binary: ``python -m benchmarks.throughput --binary PATH``.

For each dataflow, layers of ResNet50, VGG16 and MobileNetV2 on a grid of accelerators. The binary
evaluates one file of many layers in one thread; what a file of few takes is subtracted, so that its
start does not count. Ours is the steady state of ``evaluate_batch`` (every figure, NumPy results) on
one core and on two; compilation and the first result stand beside it. All in one run, in turn.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import platform
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import numpy as np
from hydra import compose, initialize_config_dir

import jaxmaestro as jm
from experiments.job import CONF, validated
from experiments.run_folder import register_resolver
from experiments.schema import register
from experiments.workloads import build_space
from jaxmaestro.description import MappedLayer

DATAFLOWS = ("kc_p", "yr_p", "yx_p", "x_p")
POINTS = [
    jm.Hardware(num_pes=pes, noc_bandwidth=noc, hop_latency=1, offchip_bandwidth=off)
    for pes in (64, 128, 168, 256, 500, 1024)
    for noc in (16, 64, 300, 1000)
    for off in (8, 50, 200)
]


@dataclasses.dataclass(frozen=True)
class Rates:
    """Layers a second of one dataflow."""

    name: str
    first: float  # seconds to the first result in this process, compilation included
    one_core: float
    two_cores: float
    float32: float
    binary: float | None  # one thread


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", type=Path, help="a binary that takes the reference's flags")
    parser.add_argument("--tuples", type=int, default=100_000, help="tuples a measurement (default 100,000)")
    parser.add_argument("--repeats", type=int, default=3, help="measurements, of which the median counts")
    arguments = parser.parse_args()
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, jax {jax.__version__}, "
        f"{jax.default_backend()}; {arguments.tuples:,} tuples, median of {arguments.repeats}"
    )
    header = f"{'dataflow':8s} {'first s':>8s} {'1 core':>10s} {'2 cores':>10s} {'float32':>10s}"
    print(header + f" {'binary':>8s} {'ratio 1':>8s} {'ratio 2':>8s}")
    for name in DATAFLOWS:
        print(_row(_measure(name, arguments)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"tuples (or layers) a second; exact int64 unless float32; peak memory of this process {peak:.1f} GiB"
    )


def _row(rates: Rates) -> str:
    text = f"{rates.name:8s} {rates.first:8.1f} {rates.one_core:10,.0f} {rates.two_cores:10,.0f} "
    text += f"{rates.float32:10,.0f}"
    if rates.binary:
        ratios = (rates.one_core / rates.binary, rates.two_cores / rates.binary)
        text += f" {rates.binary:8,.0f} {ratios[0]:8.0f} {ratios[1]:8.0f}"
    return text


def _measure(dataflow: str, arguments: argparse.Namespace) -> Rates:
    pairs = _pairs(dataflow)
    layers, flows = zip(*pairs, strict=True)
    batch = jm.encode_pairs(layers, flows, POINTS)
    order = np.random.default_rng(0).permutation(len(batch))
    batch = batch.take(np.resize(order, arguments.tuples))
    start = time.perf_counter()
    jm.evaluate_batch(batch.take(np.arange(64)))
    first = time.perf_counter() - start
    # Every shape is compiled before anything is timed.
    jm.evaluate_batch(batch)
    jm.evaluate_batch(batch, "float32")
    binary: list[float] = []
    ours: dict[str, list[float]] = {"one": [], "two": [], "float32": []}
    for _ in range(arguments.repeats):
        ours["one"].append(_seconds(lambda: jm.evaluate_batch(batch, threads=1)))
        ours["two"].append(_seconds(lambda: jm.evaluate_batch(batch, threads=2)))
        ours["float32"].append(_seconds(lambda: jm.evaluate_batch(batch, "float32", threads=2)))
        if arguments.binary:
            binary.append(_binary_seconds(arguments.binary, pairs))
    rate = {key: len(batch) / float(np.median(values)) for key, values in ours.items()}
    return Rates(
        dataflow,
        first,
        rate["one"],
        rate["two"],
        rate["float32"],
        1 / float(np.median(binary)) if binary else None,
    )


def _pairs(dataflow: str) -> Sequence[tuple[jm.Layer, jm.Dataflow]]:
    register()
    register_resolver()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", [f"dataflow={dataflow}", "model=[resnet50,vgg16,mobilenetv2]"])
    return build_space(validated(config)).pairs


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _binary_seconds(binary: Path, pairs: Sequence[tuple[jm.Layer, jm.Dataflow]]) -> float:
    """Seconds a layer: many layers less few, on one accelerator of 256 PEs."""
    few, many = pairs, list(pairs) * 20
    return (_run(binary, many) - _run(binary, few)) / (len(many) - len(few))


def _run(binary: Path, pairs: Sequence[tuple[jm.Layer, jm.Dataflow]]) -> float:
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
