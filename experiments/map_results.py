"""What a mapping search leaves: tables, MAESTRO files whose figures are checked, the summary."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pyarrow as pa
from rich import box
from rich.console import Console
from rich.table import Table

from experiments.map_schema import MapConfig
from jaxmaestro import evaluate
from jaxmaestro.description import DescriptionError, Hardware, Layer, MappedLayer, Network
from jaxmaestro.equations.costs import Costs
from jaxmaestro.formats import read_mapping, write_mapping
from jaxmaestro.mapspace import Genes
from jaxmaestro.search import Found, History, Problem

Networks = dict[str, list[tuple[Layer, int]]]
Layers = dict[tuple[Any, ...], Layer]


def distinct(layers: list[Layer]) -> dict[tuple[Any, ...], Layer]:
    """Layers of different shape, each by it."""
    found: dict[tuple[Any, ...], Layer] = {}
    for layer in layers:
        found.setdefault(layer.shape, layer)
    return found


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """The archives of all searches, a row a layer and seed (seeds fastest); NumPy arrays ``[r, ...]``."""

    problem: Problem
    genes: Genes  # [r, a]
    scores: np.ndarray  # float64 [r, a, m], the best first; infinite: nothing there
    valid: np.ndarray  # [r]
    evaluated: np.ndarray  # [r]
    history: History

    @classmethod
    def of(cls, found: Found, problem: Problem) -> Result:
        """Of a search that has ended."""
        state = jax.tree.map(np.asarray, found.state)
        return cls(problem, state.best, state.best_scores, state.valid, state.evaluated, found.history)

    def best_of(self, layer: int, seeds: int) -> int:
        """The row of a layer's best seed."""
        rows = np.arange(layer * seeds, (layer + 1) * seeds)
        return int(rows[np.lexsort(self.scores[rows, 0].T[::-1])[0]])


def results_table(result: Result, networks: Networks, layers: Layers, config: MapConfig) -> pa.Table:
    """A row for each mapping kept, by layer and seed: its scores, what it took, its directives."""
    used = _used_in(networks, layers)
    rows = []
    for row in range(len(result.problem)):
        layer, seed = divmod(row, len(config.seeds))
        for rank in range(result.scores.shape[1]):
            scores = result.scores[row, rank]
            if not np.isfinite(scores[0]):
                continue
            flow = result.problem.space.dataflow(result.genes, (row, rank))
            rows.append(
                {"layer": list(layers.values())[layer].name, "used_in": used[layer]}
                | {"seed": config.seeds[seed], "rank": rank}
                | dict(zip(config.objectives, scores.tolist(), strict=True))
                | {"valid": int(result.valid[row]), "evaluated": int(result.evaluated[row])}
                | {"dataflow": " ".join(str(flow).split("\n"))}
            )
    if not rows:
        raise DescriptionError(
            "no valid mapping was found for any layer", fix="give more samples, larger buffers or other tiles"
        )
    return pa.Table.from_pylist(rows)


def _used_in(networks: Networks, layers: Layers) -> list[str]:
    """For each layer where it occurs, such as ``resnet18 x3``."""
    found = []
    for key in layers:
        counts = {name: sum(n for layer, n in rows if layer.shape == key) for name, rows in networks.items()}
        found.append(", ".join(f"{name} x{n}" for name, n in counts.items() if n))
    return found


def convergence_table(result: Result, layers: Layers, config: MapConfig) -> pa.Table:
    """The best scores of every search after every step, with samples and seconds."""
    history = result.history
    steps, rows = history.spent.shape
    names = [layer.name for layer in layers.values()]
    layer, seed = np.divmod(np.arange(rows), len(config.seeds))
    columns: dict[str, Any] = {
        "step": np.repeat(np.arange(1, steps + 1), rows),
        "seconds": np.repeat(history.seconds, rows),
        "layer": pa.array(np.tile(np.array(names)[layer], steps)).dictionary_encode(),
        "seed": np.tile(np.array(config.seeds)[seed], steps),
        "samples": history.spent.reshape(-1),
        "valid": history.valid.reshape(-1),
        "evaluated": history.evaluated.reshape(-1),
    }
    for place, objective in enumerate(config.objectives):
        columns[objective] = history.best[..., place].reshape(-1)
    return pa.table(columns)


def best_networks(
    result: Result, networks: Networks, layers: Layers, config: MapConfig
) -> dict[str, Network]:
    """Every network, each layer under its best mapping; without those that have a layer without one."""
    number = {key: place for place, key in enumerate(layers)}
    found = {}
    for name, rows in networks.items():
        mapped = []
        for layer, _ in rows:
            row = result.best_of(number[layer.shape], len(config.seeds))
            if not np.isfinite(result.scores[row, 0, 0]):
                break
            mapped.append(MappedLayer(layer, result.problem.space.dataflow(result.genes, (row, 0))))
        else:
            found[name] = Network(name, tuple(mapped))
    return found


def write_mappings(
    result: Result, networks: Networks, layers: Layers, hardware: Hardware, config: MapConfig, folder: Path
) -> list[Path]:
    """A MAESTRO file for each network, read back and scored again: its figures must be those found.

    Raises RuntimeError where they are not, which would be a fault of this program.
    """
    number = {key: place for place, key in enumerate(layers)}
    written = []
    for name, network in best_networks(result, networks, layers, config).items():
        path = folder / f"{name}.m"
        write_mapping(network, path)
        costs = evaluate(read_mapping(path), hardware).costs
        figures = scores_of(costs, config.objectives)
        for place, (layer, _) in enumerate(networks[name]):
            row = result.best_of(number[layer.shape], len(config.seeds))
            if not (figures[place] == result.scores[row, 0]).all() or not costs.valid[place]:
                raise RuntimeError(f"{path.name}: {layer.name} scores otherwise when it is read back")
        written.append(path)
    return written


def scores_of(costs: Costs, objectives: list[str]) -> np.ndarray:
    """Objectives ``[n, m]`` of costs, valid or not."""
    from jaxmaestro.search.objective import OBJECTIVES

    with jax.enable_x64(True):
        return np.stack([np.asarray(OBJECTIVES[name](costs)) for name in objectives], -1)


def print_result(
    console: Console,
    result: Result,
    networks: Networks,
    layers: Layers,
    config: MapConfig,
    hardware: Hardware,
) -> None:
    """Best, median and spread over the seeds by layer; totals by network."""
    table = Table(box=box.SIMPLE_HEAD, title=f"{config.search.name}: best {config.objectives[0]} by layer")
    for heading in ("layer", "used in", "best", "median of seeds", "worst", "valid", "evaluated", "bound"):
        table.add_column(heading, justify="left" if heading in ("layer", "used in") else "right")
    seeds, used = len(config.seeds), _used_in(networks, layers)
    first = result.scores[:, 0, 0].reshape(-1, seeds)
    lanes = hardware.num_pes * hardware.simd_lanes
    for place, layer in enumerate(layers.values()):
        rows = slice(place * seeds, (place + 1) * seeds)
        bound = layer.macs / lanes
        table.add_row(
            layer.name,
            used[place],
            *(_number(x) for x in (first[place].min(), np.median(first[place]), first[place].max())),
            f"{int(np.median(result.valid[rows])):,}",
            f"{int(np.median(result.evaluated[rows])):,}",
            _number(bound) if config.objectives[0] == "latency" else "",
        )
    console.print(table)
    if config.objectives[0] == "latency":
        console.print("bound: MACs over PEs, cycles, which no mapping can beat.")
    best = best_networks(result, networks, layers, config)
    for name in networks:
        if name not in best:
            console.print(f"{name}: some layers have no valid mapping, so no totals and no {name}.m")
    for name, network in best.items():
        costs, repeats = evaluate(network, hardware).costs, [n for _, n in networks[name]]
        latency, energy = (float(np.dot(np.asarray(a), repeats)) for a in (costs.runtime, costs.energy))
        console.print(
            f"{name}: {latency:,.0f} cycles, {energy / 1e6:,.4g} mJ, EDP {latency * energy:,.4g} nJ cycles"
        )


def _number(value: float) -> str:
    return f"{value:,.6g}" if np.isfinite(value) else "none"
