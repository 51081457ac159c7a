"""ConfuciuX's problem: PEs and buffers for every layer of a network under one budget, solved and checked."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from rich import box
from rich.console import Console
from rich.table import Table

from experiments.codesign_networks_schema import CodesignNetworksConfig
from experiments.results import write_csv, write_parquet
from experiments.run_folder import prepare
from jaxmaestro import encode, evaluate_batch
from jaxmaestro.accelerators import (
    AREA_MODELS,
    Assignment,
    Budget,
    Pipeline,
    RefusedError,
    assign,
    genetic_packing,
    mapped,
    options_of,
    random_packing,
    reference_power,
    roofline,
)
from jaxmaestro.description import DescriptionError, Hardware, Layer, Network
from jaxmaestro.formats import read_hardware, read_mapping, write_hardware, write_mapping


def assign_pipelines(
    config: CodesignNetworksConfig,
    networks: dict[str, list[tuple[Layer, int]]],
    folder: Path,
    manifest: dict[str, Any],
    console: Console,
) -> list[Path]:
    """Solve the problem of every network, budget and objective; the paths of what was written.

    Raises DescriptionError for a budget below what the smallest levels take, an objective that is no
    sum over layers, or a folder of another configuration.
    """
    goals = [goal for goal in config.objectives if goal != "edp"]
    if not goals:
        raise DescriptionError(
            "ConfuciuX's problem minimises a sum over the layers, which EDP is not",
            fix="give objectives=[latency], [energy] or both",
        )
    pipelines = {
        (network, name, goal): pipeline_of(config, rows, name, goal)
        for name in config.budget.budgets
        for network, rows in networks.items()
        for goal in goals
    }
    if not pipelines:
        raise DescriptionError("budget.budgets is empty", fix="choose a budget, such as budget=edge")
    solved = {key: _solved(pipeline, config) for key, pipeline in pipelines.items()}
    prepare(folder, manifest, resume=config.resume)
    summary, layers, written = [], [], []
    for key, (found, row) in solved.items():
        head = dict(zip(("network", "budget", "objective"), key, strict=True))
        name = "-".join(key).replace("/", "_")
        checked = _export(pipelines[key], found, folder, name)
        written += checked.paths
        row["used"] = checked.used
        summary.append(head | row)
        layers += [head | each for each in checked.rows]
    tables = {"assignments": pa.Table.from_pylist(layers), "summary": pa.Table.from_pylist(summary)}
    for name, table in tables.items():
        paths = [folder / f"{name}.csv", folder / f"{name}.parquet"]
        write_csv(table, paths[0])
        write_parquet(table, paths[1], json.dumps(manifest))
        written = paths + written
    _print(console, summary, config)
    return written


def pipeline_of(
    config: CodesignNetworksConfig, rows: list[tuple[Layer, int]], budget: str, goal: str
) -> Pipeline:
    """The problem of a network: every occurrence of a layer has an accelerator of its own."""
    layers = []
    for layer, repeat in rows:
        for number in range(repeat):
            name = layer.name if repeat == 1 else f"{layer.name}_{number + 1}"
            layers.append(dataclasses.replace(layer, name=name))
    each, strategy = config.budget.budgets[budget], config.strategy
    for field in ("noc_bandwidth", "offchip_bandwidth"):
        if not getattr(each, field):
            raise DescriptionError(f"budget.budgets.{budget}.{field} is empty", fix="give one value")
    if each.power is not None and (strategy.limited or "area") == "area":
        raise DescriptionError(
            f"budget.budgets.{budget}.power is {each.power}, but ConfuciuX's problem has one limit: the area",
            fix="leave it out, or give strategy.limited=power",
        )
    return Pipeline(
        layers=tuple(layers),
        budget=Budget(each.area, each.power, each.model, budget),
        goal=goal,
        style=strategy.style or "nvdla",
        share=strategy.share,
        limited=strategy.limited or "area",
        noc_bandwidth=max(each.noc_bandwidth),
        offchip_bandwidth=max(each.offchip_bandwidth),
    )


def _solved(pipeline: Pipeline, config: CodesignNetworksConfig) -> tuple[Assignment, dict[str, Any]]:
    """The optimum, and what is told of it."""
    options = options_of(pipeline)
    found = assign(pipeline, options)
    samples = config.strategy.samples or 10_000
    others = {
        "random": random_packing(options.cost, options.weight, found.limit, samples, config.seed),
        "genetic": genetic_packing(options.cost, options.weight, found.limit, samples, config.seed),
    }
    told = {name: np.inf if other is None else other.cost for name, other in others.items()}
    return found, {
        "layers": len(pipeline.layers),
        "tuples": options.evaluated,
        "cost": found.packing.cost,
        "bound": found.packing.bound,
        "proven": found.packing.proven,
        "latency": found.latency,
        "energy": found.energy,
        "limit": found.limit,
        **told,
    }


@dataclasses.dataclass(frozen=True)
class _Checked:
    paths: list[Path]
    rows: list[dict[str, Any]]
    used: float  # um^2 or mW


def _export(pipeline: Pipeline, found: Assignment, folder: Path, name: str) -> _Checked:
    """MAESTRO files, read back and evaluated again: every layer valid, the sum within the limit.

    Raises RefusedError where they are not.
    """
    plain = "".join(letter if letter.isalnum() else "_" for letter in name)
    paths = [folder / f"{name}.m"]
    write_mapping(Network(plain, mapped(pipeline, found)), paths[0])
    (folder / name).mkdir(exist_ok=True)
    points: list[Hardware] = []
    for number, hardware in enumerate(found.hardware):
        place = folder / name / f"layer{number:03d}.hw.m"
        write_hardware(hardware, place)
        points.append(read_hardware(place))
    network = read_mapping(paths[0])
    pairs = list(network)
    flows = [pair.dataflow for pair in pairs]
    costs = evaluate_batch(encode([pair.layer for pair in pairs], [f for f in flows if f], points))
    price = AREA_MODELS[pipeline.budget.model] if pipeline.limited == "area" else reference_power
    weights = [price(point) for point in points]
    if sum(weights) > found.limit * (1 + 1e-9):
        raise RefusedError(f"{name}: {sum(weights):,.6g} are beyond the limit of {found.limit:,.6g}")
    rows: list[dict[str, Any]] = []
    for number, (pair, point) in enumerate(zip(pairs, points, strict=True)):
        runtime = float(costs.runtime[number])
        if not costs.valid[number] or runtime < roofline(pair.layer, point):
            raise RefusedError(f"{name}: {pair.layer.name} is not valid, or below its roofline")
        rows.append(
            {"layer": pair.layer.name, "num_pes": point.num_pes}
            | {"l1_size": point.l1_size, "l2_size": point.l2_size}
            | {"latency": runtime, "energy": float(costs.energy[number])}
            | {"um2" if pipeline.limited == "area" else "mW": weights[number]}
        )
    totals = [sum(float(row[key]) for row in rows) for key in ("latency", "energy")]
    if not np.allclose(totals, (found.latency, found.energy), rtol=1e-12, atol=0):
        raise RefusedError(f"{name}: the files do not cost what the search says")
    return _Checked(paths, rows, sum(weights))


def _print(console: Console, summary: list[dict[str, Any]], config: CodesignNetworksConfig) -> None:
    limited = config.strategy.limited or "area"
    table = Table(box=box.SIMPLE_HEAD, title=f"ConfuciuX's problem, style {config.strategy.style}")
    unit = "um^2" if limited == "area" else "mW"
    heads = ("network", "budget", "objective", "layers", "optimum", "proven", "random", "genetic")
    for place, heading in enumerate((*heads, f"{unit} used", "limit")):
        table.add_column(heading, justify="left" if place < 3 else "right")
    for row in summary:
        table.add_row(
            *(str(row[key]) for key in heads[:3]),
            str(row["layers"]),
            f"{row['cost']:,.6g}",
            "yes" if row["proven"] else f"within {row['cost'] / row['bound'] - 1:.1e}",
            *(
                "none" if not np.isfinite(row[key]) else f"{row[key] / row['cost']:.3f}x"
                for key in ("random", "genetic")
            ),
            f"{row['used']:,.6g}",
            f"{row['limit']:,.6g}",
        )
    console.print(table)
    console.print(
        f"random, genetic: the best of {config.strategy.samples or 10_000:,} assignments, over the optimum; "
        "none: not one was valid within the limit.",
        soft_wrap=True,
    )
    if "edp" in config.objectives:
        console.print("EDP is no sum over the layers and is left out.", soft_wrap=True)
