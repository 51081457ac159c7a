"""Co-design of accelerators and mappings: for every network and budget a search, checked and written.

Driven by ``python -m experiments.codesign space=networks``. A second run of the same configuration
continues the first one.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from experiments.codesign_job import validated
from experiments.codesign_networks_results import (
    Case,
    Finding,
    designs_table,
    export,
    front_table,
    history_table,
    missing,
    print_designs,
    write_report,
)
from experiments.codesign_networks_schema import (
    BudgetConfig,
    CodesignNetworksConfig,
    StrategyConfig,
    register,
)
from experiments.command import run_command
from experiments.map_schema import options_of
from experiments.networks import check_batches, networks_of, resolved
from experiments.results import write_csv, write_parquet
from experiments.run_folder import ROOT, digest, prepare, provenance
from experiments.stages import Stages
from jaxmaestro.accelerators import (
    Budget,
    DesignSpace,
    Exploration,
    GeneticLoop,
    OneLoop,
    Outcome,
    Problem,
    Report,
    TwoLoop,
    genetic_loop,
    one_loop,
    two_loop,
)
from jaxmaestro.description import DescriptionError, Layer
from jaxmaestro.mapspace import MappingSpace

_SOURCES = tuple(
    ROOT / f"experiments/{name}.py"
    for name in ("codesign_networks", "codesign_networks_results", "codesign_pipelines", "networks", "stages")
)
_FIELDS = {
    "one_loop": ("rounds", "steps", "population"),
    "two_loop": ("outer", "trials", "batch", "steps", "population"),
    "genetic": ("population", "generations"),
    "confuciux": ("style", "limited", "share", "samples"),
}
"""What each strategy takes."""


def design_networks(settings: DictConfig, folder: Path, console: Console) -> list[Path]:
    """Run or continue the searches in ``folder`` and return the paths of what they wrote.

    Raises:
        DescriptionError: a value is out of range, a budget cannot be kept, or the folder belongs to
            another configuration.
        KeyboardInterrupt: stopped; finished steps are kept and a second run continues.
    """
    settings = resolved(settings)
    config: CodesignNetworksConfig = validated(settings, CodesignNetworksConfig)
    check_strategy(config.strategy)
    if not 0 <= config.seed < 2**32:
        raise DescriptionError(f"seed is {config.seed}", fix="give one from 0 to 2**32 - 1")
    networks = networks_of(config.model)
    if config.together:
        joined = [pair for rows in networks.values() for pair in rows]
        networks = {"+".join(networks): joined}
    check_batches(networks)
    manifest = provenance(settings, networks_mark(settings), "experiments.codesign", config.seed)
    if config.strategy.name == "confuciux":
        from experiments.codesign_pipelines import assign_pipelines

        return assign_pipelines(config, networks, folder, manifest, console)
    cases = cases_of(config, networks)
    prepare(folder, manifest, resume=config.resume)
    stages = Stages(folder / "steps")
    if not config.resume:
        for old in stages.folder.glob("*.npz"):
            old.unlink()
    findings = [_found(case, config.strategy, stages, console) for case in cases]
    written = [folder / f"{name}.{kind}" for name in ("designs", "front") for kind in ("csv", "parquet")]
    written.append(folder / "history.parquet")
    exported = [path for finding in findings for path in export(finding, folder)]
    absent = missing(findings)
    designs, front, history = designs_table(findings), front_table(findings), history_table(findings)
    for table, name in ((designs, "designs"), (front, "front")):
        write_csv(table, folder / f"{name}.csv")
        write_parquet(table, folder / f"{name}.parquet", json.dumps(manifest))
    write_parquet(history, folder / "history.parquet", json.dumps(manifest))
    pictures: list[Path] = []
    if config.pictures:
        from experiments.codesign_networks_pictures import draw

        pictures = draw(findings, folder)
    written += pictures + write_report(findings, pictures, folder, config.strategy.name)
    print_designs(console, findings, config.strategy.name)
    for line in absent:
        console.print(line, soft_wrap=True)
    return written + exported


def cases_of(config: CodesignNetworksConfig, networks: dict[str, list[tuple[Layer, int]]]) -> list[Case]:
    """A search for every network and budget; raises DescriptionError for one that cannot be."""
    found = []
    for name, budget in budgets_of(config).items():
        space = space_of(config.budget.budgets[name])
        most = max(point.num_pes for point in space.points(budget))
        for network, layers in networks.items():
            options = options_of(config.mapspace)
            problem = Problem.of(layers, space, budget, config.objectives, config.seed, options)
            MappingSpace.of(list(problem.layers), most, options)  # refused before anything is searched
            found.append(Case(network, name, problem))
    return found


def budgets_of(config: CodesignNetworksConfig) -> dict[str, Budget]:
    """The budgets of a configuration; raises DescriptionError for none, or one that cannot be."""
    if not config.budget.budgets:
        raise DescriptionError("budget.budgets is empty", fix="choose a budget, such as budget=edge")
    return {
        name: Budget(each.area, each.power, each.model, name) for name, each in config.budget.budgets.items()
    }


def space_of(config: BudgetConfig) -> DesignSpace:
    """The accelerators of a budget; raises DescriptionError for values out of range."""
    lists = ("num_pes", "noc_bandwidth", "offchip_bandwidth", "l1_sizes", "l2_sizes")
    plain = ("noc_hops", "hop_latency", "simd_lanes")
    if config.simd_lanes != 1:
        raise DescriptionError(
            f"simd_lanes of the budget is {config.simd_lanes}, which hardware files cannot say",
            fix="give 1; jaxmaestro.accelerators takes others",
        )
    given: dict[str, Any] = {name: tuple(getattr(config, name)) for name in lists}
    return DesignSpace(**given, **{name: getattr(config, name) for name in plain})


def check_strategy(config: StrategyConfig) -> None:
    """Raises DescriptionError for a strategy that is not known, or fields and values that it cannot have."""
    if config.name not in _FIELDS:
        raise DescriptionError(f"there is no strategy {config.name!r}", fix=f"give {', '.join(_FIELDS)}")
    taken = _FIELDS[config.name]
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name == "name" or value is None:
            continue
        if field.name not in taken:
            raise DescriptionError(
                f"strategy {config.name} has no {field.name}", fix=f"it has {', '.join(taken)}"
            )
        least = 24 if field.name == "population" else 1
        if isinstance(value, int) and value < least:
            raise DescriptionError(f"strategy.{field.name} is {value}", fix=f"give {least} or more")
    method_of(config)


def method_of(config: StrategyConfig) -> OneLoop | TwoLoop | GeneticLoop | None:
    """The method of a strategy with its settings; raises DescriptionError for values that cannot be."""
    given = {name: getattr(config, name) for name in _FIELDS[config.name]}
    given = {name: value for name, value in given.items() if value is not None}
    if config.name == "confuciux":
        return None
    if config.name == "genetic":
        return GeneticLoop(**given)
    population = given.pop("population", Exploration().population)
    if config.name == "one_loop":
        return OneLoop(**given, exploration=Exploration(population))
    return TwoLoop(**given, exploration=Exploration(population, focus=0.95))


def _found(case: Case, strategy: StrategyConfig, stages: Stages, console: Console) -> Finding:
    """The outcome of a case, with progress on the terminal."""
    method = method_of(strategy)
    progress = Progress(
        TextColumn(f"{case.network}, {case.budget}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f}%  {task.fields[best]}"),
        TimeElapsedColumn(),
        console=console,
    )
    with progress:
        task = progress.add_task("", total=1.0, best="")

        def report(share: float, best: dict[str, float]) -> None:
            told = ", ".join(f"best {goal} {value:,.5g}" for goal, value in best.items())
            progress.update(task, completed=share, best=told or "nothing within the budget yet")

        outcome = _run(case, method, stages, report)
    return Finding(case, outcome)


def _run(
    case: Case, method: OneLoop | TwoLoop | GeneticLoop | None, stages: Stages, report: Report
) -> Outcome:
    def keep(name: str, compute: Any) -> Any:
        return stages.arrays(f"{case.network}-{case.budget}-{name}".replace("/", "_"), compute)

    if isinstance(method, OneLoop):
        return one_loop(case.problem, method, keep, report)
    if isinstance(method, TwoLoop):
        return two_loop(case.problem, method, keep, report)
    return genetic_loop(case.problem, method, keep, report)


def networks_mark(settings: DictConfig) -> str:
    """What identifies a run: everything but how it is shown."""
    config = validated(resolved(settings), CodesignNetworksConfig)
    parts: dict[str, Any] = dataclasses.asdict(config)
    for key in ("pictures", "resume"):
        parts.pop(key)
    plain = OmegaConf.to_container(OmegaConf.create(parts), enum_to_str=True)
    return digest({"codesign_networks": plain}, _SOURCES)


def register_marks() -> None:
    """Make ``${networks_mark:}`` usable in ``conf/codesign_networks.yaml``."""
    OmegaConf.register_new_resolver(
        "networks_mark", lambda *, _root_: networks_mark(_root_), replace=True, use_cache=False
    )


def run() -> None:
    """Run from the command line."""
    register()
    register_marks()
    run_command(design_networks, "codesign_networks", "space=networks")
