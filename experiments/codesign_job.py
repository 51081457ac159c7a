"""One run of a co-design method: checked, searched or continued, written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from omegaconf import DictConfig, OmegaConf
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from experiments.command import run_command
from experiments.results import write_csv, write_parquet
from experiments.run_folder import ROOT, digest, prepare, provenance
from experiments.searching import (
    Found,
    check_method,
    make_constraints,
    proxies_of,
    run_method,
    score_row,
    shared_evaluations,
)
from experiments.stages import Stages
from experiments.study import SOURCES, Study, build, study_mark
from experiments.study_schema import CodesignConfig, MethodName, register
from jaxmaestro.codesign import Constraints, Figures, Outcome, fully_coupled

_SOURCES = (*SOURCES, ROOT / "experiments/searching.py", ROOT / "experiments/codesign_job.py")


def codesign(settings: DictConfig, folder: Path, console: Console) -> list[Path]:
    """Run or continue a search in ``folder`` and return the paths of what it wrote.

    Raises:
        DescriptionError: a value is out of range, or the folder belongs to another configuration.
        KeyboardInterrupt: stopped; finished steps are kept and a second run continues.
    """
    config = validated(settings, CodesignConfig)
    check_method(config.method)
    mark = codesign_mark(settings)
    manifest = provenance(settings, mark, "experiments.codesign", config.seed)
    study = build(config.space, config.accelerators, config.seed, Path(config.cache), console)
    constraints = make_constraints(study, config.constraints)
    runs = proxies_of(study, config.method)
    prepare(folder, manifest, resume=config.resume)
    stages = Stages(folder / "proxies")
    if not config.resume:
        for old in stages.folder.glob("*.npz"):
            old.unlink()
    coupled = fully_coupled(Figures.of(study.campaign, study.accuracy), constraints)
    rows, answers = [], []
    for name, proxies in track(runs.items(), "searching", console=console, transient=True):

        def search(proxies: tuple[int, ...] = proxies) -> dict[str, np.ndarray]:
            found = run_method(study, constraints, config.method, proxies, certified=True)
            return _packed(found, score_row(found, coupled))

        stored = stages.arrays(name.replace("/", "_"), search)
        rows.append({"proxy": name} | json.loads(str(stored["score"])))
        answers.append(_answers(study, constraints, coupled, name, stored))
    written = [folder / name for name in ("scores.parquet", "scores.csv", "answers.parquet")]
    scores = pa.Table.from_pylist([_flat(row, study) for row in rows])
    write_parquet(scores, written[0], json.dumps(manifest))
    write_csv(scores, written[1])
    write_parquet(pa.concat_tables(answers), written[2], json.dumps(manifest))
    _print(console, config, study, constraints, coupled, rows)
    return written


def validated(settings: DictConfig, schema: type) -> Any:
    """The configuration as dataclasses; also refuses keys that ``+key=value`` forced in."""
    # Hydra's own part names the run folder, which asks for the mark of the rest.
    ours = OmegaConf.masked_copy(settings, [str(key) for key in settings if key != "hydra"])
    plain = OmegaConf.to_container(ours, resolve=True)
    return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), plain))


def codesign_mark(settings: DictConfig) -> str:
    """What identifies a run: its campaign, the method and the constraints."""
    config = validated(settings, CodesignConfig)
    campaign = study_mark(config.space, config.accelerators, config.seed)
    groups = {g: OmegaConf.to_container(settings[g], enum_to_str=True) for g in ("method", "constraints")}
    return digest({"campaign": campaign} | groups, _SOURCES)


def register_marks() -> None:
    """Make ``${codesign_mark:}`` usable in ``conf/codesign.yaml``."""
    OmegaConf.register_new_resolver(
        "codesign_mark", lambda *, _root_: codesign_mark(_root_), replace=True, use_cache=False
    )


def run() -> None:
    """Run from the command line."""
    register()
    register_marks()
    run_command(codesign, "codesign")


def _packed(found: Found, row: dict[str, Any]) -> dict[str, np.ndarray]:
    outcome = found.outcome
    bound = np.full(len(outcome.architecture), np.nan) if found.bound is None else found.bound
    return {
        "score": np.array(json.dumps(row)),
        "architecture": outcome.architecture,
        "point": outcome.point,
        "accuracy": outcome.accuracy,
        "bound": bound,
    }


def _answers(
    study: Study, constraints: Constraints, coupled: Outcome, proxy: str, stored: dict[str, np.ndarray]
) -> pa.Table:
    """One row a constraint: limits, answer, optimum, certified bound on the loss."""
    names = np.array([*study.campaign.points.names, ""])  # -1: no answer
    numbers = np.append(study.index, -1)
    answered = stored["architecture"] >= 0
    return pa.table(
        {
            "proxy": pa.array([proxy] * len(constraints)).dictionary_encode(),
            "latency_limit": constraints.latency,
            "energy_limit": constraints.energy,
            "points_allowed": constraints.allowed.sum(1),
            "architecture": pa.array(numbers[stored["architecture"]], mask=~answered),
            "point": pa.array(names[stored["point"]], mask=~answered).dictionary_encode(),
            "accuracy": pa.array(stored["accuracy"], mask=~answered),
            "optimum": pa.array(coupled.accuracy, mask=coupled.architecture < 0),
            "bound": stored["bound"],
        }
    )


def _flat(row: dict[str, Any], study: Study) -> dict[str, Any]:
    flat = {key: value for key, value in row.items() if key != "inverted"}
    flows = study.campaign.points.dataflows
    inverted = row["inverted"] or [None] * len(flows)
    return flat | {f"inverted_{name}": n for name, n in zip(flows, inverted, strict=True)}


def _print(
    console: Console,
    config: CodesignConfig,
    study: Study,
    constraints: Constraints,
    coupled: Outcome,
    rows: list[dict[str, Any]],
) -> None:
    method = config.method
    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"{method.name.value}: {len(constraints):,} constraints ({config.constraints.problem.value}), "
        f"{rows[0]['constraints']:,} of them can be met",
    )
    for heading in ("proxy", "runs", "exact", "no answer", "largest loss", "mean loss", "bound"):
        table.add_column(heading, justify="left" if heading == "proxy" else "right")
    for heading in ("evaluations", "saved"):
        table.add_column(heading, justify="right")
    flows = dict.fromkeys(row["proxy"].split("/")[0] for row in rows)
    groups = {flow: [r for r in rows if r["proxy"].split("/")[0] == flow] for flow in flows}
    if len(rows) <= 12:
        groups = {row["proxy"]: [row] for row in rows}
    for name, mine in groups.items():
        worst, open_ = max(row["largest_bound"] for row in mine), sum(row["no_bound"] for row in mine)
        table.add_row(
            name if len(mine) == 1 else f"{name} (all)",
            str(len(mine)),
            f"{100 * np.mean([row['exact'] for row in mine]):.1f}%",
            f"{100 * np.mean([row['unanswered'] for row in mine]):.1f}%",
            f"{max(row['largest_loss'] for row in mine):.3f}",
            f"{np.mean([row['mean_loss'] for row in mine]):.4f}",
            f"{worst:.3f}{f' ({open_:,} open)' if open_ else ''}",
            f"{np.mean([row['evaluations'] for row in mine]):,.0f}",
            f"{np.mean([row['saved'] for row in mine]):.1f}x",
        )
    console.print(table)
    console.print(
        f"Losses in percentage points of accuracy against the coupled optimum ({coupled.evaluations:,} "
        f"evaluations; {shared_evaluations(study):,} if it remembered layers); bound: the largest loss that "
        "the method's own evaluations do not exclude (open: no answer, and none is excluded). An evaluation "
        "is the latency and energy of one architecture on one point.",
        soft_wrap=True,
    )
    if method.name is MethodName.adaptive:
        console.print(
            "Answers that the proxy's set did not have, by dataflow of the point: "
            + ", ".join(
                f"{name} {int(np.sum([row['inverted'][i] for row in rows]))}"
                for i, name in enumerate(study.campaign.points.dataflows)
            )
            + f", of {len(rows) * rows[0]['constraints']:,}. There monotonicity fails.",
            soft_wrap=True,
        )
