"""How far ``precision="float32"`` is from the exact figures: ``python -m benchmarks.precision [PATH ...]``.

A PATH is a mapping file or a folder of them; beside ``NAME.m`` the accelerator is ``NAME.hw.m``
if there is one, else ``--hardware``, else the defaults. Without a PATH, the layers of tests/golden.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import numpy as np

import jaxmaestro as jm
from jaxmaestro.description.reasons import ILLEGAL

FIGURES = (
    *("runtime", "num_macs", "energy", "throughput", "l1_reads", "l1_writes", "l2_reads", "l2_writes"),
    *("l1_sizes", "l2_sizes", "noc_bandwidth_average", "average_active_pes", "area", "power"),
    *("noc_bandwidth_peak", "offchip_bandwidth", "ingress_delay", "egress_delay", "compute_delay"),
)
QUOTIENTS = FIGURES[-5:]
"""Figures that are, or hang on, truncated quotients (of delays: the average)."""

REPRESENTED = 2**24
"""Integers up to here are float32 numbers, so one that differs was not merely rounded."""


def main() -> None:
    """Evaluate everything twice and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path, help="mapping files, or folders of them")
    parser.add_argument("--hardware", type=Path, help="accelerator of the mapping files that have none")
    arguments = parser.parse_args()
    found = [(jm.evaluate(*pair).costs, jm.evaluate(*pair, "float32").costs) for pair in _pairs(arguments)]
    if not found:
        raise SystemExit("no mapping file could be evaluated")
    exact, approximate = zip(*found, strict=True)
    report(_joined(exact), _joined(approximate))


def _joined(costs: Sequence[jm.Costs]) -> jm.Costs:
    joined: jm.Costs = jax.tree.map(lambda *arrays: np.concatenate(arrays), *costs)
    return joined


def _pairs(arguments: argparse.Namespace) -> Iterator[tuple[jm.Network, jm.Hardware]]:
    """The networks and their accelerators; files that are refused are named and left out."""
    if not arguments.paths:
        from tests.fuzz import golden, ours

        with tempfile.TemporaryDirectory() as name:
            for case in golden.load():
                path = Path(name) / f"{case.name}.m"
                path.write_text(case.mapping)
                yield jm.read_mapping(path), ours.hardware_of(case, Path(name))
        return
    default = jm.read_hardware(arguments.hardware) if arguments.hardware else jm.Hardware()
    for given in arguments.paths:
        for path in sorted(given.glob("*.m")) if given.is_dir() else [given]:
            own = path.with_suffix(".hw.m")
            if path.name.endswith(".hw.m"):
                continue
            try:
                yield jm.read_mapping(path), jm.read_hardware(own) if own.exists() else default
            except jm.DescriptionError as refused:
                print(f"left out: {refused}")


def report(exact: jm.Costs, approximate: jm.Costs) -> None:
    """Relative errors by figure, then what counts: runtimes, verdicts, flipped divisions."""
    legal = (exact.reasons & int(ILLEGAL)) == 0
    print(f"{len(exact)} rows, {legal.sum()} with figures, {(legal & exact.sound).sum()} of them sound\n")
    exact, approximate = exact[legal], approximate[legal]
    print(f"{'relative error':24s}{'median':>10s}{'99.9 %':>10s}{'max':>10s}{'exact':>9s}")
    for name in FIGURES:
        error = relative_error(exact, approximate, name)
        middle, high = np.quantile(error, [0.5, 0.999])
        print(f"{name:24s}{middle:10.1e}{high:10.1e}{error.max():10.1e}{(error == 0).mean():9.2%}")
    runtime = relative_error(exact, approximate, "runtime")
    print()
    for bound in (1e-6, 1e-3):
        print(f"runtime differs by more than {bound:g}: {(runtime > bound).mean():.3%} of rows")
    flipped = {name: _flipped(exact, approximate, name) for name in QUOTIENTS}
    for name, rows in flipped.items():
        print(f"rows with a flipped division in {name}: {rows.sum()} ({rows.mean():.3%})")
    for name in ("sound", "fits"):
        true, near = getattr(exact, name), getattr(approximate, name)
        lost, gained = (true & ~near).sum(), (~true & near).sum()
        print(f"rows with another verdict {name}: {lost} lose it, {gained} gain it")
    print("reasons that differ:", ", ".join(_counted(exact.reasons ^ approximate.reasons)) or "none")


def relative_error(exact: jm.Costs, approximate: jm.Costs, name: str) -> np.ndarray:
    """Relative error of a figure, of its worst component where it has several, float64 ``[rows]``."""
    true, near, known = _values(exact, approximate, name)
    scale = np.where(true != 0, np.abs(true), 1)
    with np.errstate(invalid="ignore"):
        error = np.where(known, np.abs(near - true) / scale, 0)
    return error.reshape(len(error), -1).max(1)


def _flipped(exact: jm.Costs, approximate: jm.Costs, name: str) -> np.ndarray:
    true, near, known = _values(exact, approximate, name)
    differs = known & (np.abs(true) < REPRESENTED) & (true != near)
    return differs.reshape(len(true), -1).any(1)


def _values(exact: jm.Costs, approximate: jm.Costs, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both values of a figure and where they are figures: not 0/0, nor the delays of no iteration."""
    true = np.asarray(getattr(exact, name), np.float64)
    near = np.asarray(getattr(approximate, name), np.float64)
    return true, near, np.isfinite(true) & np.isfinite(near) & (np.abs(true) < 2.0**62)


def _counted(masks: np.ndarray) -> list[str]:
    return [f"{r.name} {n}" for r in jm.Reason if (n := int(((masks & int(r)) != 0).sum()))]


if __name__ == "__main__":
    main()
