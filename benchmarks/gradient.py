"""Gradient search against random search: ``python -m benchmarks.gradient [--models NAME ...]``.

Searches the distinct layers of five networks for the least EDP, from the same seeds on one accelerator.
Of a random search the mappings are drawn uniformly from the same space, or from its mappings whose
tiles divide evenly. Only valid mappings count as found. Samples are counted in three ways:

- ``evaluations``: every mapping that the exact model evaluates is one, valid or not;
- ``steps``: so is every gradient step of every start, as DOSA counts, and every layer bears its share of a
  surrogate's training mappings;
- ``valid`` (with ``--patience``): as the library's budgets, in which invalid mappings are free.

Every search's result is kept in ``--folder``, so that a run can be stopped and continued.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from hydra import compose, initialize_config_dir

import jaxmaestro as jm
from benchmarks.gamma import MODELS
from experiments.job import CONF, validated
from experiments.run_folder import register_resolver
from experiments.schema import register
from experiments.workloads import build_space
from jaxmaestro.mapspace import MappingOptions
from jaxmaestro.mapspace.options import Tiles
from jaxmaestro.search import Budget, Found, Genetic, Problem, RandomSearch, search
from jaxmaestro.search.gradient import Gradient

ACCELERATORS = {
    "edge": jm.Hardware(
        num_pes=256, l1_size=512, l2_size=1 << 20, noc_bandwidth=64, hop_latency=1, offchip_bandwidth=16
    ),
    "gamma": jm.Hardware(num_pes=168, l1_size=512, l2_size=108_000, noc_bandwidth=81_920_000),
}
"""That of conf/hw/edge.yaml, and that of GAMMA's example."""

CHUNK = 128
"""Layers that are searched side by side, at most: the programs are compiled anew for each lot."""

ACCOUNTINGS = ("evaluations", "steps", "valid")

Layers = dict[str, jm.Layer]


@dataclasses.dataclass(frozen=True)
class Entrant:
    """A searcher and the tiles that it draws or rounds to."""

    make: Callable[[jm.Hardware], Any]
    tiles: Tiles | None = None  # None: those of the command


def _surrogate(hardware: jm.Hardware) -> Gradient:
    from jaxmaestro.search.surrogate import guided

    searcher = guided(200, hardware)
    print(f"  {searcher.model!r}", flush=True)
    return searcher


ENTRANTS = {
    "random": Entrant(lambda hardware: RandomSearch(100)),
    "random, even tiles": Entrant(lambda hardware: RandomSearch(100), "divisors"),
    "genetic": Entrant(lambda hardware: Genetic(100)),
    "gradient": Entrant(lambda hardware: Gradient(hardware)),
    "surrogate": Entrant(_surrogate),
}
DESCEND = ("gradient", "surrogate")
BASELINES = ("random", "random, even tiles")


def main() -> None:
    """Search what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument(
        "--searchers", nargs="+", choices=ENTRANTS, default=[*BASELINES, "genetic", "gradient"]
    )
    parser.add_argument("--hw", default="edge", choices=ACCELERATORS)
    parser.add_argument("--tiles", default="ragged", choices=("ragged", "divisors"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--patience", type=int, default=1, help="budgets evaluated until so many are valid")
    parser.add_argument(
        "--strict", action="store_true", help="end searches when 'steps' are as many as samples"
    )
    parser.add_argument("--every", type=int, default=1, help="take every so manieth layer only")
    parser.add_argument("--folder", type=Path, default=Path("outputs/gradient"))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    layers = dict(list(_layers(arguments.models))[:: arguments.every])
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, jax {jax.__version__}, "
        f"{jax.default_backend()}, exact model int64, relaxation float32; {len(layers)} layers, "
        f"{arguments.seeds} seeds, {arguments.samples:,} samples a layer and seed, "
        f"accelerator '{arguments.hw}', {arguments.tiles} tiles",
        flush=True,
    )
    found = {name: _found(arguments, layers, name) for name in arguments.searchers}
    for name in BASELINES:
        if name in found:
            _print(arguments, layers, found, name)


def _layers(models: list[str]) -> Iterator[tuple[str, jm.Layer]]:
    """Distinct layers of the networks, by the name of their first use."""
    register()
    register_resolver()
    seen = set()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        for model in models:
            config = validated(compose("config", ["dataflow=kc_p", f"model={model}"]))
            for layer, _ in build_space(config).pairs:
                if (key := (layer.type, layer.dimensions, layer.strides)) not in seen:
                    seen.add(key)
                    yield f"{model}.{layer.name}", layer


def _found(arguments: argparse.Namespace, layers: Layers, name: str) -> np.ndarray:
    """Best EDP ``[accounting, layer, seed]``; infinite: no valid mapping found."""
    entrant = name.replace(", ", "_").replace(" ", "_") + "-strict" * (arguments.strict and name in DESCEND)
    tiles = ENTRANTS[name].tiles or arguments.tiles
    path = arguments.folder / (
        f"{entrant}-{arguments.hw}-{tiles}-{arguments.samples}-{arguments.patience}.json"
    )
    kept: dict[str, list[list[float]]] = json.loads(path.read_text()) if path.exists() else {}
    names = list(layers)
    for first in range(0, len(names), CHUNK):
        keys = names[first : first + CHUNK]
        if all(len(kept.get(key, [[]])[0]) >= arguments.seeds for key in keys):
            continue
        begun = time.perf_counter()
        best = _searched(arguments, name, [layers[key] for key in keys])
        kept |= {key: best[:, i].tolist() for i, key in enumerate(keys)}
        path.write_text(json.dumps(kept))
        seconds = time.perf_counter() - begun
        print(f"  {name}: {keys[0]} to {keys[-1]} in {seconds:.0f} s, compilation included", flush=True)
    return np.array([[row[: arguments.seeds] for row in kept[key]] for key in layers]).swapaxes(0, 1)


def _searched(arguments: argparse.Namespace, name: str, layers: list[jm.Layer]) -> np.ndarray:
    """Best EDP ``[accounting, layer, seed]`` of new searches, all layers and seeds side by side."""
    entrant, hardware = ENTRANTS[name], ACCELERATORS[arguments.hw]
    searcher = entrant.make(hardware)
    problem = Problem.of(
        layers,
        hardware,
        objectives=("edp",),
        seeds=range(arguments.seeds),
        options=MappingOptions(tiles=entrant.tiles or arguments.tiles),
    )
    most = arguments.samples * (arguments.patience if isinstance(searcher, RandomSearch) else 1)
    each = getattr(searcher, "samples", searcher.population) if arguments.strict else searcher.population
    ended = search(searcher, problem, Budget(steps=-(-most // each)), every=100)
    counts = _counts(searcher, ended, len(layers))
    best = [_within(ended.history.best[:, :, 0], counts[kind], arguments.samples) for kind in ACCOUNTINGS]
    return np.stack(best).reshape(len(ACCOUNTINGS), len(layers), arguments.seeds)


def _counts(searcher: Any, ended: Found, layers: int) -> dict[str, np.ndarray]:
    """Samples ``[step, row]`` that were spent after each step, by accounting."""
    history = ended.history
    others = np.zeros(len(history.seconds), np.int64)
    if isinstance(searcher, Gradient):
        # What the first step asks for is drawn at random.
        others = np.arange(len(others)) * searcher.starts * searcher.descent
        others += getattr(searcher.model, "samples", 0) // layers
    counts = (history.evaluated, history.evaluated + others[:, None], history.valid + others[:, None])
    return dict(zip(ACCOUNTINGS, counts, strict=True))


def _within(best: np.ndarray, counts: np.ndarray, samples: int) -> np.ndarray:
    """Of each row the best after the last step that ends within so many samples."""
    steps = (counts <= samples).sum(0)
    rows = np.arange(best.shape[1])
    return np.where(steps > 0, best[np.maximum(steps - 1, 0), rows], np.inf)


def _print(arguments: argparse.Namespace, layers: Layers, found: dict[str, np.ndarray], base: str) -> None:
    """How many times lower than the baseline's the EDP is: geometric means by network."""
    models = [key.split(".")[0] for key in layers]
    columns = [*dict.fromkeys(models), "all"]
    print(f"\nEDP of {base} over that of each; geometric means over layers and seeds; [worst, best seed]")
    print(f"| searcher | samples | {' | '.join(columns)} | no mapping found by it, by {base} |")
    print("|---|---|" + "---|" * (len(columns) + 1))
    for name in (name for name in found if name != base):
        for kind, ours, theirs in zip(ACCOUNTINGS, found[name], found[base], strict=True):
            unknown = {"steps": name not in DESCEND, "evaluations": arguments.strict and name in DESCEND}
            if unknown.get(kind, arguments.patience == 1):
                continue
            # Where one found none there is no ratio: that layer and seed is left out.
            use = np.isfinite(ours) & np.isfinite(theirs)
            gain = np.where(use, np.log(theirs, where=use, out=np.zeros_like(theirs)), 0)
            gain -= np.where(use, np.log(ours, where=use, out=np.zeros_like(ours)), 0)
            row = []
            for column in columns:
                mine = np.array([column in (model, "all") for model in models])
                row.append(f"{np.exp(gain[mine].sum() / max(use[mine].sum(), 1)):.2f}")
            seeds = np.exp(gain.sum(0) / np.maximum(use.sum(0), 1))
            row[-1] += f" [{seeds.min():.2f}, {seeds.max():.2f}]"
            none = f"{np.isinf(ours).sum()}, {np.isinf(theirs).sum()} of {use.size}"
            print(f"| {name} | {kind} | {' | '.join(row)} | {none} |")


if __name__ == "__main__":
    main()
