"""How long a whole search takes, against GAMMA with a binary: ``python -m benchmarks.gamma_speed``.

GAMMA runs unmodified (its repository's ``main.py``, with the given binary in its place) on one layer of
ResNet18, population 20 for 10 generations and 100 for 100. Ours is the searcher ``gamma`` on the same layer,
with as many mappings, in the steady state, as one program (``fused``) and with every step from the host;
the first search, with compilation, stands beside it. In turn, in one run.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax

import jaxmaestro as jm
from benchmarks.gamma import GAMMAS
from jaxmaestro.execution import programs
from jaxmaestro.mapspace import MappingOptions
from jaxmaestro.search import Budget, Genetic, Problem, search

LAYER = jm.Layer.of("conv2", "CONV", {"K": 64, "C": 64, "Y": 56, "X": 56, "R": 3, "S": 3})
"""GAMMA's second layer of ResNet18, as its table has it."""
SIZES = ((20, 10), (100, 100))
SIDE_BY_SIDE = 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gamma", type=Path, required=True, help="a checkout of maestro-project/gamma")
    parser.add_argument("--python", default=sys.executable, help="a Python with GAMMA's requirements")
    parser.add_argument(
        "--binary", type=Path, required=True, help="a binary that takes the reference's flags"
    )
    parser.add_argument(
        "--repeats", type=int, default=3, help="of GAMMA; ours is repeated five times as often"
    )
    arguments = parser.parse_args()
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, jax {jax.__version__}, "
        f"{jax.default_backend()}, exact (int64); seconds, medians"
    )
    print(
        f"{'':12}{'GAMMA, all':>12}{'start':>8}{'ours':>9}{'first':>8}{'ratio':>8}{'without start':>15}"
        f"{'from the host':>15}{'first':>8}{'ratio':>8}{f'{SIDE_BY_SIDE} at once, each':>21}{'ratio':>8}"
    )
    few = programs.BRIEF_BATCH
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder) / "gamma"
        shutil.copytree(arguments.gamma, checkout, ignore=shutil.ignore_patterns(".git"))
        shutil.copy(arguments.binary, checkout / "cost_model" / "maestro")
        for population, generations in SIZES:
            programs.BRIEF_BATCH = few  # as the first searches of a process are run
            first = [_ours(population, generations, (0,), fused) for fused in (True, False)]
            programs.BRIEF_BATCH = 0  # as those after them
            _ours(population, generations, (0,), False)
            theirs, idle, together = [], [], []
            alone: tuple[list[float], list[float]] = ([], [])
            for repeat in range(arguments.repeats):
                idle.append(_gamma(checkout, arguments.python, 2, 0))
                theirs.append(_gamma(checkout, arguments.python, population, generations))
                for part in range(5):
                    seed = 1 + 5 * repeat + part
                    for found, fused in zip(alone, (True, False), strict=True):
                        found.append(_ours(population, generations, (seed,), fused))
                    seeds = tuple(range(100 * seed, 100 * seed + SIDE_BY_SIDE))
                    together.append(_ours(population, generations, seeds, False) / SIDE_BY_SIDE)
            whole, start, each = map(statistics.median, (theirs, idle, together[1:]))
            one, hosted = map(statistics.median, alone)
            searching = whole - start
            print(
                f"{f'{population} x {generations}':12}{whole:>12.2f}{start:>8.2f}{one:>9.4f}{first[0]:>8.1f}"
                f"{whole / one:>8.0f}{searching / one:>15.0f}{hosted:>15.4f}"
                f"{first[1]:>8.1f}{whole / hosted:>8.0f}{each:>21.4f}{searching / each:>8.0f}",
                flush=True,
            )
    print("start: GAMMA's imports and its worker pool, by a run of no generations.")


def _ours(population: int, generations: int, seeds: tuple[int, ...], fused: bool) -> float:
    options = MappingOptions(2, 2, "ragged")
    started = time.perf_counter()
    problem = Problem.of(LAYER, GAMMAS, ("latency", "energy"), seeds, options)
    search(Genetic.gamma(population), problem, Budget(steps=generations), fused=fused)
    return time.perf_counter() - started


def _gamma(checkout: Path, python: str, population: int, generations: int) -> float:
    command = [python, "main.py", "--fitness1=latency", "--fitness2=energy", f"--num_pe={GAMMAS.num_pes}"]
    command += [f"--l1_size={GAMMAS.l1_size}", f"--l2_size={GAMMAS.l2_size}", "--NocBW=81920000"]
    command += [f"--num_pop={population}", f"--epochs={generations}", "--model=resnet18", "--singlelayer=2"]
    started = time.perf_counter()
    done = subprocess.run(
        command, cwd=checkout / "src" / "GAMMA", capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - started
    if generations and (done.returncode or "Reward" not in done.stdout):
        raise RuntimeError(f"GAMMA failed: {done.stderr.strip().splitlines()[-1:]}")
    return seconds


if __name__ == "__main__":
    main()
