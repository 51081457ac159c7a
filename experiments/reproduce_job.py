"""One run of the whole experiment: every space, every problem, every method, one report."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import track

from experiments.codesign_job import validated
from experiments.command import run_command
from experiments.document import write_document
from experiments.monotonicity_job import draw, measure, picked
from experiments.reproduce_report import SpaceResults, report
from experiments.results import write_csv, write_parquet
from experiments.run_folder import ROOT, digest, prepare, provenance
from experiments.searching import (
    NO_PROXY,
    make_constraints,
    proxies_of,
    run_method,
    score_row,
    shared_evaluations,
)
from experiments.stages import Records
from experiments.study import SOURCES, Study, build, study_mark
from experiments.study_schema import (
    ConstraintsConfig,
    MethodConfig,
    MethodName,
    ReproduceConfig,
    register,
)
from jaxmaestro.codesign import Constraints, Figures, fully_coupled
from jaxmaestro.description import DescriptionError

_SOURCES = (*SOURCES, ROOT / "experiments/searching.py", ROOT / "experiments/reproduce_job.py")


def reproduce(settings: DictConfig, folder: Path, console: Console) -> list[Path]:
    """Run or continue everything in ``folder`` and return the paths of what it wrote.

    Raises:
        DescriptionError: a value is out of range, or the folder belongs to another configuration.
        KeyboardInterrupt: stopped; finished steps are kept and a second run continues.
    """
    start = time.perf_counter()
    config: ReproduceConfig = validated(settings, ReproduceConfig)
    _check(config)
    manifest = provenance(settings, reproduce_mark(settings), "experiments.reproduce", config.seed)
    prepare(folder, manifest, resume=config.resume)
    records = Records(folder / "scores.jsonl")
    if not config.resume:
        records.path.unlink(missing_ok=True)
    spaces, written = [], []
    campaign_seconds = 0.0
    for name, space in config.spaces.items():
        study = build(space, config.accelerators, config.seed, Path(config.cache), console)
        campaign_seconds += study.seconds
        found = measure(study.campaign)
        pairs = picked(study.campaign, found.srcc["latency"])
        pictures = draw(study, found, folder, pairs, prefix=f"{name}_")
        scores = {
            label: _search_all(name, label, study, constraints, config, records, console)
            for label, constraints in config.constraints.items()
        }
        spaces.append(SpaceResults(name, study, found, scores, shared_evaluations(study), pictures))
        written += pictures
    rows = [
        {"space": space.name, "problem": label} | {k: v for k, v in row.items() if k != "inverted"}
        for space in spaces
        for label, found_rows in space.scores.items()
        for row in found_rows
    ]
    table = pa.Table.from_pylist(rows)
    write_parquet(table, folder / "scores.parquet", json.dumps(manifest))
    write_csv(table, folder / "scores.csv")
    blocks, drawn = report(spaces, manifest, folder, campaign_seconds, time.perf_counter() - start)
    title = "Semi-decoupled co-design, reproduced"
    return [
        *written,
        *drawn,
        folder / "scores.parquet",
        folder / "scores.csv",
        *write_document(folder, "report", title, blocks),
    ]


def _check(config: ReproduceConfig) -> None:
    if not config.spaces or not config.constraints:
        raise DescriptionError("spaces or constraints is empty", fix="give one or more of each")
    if config.proxies is not None and config.proxies < 1:
        raise DescriptionError(f"proxies is {config.proxies}", fix="it must be 1 or more, or null for all")
    if any(size < 1 for size in config.sizes):
        raise DescriptionError(f"sizes is {config.sizes}", fix="each must be 1 or more")


def methods(sizes: list[int]) -> dict[str, MethodConfig]:
    """What is compared, by name."""
    found = {
        "fully coupled": MethodConfig(name=MethodName.fully_coupled),
        "decoupled, most accurate": MethodConfig(name=MethodName.fully_decoupled, proxies=[NO_PROXY]),
        "decoupled, by proxy": MethodConfig(name=MethodName.fully_decoupled),
        "semi-decoupled": MethodConfig(name=MethodName.semi_decoupled),
    }
    for size in sizes:
        found[f"semi-decoupled, {size}"] = MethodConfig(name=MethodName.semi_decoupled, size=size)
    return found | {"adaptive": MethodConfig(name=MethodName.adaptive)}


def _search_all(
    space: str,
    problem: str,
    study: Study,
    config: ConstraintsConfig,
    everything: ReproduceConfig,
    records: Records,
    console: Console,
) -> list[dict[str, Any]]:
    """A row for each method and proxy; those on record are read."""
    constraints: Constraints = make_constraints(study, config)
    coupled = fully_coupled(Figures.of(study.campaign, study.accuracy), constraints)
    known = records.load()
    jobs = [
        (name, method, proxy, points)
        for name, method in methods(list(everything.sizes)).items()
        for proxy, points in _thinned(study, proxies_of(study, method), everything.proxies).items()
    ]
    rows = []
    for name, method, proxy, points in track(
        jobs, f"{space}, {problem}", console=console, transient=True, update_period=0.5
    ):
        key = f"{space}|{problem}|{name}|{proxy}"
        if key not in known:
            certified = method.name is MethodName.semi_decoupled and method.size is None
            found = run_method(study, constraints, method, points, certified=certified)
            known[key] = score_row(found, coupled)
            records.add(key, known[key])
        rows.append({"method": name, "proxy": proxy} | known[key])
    return rows


def _thinned(study: Study, runs: dict[str, tuple[int, ...]], most: int | None) -> dict[str, tuple[int, ...]]:
    """At most so many proxies of each dataflow, evenly spread over its points."""
    if most is None or NO_PROXY in runs:
        return runs
    flow = study.campaign.points.dataflow
    kept: dict[str, tuple[int, ...]] = {}
    for number in np.unique(flow):
        mine = [name for name, points in runs.items() if flow[points[0]] == number]
        if mine:
            places = np.unique(np.linspace(0, len(mine) - 1, most).round().astype(int))
            kept |= {mine[i]: runs[mine[i]] for i in places}
    return kept


def reproduce_mark(settings: DictConfig) -> str:
    """What identifies a run."""
    config = validated(settings, ReproduceConfig)
    campaigns = [study_mark(space, config.accelerators, config.seed) for space in config.spaces.values()]
    keys = ("constraints", "sizes", "proxies")
    parts = {
        key: OmegaConf.to_container(OmegaConf.create({"x": settings[key]}), enum_to_str=True) for key in keys
    }
    return digest({"campaigns": campaigns} | parts, _SOURCES)


def register_marks() -> None:
    """Make ``${reproduce_mark:}`` usable in ``conf/reproduce.yaml``."""
    OmegaConf.register_new_resolver(
        "reproduce_mark", lambda *, _root_: reproduce_mark(_root_), replace=True, use_cache=False
    )


def run() -> None:
    """Run from the command line."""
    register()
    register_marks()
    run_command(reproduce, "reproduce")
