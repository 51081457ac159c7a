"""A study: architectures of a space, their accuracies, and a campaign over every point."""

from __future__ import annotations

import csv
import dataclasses
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from experiments.run_folder import ROOT, digest
from experiments.stages import Stages
from experiments.study_schema import AcceleratorsConfig, Preset, Sampler, SpaceConfig
from jaxmaestro.codesign import Campaign, Plan, Points, TupleCosts, evaluate_tuples, join, plan
from jaxmaestro.description import DescriptionError
from jaxmaestro.spaces import (
    DATAFLOWS,
    HARDWARE_SPACE,
    Workloads,
    fork_points,
    fork_select,
    pareto_front,
    seeded_points,
    select_models,
    space,
)

SOURCES = tuple(ROOT / f"experiments/{name}.py" for name in ("study", "study_schema", "stages"))

CHUNK = 256
"""Pairs (layer, directives) evaluated and kept at a time."""

Log = Console


@dataclasses.dataclass(frozen=True, eq=False)
class Study:
    """n architectures that are kept of a sample, with what was found of them."""

    name: str
    campaign: Campaign
    accuracy: np.ndarray  # [n] percent
    flops: np.ndarray  # [n]
    index: np.ndarray  # [n] number in the sample
    sample_flops: np.ndarray  # [sampled]
    sample_parameters: np.ndarray  # [sampled]
    seconds: float  # from the sample to the totals, in this process


def check_space(config: SpaceConfig) -> None:
    """Raises DescriptionError for values out of range."""
    if config.count < 2:
        raise DescriptionError(f"space.count is {config.count}", fix="it must be 2 or more")
    if config.random < 0:
        raise DescriptionError(f"space.random is {config.random}", fix="it must be 0 or more")
    if config.rule not in ("fork", "exact"):
        raise DescriptionError(f"space.rule is {config.rule!r}", fix="give fork or exact")
    if config.table is not None and config.sampler is not Sampler.fork:
        raise DescriptionError(
            "space.table is of the seed's sample", fix="give space.sampler=fork, or space.table=null"
        )


def accelerator_points(config: AcceleratorsConfig, seed: int) -> Points:
    """The points of a configuration; raises DescriptionError for a dataflow or a count that is not there."""
    for name in config.dataflows:
        if name not in DATAFLOWS:
            raise DescriptionError(
                f"accelerators.dataflows has {name!r}", fix=f"give some of {', '.join(DATAFLOWS)}"
            )
    if config.preset is Preset.drawn:
        hardware = HARDWARE_SPACE.sample(seed, 51 if config.count is None else config.count)
    else:
        hardware = fork_points() if config.preset is Preset.fork else seeded_points()
        count = len(hardware) if config.count is None else config.count
        if not 1 <= count <= len(hardware):
            raise DescriptionError(f"accelerators.count is {count}", fix=f"it must be 1 to {len(hardware)}")
        hardware = hardware[:count]
    # KC-P/12 is easier to type than KC-P/accelerator_12.
    short = [point.replace(name=point.name.removeprefix("accelerator_")) for point in hardware]
    return Points(tuple(config.dataflows), tuple(short))


def study_mark(config: SpaceConfig, accelerators: AcceleratorsConfig, seed: int) -> str:
    """What identifies a campaign: configuration, seed, versions, sources, and the table's content."""
    weights = sorted((ROOT / "jaxmaestro/accuracy").rglob("weights/*"))
    table = [Path(config.table)] if config.table else []
    if table and not table[0].is_file():
        raise DescriptionError(f"space.table: there is no file {config.table}", fix="give a CSV, or null")
    parts: dict[str, Any] = {
        "space": _plain(config) | {"table": bool(table)},
        "accelerators": _plain(accelerators),
        "seed": seed,
    }
    return digest(parts, [*SOURCES, *weights, *table])


def _plain(config: object) -> dict[str, Any]:
    assert dataclasses.is_dataclass(config) and not isinstance(config, type)
    return {key: getattr(value, "value", value) for key, value in dataclasses.asdict(config).items()}


def build(
    config: SpaceConfig, accelerators: AcceleratorsConfig, seed: int, cache: Path, console: Log
) -> Study:
    """Sample, select, evaluate; steps that an earlier run left in ``cache`` are read.

    Raises:
        DescriptionError: a value is out of range, or a table lacks something.
        KeyboardInterrupt: stopped; finished steps are kept.
    """
    check_space(config)
    points = accelerator_points(accelerators, seed)
    stages = Stages(cache / f"{config.name}-{study_mark(config, accelerators, seed)}")
    start = time.perf_counter()
    family: Any = space(config.name)
    fork = config.sampler is Sampler.fork
    sample: Any = family.fork_sample(config.count) if fork else family.sample(seed, config.count)

    def select() -> dict[str, np.ndarray]:
        flops = family.flops(sample)
        accuracy = _accuracies(config, sample, len(flops))
        return {
            "flops": flops,
            "parameters": family.parameters(sample),
            "accuracy": accuracy,
            "index": _selected(config, accuracy, flops, seed),
        }

    models = stages.arrays("models", select)
    index = models["index"]
    grid = family.layers(sample, config.rule)
    workloads: Workloads = grid.workloads().select(index).unique_used()
    todo = plan(workloads.layers, points)
    console.print(
        f"{config.name}: {len(index):,} of {len(models['flops']):,} architectures, "
        f"{len(workloads.layers)} distinct layers in {workloads.occurrences:,}; {len(points)} points, "
        f"{len(todo):,} distinct tuples",
        soft_wrap=True,
    )
    campaign = Campaign(workloads, todo, _tuples(todo, stages))
    campaign.latency.sum(), campaign.energy.sum()
    seconds = time.perf_counter() - start
    console.print(f"{config.name}: campaign after {seconds:.1f} s", soft_wrap=True)
    return Study(
        name=config.name,
        campaign=campaign,
        accuracy=models["accuracy"][index],
        flops=models["flops"][index],
        index=index,
        sample_flops=models["flops"],
        sample_parameters=models["parameters"],
        seconds=seconds,
    )


def _tuples(todo: Plan, stages: Stages) -> TupleCosts:
    parts = []
    for start in range(0, len(todo.pairs), CHUNK):

        def evaluate(start: int = start) -> dict[str, np.ndarray]:
            return vars(evaluate_tuples(todo, start, start + CHUNK))

        parts.append(TupleCosts(**stages.arrays(f"tuples-{start:06d}", evaluate)))
    return join(parts)


def _accuracies(config: SpaceConfig, sample: Any, count: int) -> np.ndarray:
    """Percent, of every architecture of the sample: from the table where it has them, else predicted."""
    rows = _table(config)
    for name in ("accuracy", "predicted_accuracy"):
        if rows and name in rows[0]:
            found = np.full(count, np.nan)
            for line, row in enumerate(rows):
                found[_number(config, row, line, count)] = _value(config, row, name, line)
            return _complete(config, found)
    from jaxmaestro.accuracy import predict

    return np.asarray(predict(config.name, sample), np.float64)


def _selected(config: SpaceConfig, accuracy: np.ndarray, flops: np.ndarray, seed: int) -> np.ndarray:
    rows = _table(config)
    if rows and "selected" in rows[0]:
        count = len(flops)
        chosen = [_number(config, row, i, count) for i, row in enumerate(rows) if row["selected"] == "1"]
        if not chosen or len(set(chosen)) < len(chosen):
            raise DescriptionError(
                f"{config.table} selects no architecture, or one of them twice",
                fix="give selected=1 once for each that is kept",
            )
        return np.array(chosen, np.int64)
    if config.random == 0:
        return pareto_front(accuracy, flops)
    choose = fork_select if config.sampler is Sampler.fork else select_models
    return choose(accuracy, flops, config.random, *(() if config.sampler is Sampler.fork else (seed,)))


def _table(config: SpaceConfig) -> list[dict[str, str]]:
    if config.table is None:
        return []
    try:
        with Path(config.table).open(newline="") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error):
        rows = []
    if not rows or not {"accuracy", "predicted_accuracy", "selected"} & rows[0].keys():
        raise DescriptionError(
            f"{config.table} is no CSV with a column accuracy, predicted_accuracy or selected",
            fix="give one, or space.table=null",
        )
    return rows


def _number(config: SpaceConfig, row: dict[str, str], line: int, count: int) -> int:
    number = _value(config, row, "index", line) if "index" in row else line
    if not (0 <= number < count and number == int(number)):
        raise DescriptionError(
            f"there is no architecture {number:g}",
            source=str(config.table),
            line=line + 2,
            fix=f"the sample has {count}, from 0",
        )
    return int(number)


def _value(config: SpaceConfig, row: dict[str, str], column: str, line: int) -> float:
    try:
        value = float(row[column])
    except (ValueError, TypeError):  # None: the row is too short
        value = math.nan
    if not math.isfinite(value):
        raise DescriptionError(
            f"{column} is {row[column]!r}", source=str(config.table), line=line + 2, fix="give a number"
        )
    return value


def _complete(config: SpaceConfig, accuracy: np.ndarray) -> np.ndarray:
    missing = np.flatnonzero(np.isnan(accuracy))
    if missing.size:
        raise DescriptionError(
            f"{config.table} has no accuracy for {missing.size} architectures, the first is {missing[0]}",
            fix="give one for each of the sample, or space.table=null",
        )
    return accuracy
