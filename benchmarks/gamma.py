"""Mapping search against GAMMA's own program: ``python -m benchmarks.gamma --gamma CHECKOUT``.

Both search the distinct layers of five networks on one accelerator, from the same numbers of seeds, until
they have seen so many valid mappings a layer. GAMMA runs as it is, with our cost model as its evaluator
(benchmarks/gamma_peer.py); an invalid mapping counts as failed. The named dataflows KC-P, YR-P, YX-P and X-P
stand beside it. GAMMA knows no strides: strided layers are searched, by both, as layers of stride 1 with
as many outputs. GEMMs are searched as the 1x1 convolutions that GAMMA takes them for.

Every search's result is kept in ``--folder``, so that a run can be stopped and continued.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from hydra import compose, initialize_config_dir

import jaxmaestro as jm
from benchmarks.gamma_peer import POPULATION, Peer
from experiments.job import CONF, validated
from experiments.run_folder import register_resolver
from experiments.schema import register
from experiments.workloads import build_space
from jaxmaestro.mapspace import MappingOptions
from jaxmaestro.search import Budget, Problem, search, searcher
from jaxmaestro.search.problem import Counted

MODELS = ("resnet18", "vgg16", "mobilenetv2", "mnasnet", "bert_block")
DATAFLOWS = ("kc_p", "yr_p", "yx_p", "x_p")
GAMMAS = jm.Hardware(
    num_pes=168,
    l1_size=512,
    l2_size=108_000,
    noc_bandwidth=81_920_000,
    hop_latency=1,
    offchip_bandwidth=2**30,
)
"""The accelerator of GAMMA's example."""
REALISTIC = GAMMAS.replace(noc_bandwidth=64, offchip_bandwidth=32)
"""The same with links that can be the bottleneck."""
ACCELERATORS = {"gamma": GAMMAS, "links": REALISTIC}


def main() -> None:
    """Search what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gamma", type=Path, help="a checkout of maestro-project/gamma")
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--hw", default="gamma", choices=ACCELERATORS)
    parser.add_argument("--objectives", nargs="*", default=["latency", "edp"])
    parser.add_argument("--searchers", nargs="+", default=["genetic"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, default=Path("outputs/gamma"))
    parser.add_argument(
        "--rules", action="store_true", help="latency too where every mapping with figures counts as found"
    )
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    layers = dict(_layers(arguments.models))
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, jax {jax.__version__}, "
        f"{jax.default_backend()}, exact (int64); {len(layers)} layers, {arguments.seeds} seeds, "
        f"{arguments.samples:,} valid mappings a layer and seed, accelerator '{arguments.hw}'"
    )
    if arguments.rules:
        _print_rules(arguments, layers)
    for objective in arguments.objectives:
        found = {}
        for name in arguments.searchers:
            found[name] = _ours(arguments, layers, objective, name)
        if arguments.gamma:
            found["GAMMA"] = _gammas(arguments, layers, objective)
        _print(arguments, layers, objective, found)


def _layers(models: list[str]) -> Iterator[tuple[str, jm.Layer]]:
    """Distinct layers of the networks as GAMMA can take them, by the name of their first use."""
    seen = set()
    for model in models:
        for layer, _ in build_space(_config(model, "kc_p")).pairs:
            made = _of_gamma(model, layer)
            if (key := (made.type, made.dimensions)) not in seen:
                seen.add(key)
                yield made.name, made


def _of_gamma(model: str, layer: jm.Layer) -> jm.Layer:
    sizes, name = layer.input_sizes, f"{model}.{layer.name}"
    if layer.type.value == "GEMM":
        wide = {"K": sizes["N"], "C": sizes["K"], "Y": sizes["M"], "X": 1, "R": 1, "S": 1}
        return jm.Layer.of(name, "CONV", wide)
    for axis, window in (("Y", "R"), ("X", "S")):
        outputs = (sizes[axis] - sizes[window]) // layer.stride(axis) + 1
        sizes = {**sizes, axis: outputs + sizes[window] - 1}
    return jm.Layer.of(name, layer.type, sizes)


def _config(model: str, dataflow: str) -> Any:
    register()
    register_resolver()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return validated(compose("config", [f"dataflow={dataflow}", f"model={model}"]))


def _named(layers: dict[str, jm.Layer], hardware: jm.Hardware, objective: str) -> np.ndarray:
    """Scores ``[dataflow, layer]`` of the named dataflows; infinite where one is not valid."""
    found = np.full((len(DATAFLOWS), len(layers)), np.inf)
    for row, dataflow in enumerate(DATAFLOWS):
        flows = build_space(_config("resnet18", dataflow))
        by_type = {layer.type: flow for layer, flow in flows.pairs if layer.stride("Y") == 1}
        by_type |= {
            layer.type: flow
            for layer, flow in build_space(_config("mobilenetv2", dataflow)).pairs
            if layer.type.value == "DSCONV" and layer.stride("Y") == 1
        }
        each = [by_type[layer.type] for layer in layers.values()]
        costs = jm.evaluate_batch(jm.encode(list(layers.values()), each, [hardware]))
        scores = _score(costs.runtime.astype(float), costs.energy, objective)
        found[row] = np.where(costs.valid, scores, np.inf)
    return found


def _score(runtime: np.ndarray, energy: np.ndarray, objective: str) -> np.ndarray:
    return {"latency": runtime, "energy": energy, "edp": runtime * energy}[objective]


def _ours(
    arguments: argparse.Namespace,
    layers: dict[str, jm.Layer],
    objective: str,
    name: str,
    counted: Counted = "valid",
) -> list[list[float]]:
    """Best scores ``[layer][seed]``, all layers and seeds side by side."""
    rule = "" if counted == "valid" else f"-{counted}"
    path = arguments.folder / f"{arguments.hw}-{objective}-{name}-{arguments.samples}{rule}.json"
    kept: dict[str, list[float]] = json.loads(path.read_text()) if path.exists() else {}
    missing = [key for key in layers if len(kept.get(key, ())) < arguments.seeds]
    if missing:
        hardware = ACCELERATORS[arguments.hw]
        objectives = (objective, "energy" if objective == "latency" else "latency")
        seeds = range(1, arguments.seeds + 1)
        problem = Problem.of(
            [layers[key] for key in missing],
            hardware,
            objectives,
            seeds,
            MappingOptions(tiles="ragged"),
            counted=counted,
        )
        made = searcher(name, POPULATION, hardware, objective)
        started = time.perf_counter()
        budget = Budget(arguments.samples, 20 * arguments.samples // POPULATION)
        state = search(made, problem, budget).state
        seconds = time.perf_counter() - started
        print(f"  {name}, {objective}: {len(problem)} searches in {seconds:.0f} s", flush=True)
        best = np.asarray(state.best_scores)[:, 0, 0].reshape(len(missing), -1)
        kept |= {key: row.tolist() for key, row in zip(missing, best, strict=True)}
        path.write_text(json.dumps(kept))
    return [kept[key][: arguments.seeds] for key in layers]


def _print_rules(arguments: argparse.Namespace, layers: dict[str, jm.Layer]) -> None:
    """Best latencies over MACs / PEs, by network, with valid mappings alone and with whatever has figures."""
    pes = ACCELERATORS[arguments.hw].num_pes
    bound = np.array([layer.macs / pes for layer in layers.values()])[:, None]
    models = [key.partition(".")[0] for key in layers]
    rules: tuple[Counted, ...] = ("valid", "any")
    found = {rule: np.array(_ours(arguments, layers, "latency", "genetic", rule)) for rule in rules}
    print("\nlatency found / (MACs / PEs), geometric mean over layers and seeds; searches below it")
    print(f"{'':14}{'valid only':>12}{'below':>8}{'any figures':>14}{'least':>12}{'below':>8}")
    for model in [*dict.fromkeys(models), "all"]:
        rows = np.array([model in (own, "all") for own in models])
        valid, whatever = ((found[rule] / bound)[rows] for rule in rules)
        means = [np.exp(np.log(ratio).mean()) for ratio in (valid, whatever)]
        print(
            f"{model:14}{means[0]:>12.4f}{(valid < 1).mean():>8.0%}{means[1]:>14.4g}"
            f"{whatever.min():>12.3g}{(whatever < 1).mean():>8.0%}"
        )


def _gammas(arguments: argparse.Namespace, layers: dict[str, jm.Layer], objective: str) -> list[list[float]]:
    path = arguments.folder / f"{arguments.hw}-{objective}-GAMMA-{arguments.samples}.json"
    kept: dict[str, list[dict[str, float]]] = json.loads(path.read_text()) if path.exists() else {}
    peer = Peer(arguments.gamma, ACCELERATORS[arguments.hw])
    for key, layer in layers.items():
        rows = kept.setdefault(key, [])
        for seed in range(len(rows) + 1, arguments.seeds + 1):
            started = time.perf_counter()
            rows.append(dataclasses.asdict(peer.search(layer, objective, seed, arguments.samples)))
            rows[-1]["seconds"] = time.perf_counter() - started
            path.write_text(json.dumps(kept))
            print(f"  GAMMA, {objective}, {key}, seed {seed}: {rows[-1]}", flush=True)
    return [[row["best"] for row in kept[key][: arguments.seeds]] for key in layers]


def _print(
    arguments: argparse.Namespace,
    layers: dict[str, jm.Layer],
    objective: str,
    found: dict[str, list[list[float]]],
) -> None:
    """Geometric means over layers and seeds by network, relative to the first searcher's."""
    named = _named(layers, ACCELERATORS[arguments.hw], objective)
    scores = {name: np.array(rows) for name, rows in found.items()}
    first = scores[next(iter(scores))]
    models = [key.partition(".")[0] for key in layers]
    columns = [*scores, *DATAFLOWS]
    print(f"\n{objective}: geometric mean over layers and seeds, as a ratio to {next(iter(scores))}'s")
    print(f"{'':14}{'layers':>7}" + "".join(f"{name:>12}" for name in columns))
    for model in [*dict.fromkeys(models), "all"]:
        rows = np.array([model in (own, "all") for own in models])
        cells = []
        for name in columns:
            own = scores[name] if name in scores else named[DATAFLOWS.index(name)][:, None]
            there = rows & np.isfinite(own).all(1)
            ratio = np.exp(np.log(own[there] / first[there]).mean()) if there.any() else np.nan
            cells.append(f"{ratio:.4f}" + ("" if there.sum() == rows.sum() else f" ({there.sum()})"))
        print(f"{model:14}{rows.sum():>7}" + "".join(f"{cell:>12}" for cell in cells))
    print("(n): only n of the layers have a valid result.")
    for name, own in scores.items():
        worst = own.max(1)
        best_named = named.min(0)
        print(
            f"{name}: as good as every valid named dataflow from every seed on {(worst <= best_named).sum()} "
            f"of {len(layers)} layers; nothing valid in {np.isinf(own).sum()} of {own.size} searches"
        )
        for key, mine, other in zip(layers, worst, best_named, strict=True):
            if mine > other:
                print(f"  {key}: worst seed {mine:,.6g}, named {other:,.6g}")
    if "GAMMA" in scores:
        wins = (np.exp(np.log(first).mean(1)) <= np.exp(np.log(scores["GAMMA"]).mean(1))).sum()
        print(f"{next(iter(scores))} is at most GAMMA's (geometric mean of seeds) on {wins} of {len(layers)}")


if __name__ == "__main__":
    main()
