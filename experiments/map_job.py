"""One mapping search: checked, run or continued, its best mappings written and scored again."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from experiments.codesign_job import validated
from experiments.command import run_command
from experiments.map_results import (
    Result,
    convergence_table,
    distinct,
    print_result,
    results_table,
    write_mappings,
)
from experiments.map_schema import MapConfig, options_of, register
from experiments.networks import check_batches, networks_of, plain_model
from experiments.results import write_csv, write_parquet
from experiments.run_folder import ROOT, digest, prepare, provenance, register_model_name
from experiments.schema import HardwareConfig
from experiments.workloads import hardware_points
from jaxmaestro.description import DescriptionError, Hardware, Layer
from jaxmaestro.mapspace import MappingOptions, MappingSpace
from jaxmaestro.mapspace.enumeration import check_size
from jaxmaestro.search import (
    Budget,
    Found,
    History,
    Problem,
    Searcher,
    State,
    exhaustive,
    load,
    save,
    search,
    searcher,
)

_SOURCES = tuple(ROOT / f"experiments/{name}.py" for name in ("map_job", "networks", "workloads"))
_CHECKPOINT = "checkpoint.npz"


def map_layers(settings: DictConfig, folder: Path, console: Console) -> list[Path]:
    """Run or continue a search in ``folder`` and return the paths of what it wrote.

    Raises:
        DescriptionError: a value is out of range, or the folder belongs to another configuration.
        KeyboardInterrupt: stopped; a second run continues from the last checkpoint.
    """
    config: MapConfig = validated(settings, MapConfig)
    hardware, networks = accelerator(config.hw), networks_of(config.model)
    check_batches(networks)
    layers = distinct([layer for rows in networks.values() for layer, _ in rows])
    options = options_of(config.mapspace)
    check(config)
    every = config.search.name == "exhaustive"
    problem = Problem.of(
        list(layers.values()), hardware, config.objectives, config.seeds, options, config.archive
    )
    found = None if every else make_searcher(config, hardware)
    for layer in layers.values() if every else ():
        check_size(MappingSpace.of(layer, hardware.num_pes, options))
    manifest = provenance(settings, map_mark(settings), "experiments.map")
    manifest["seed"] = config.seeds
    prepare(folder, manifest, resume=config.resume)
    console.print(
        f"{', '.join(networks)}: {len(layers)} distinct layers, {len(config.seeds)} seeds, "
        f"{config.search.name} on {hardware.num_pes} PEs for {config.objectives[0]}",
        soft_wrap=True,
    )
    if found is None:
        result = _listed(config, problem, list(layers.values()), hardware, options, console)
    else:
        result = _searched(config, problem, found, folder, console)
    written = [folder / name for name in ("best.parquet", "best.csv", "convergence.parquet")]
    table = results_table(result, networks, layers, config)
    write_parquet(table, written[0], json.dumps(manifest))
    write_csv(table, written[1])
    write_parquet(convergence_table(result, layers, config), written[2], json.dumps(manifest))
    written += write_mappings(result, networks, layers, hardware, config, folder)
    if config.pictures:
        from experiments.map_pictures import draw

        written += draw(result, layers, config, folder)
    print_result(console, result, networks, layers, config, hardware)
    return written


def accelerator(config: HardwareConfig) -> Hardware:
    """The base point of a configuration; raises DescriptionError for a value out of range."""
    single = dataclasses.replace(config, grid=type(config.grid)())
    return hardware_points(single)[0]


def check(config: MapConfig) -> None:
    """Raises DescriptionError for values out of range."""
    for key in ("samples", "patience", "every", "archive"):
        if getattr(config, key) < 1:
            raise DescriptionError(f"{key} is {getattr(config, key)}", fix="it must be 1 or more")
    if config.archive > 1 and len(config.objectives) < 2:
        raise DescriptionError(
            f"archive is {config.archive}, with one objective",
            fix="give more objectives for a Pareto front, or archive=1",
        )


def make_searcher(config: MapConfig, hardware: Hardware) -> Searcher:
    """The searcher of a configuration; raises DescriptionError for one that is not there."""
    given = config.search
    objective = config.objectives[0] if config.objectives else ""
    return searcher(given.name, given.population, hardware, objective, given.options)


def _searched(config: MapConfig, problem: Problem, found: Searcher, folder: Path, console: Console) -> Result:
    place = folder / _CHECKPOINT
    start = load(place, found, problem) if config.resume and place.exists() else None
    if start is not None:
        console.print(f"Continuing after {len(start[1].seconds):,} steps.")
    population = config.search.population
    budget = Budget(config.samples, max(config.samples * config.patience // population, 1))
    progress = Progress(
        TextColumn("searching"),
        BarColumn(),
        TextColumn("{task.completed:,} of {task.total:,} samples  {task.fields[best]}  left"),
        TimeRemainingColumn(),
        console=console,
    )
    with progress:
        task = progress.add_task("", total=config.samples * len(problem), best="compiling")

        def report(state: State, history: History) -> None:
            save(place, state, history)
            done = int(np.asarray(state.spent).sum())
            progress.update(task, completed=done, best=_best(history, config.objectives[0]))

        if start is not None:
            report(*start)
        outcome: Found = search(found, problem, budget, start, config.every, report, fused=config.fused)
    return Result.of(outcome, problem)


def _best(history: History, objective: str) -> str:
    """Best so far: the geometric mean over the searches that have found something."""
    best = history.best[-1][:, 0] if len(history.best) else np.array([np.inf])
    there = best[np.isfinite(best)]
    if not len(there):
        return "nothing valid yet"
    missing = f", none in {len(best) - len(there)}" if len(there) < len(best) else ""
    return f"best {objective} {np.exp(np.log(there).mean()):,.5g}{missing}"


def _listed(
    config: MapConfig,
    problem: Problem,
    layers: list[Layer],
    hardware: Hardware,
    options: MappingOptions,
    console: Console,
) -> Result:
    """Every mapping of every layer; the seeds do not matter."""
    optima = []
    for layer in layers:
        optimum = exhaustive(layer, hardware, tuple(config.objectives), options, demand=False)
        console.print(f"  {layer.name}: {optimum.size:,} mappings, {optimum.valid:,} valid", soft_wrap=True)
        optima += [optimum] * len(config.seeds)
    genes = jax.tree.map(lambda *leaves: np.stack(leaves)[:, None], *[o.genes for o in optima])
    return Result(
        problem=problem,
        genes=genes,
        scores=np.stack([o.scores for o in optima])[:, None],
        valid=np.array([o.valid for o in optima]),
        evaluated=np.array([o.size for o in optima]),
        history=History.empty(len(problem), len(config.objectives)),
    )


def map_mark(settings: DictConfig) -> str:
    """What identifies a search: everything but how it is shown."""
    config = validated(settings, MapConfig)
    parts: dict[str, Any] = dataclasses.asdict(config)
    for key in ("pictures", "resume", "every", "fused"):
        parts.pop(key)
    parts["hw"].pop("grid")
    parts["model"] = plain_model(settings)
    plain = OmegaConf.to_container(OmegaConf.create(parts), enum_to_str=True)
    return digest({"map": plain}, _SOURCES)


def register_marks() -> None:
    """Make ``${map_mark:}`` and ``${model_name:}`` usable in ``conf/map.yaml``."""
    register_model_name()
    OmegaConf.register_new_resolver(
        "map_mark", lambda *, _root_: map_mark(_root_), replace=True, use_cache=False
    )


def run() -> None:
    """Run from the command line."""
    register()
    register_marks()
    run_command(map_layers, "map")
