"""How often searches find the best of spaces small enough to be listed: ``python -m benchmarks.optimum``."""

from __future__ import annotations

import argparse
import itertools

import jax
import numpy as np

import jaxmaestro as jm
from jaxmaestro.mapspace import MappingOptions, MappingSpace
from jaxmaestro.search import Budget, Problem, exhaustive, search, searcher

HARDWARE = jm.Hardware(
    num_pes=16, l1_size=256, l2_size=4000, noc_bandwidth=8, hop_latency=1, offchip_bandwidth=8
)
LAYERS = (
    jm.Layer.of("conv", "CONV", {"K": 8, "C": 6, "Y": 8, "X": 8, "R": 3, "S": 3}),
    jm.Layer.of("pointwise", "CONV", {"K": 12, "C": 12, "Y": 5, "X": 5, "R": 1, "S": 1}),
    jm.Layer.of("strided", "CONV", {"K": 6, "C": 4, "Y": 9, "X": 9, "R": 3, "S": 3}, {"Y": 2, "X": 2}),
    jm.Layer.of("depthwise", "DSCONV", {"C": 16, "Y": 10, "X": 10, "R": 3, "S": 3}),
    jm.Layer.of("product", "GEMM", {"M": 16, "N": 24, "K": 16}),
    jm.Layer.of("thin", "GEMM", {"M": 1, "N": 60, "K": 32}),
)
SPACES = {
    "one level, divisors": MappingOptions(1, 1, "divisors"),
    "one level, ragged": MappingOptions(1, 1, "ragged"),
    "two levels, divisors": MappingOptions(2, 2, "divisors", ("K", "C", "N", "M"), (4,)),
}
LIMIT = 200_000
"""Larger spaces are left out, which is said."""


def main() -> None:
    """List every space, search it from every seed, print the share that found the best."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--searchers", nargs="+", default=["genetic", "gamma", "random"])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--objectives", nargs="+", default=["latency", "edp"])
    arguments = parser.parse_args()
    names = arguments.searchers
    print(
        f"{arguments.seeds} seeds, up to {arguments.samples:,} valid mappings; share that found the optimum"
    )
    print(
        f"{'layer':11}{'space':22}{'objective':>9}{'mappings':>11}{'valid':>10}"
        + "".join(f"{n:>11}" for n in names)
    )
    shares: dict[str, list[float]] = {name: [] for name in names}
    for layer, (title, options), objective in itertools.product(LAYERS, SPACES.items(), arguments.objectives):
        size = MappingSpace.of(layer, HARDWARE.num_pes, options).size
        if size > LIMIT:
            print(f"{layer.name:11}{title:22}{objective:>9}{size:>11,}  not listed")
            continue
        jax.clear_caches()  # every space has programs of its own: together they take all memory maps
        objectives = (objective, "energy" if objective == "latency" else "latency")
        optimum = exhaustive(layer, HARDWARE, objectives, options, LIMIT)
        problem = Problem.of(layer, HARDWARE, objectives, range(1, arguments.seeds + 1), options)
        cells = []
        for name in names:
            made = searcher(name, 100, HARDWARE, objective)
            budget = Budget(arguments.samples, arguments.samples // 50)
            best = np.asarray(search(made, problem, budget).state.best_scores)[:, 0, 0]
            if (best < optimum.scores[0]).any():
                raise RuntimeError(f"{layer.name}, {title}: a search found what the list does not have")
            shares[name].append(float((best == optimum.scores[0]).mean()))
            cells.append(f"{shares[name][-1]:>11.0%}")
        print(
            f"{layer.name:11}{title:22}{objective:>9}{size:>11,}{optimum.valid:>10,}" + "".join(cells),
            flush=True,
        )
    print(f"{'all':63}" + "".join(f"{np.mean(shares[name]):>11.1%}" for name in names))


if __name__ == "__main__":
    main()
