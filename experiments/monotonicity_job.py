"""One run of the monotonicity experiment."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from omegaconf import DictConfig, OmegaConf
from rich import box
from rich.console import Console
from rich.table import Table

from experiments.codesign_job import validated
from experiments.command import run_command
from experiments.results import write_csv, write_parquet
from experiments.run_folder import ROOT, digest, prepare, provenance
from experiments.study import SOURCES, Study, build, study_mark
from experiments.study_schema import MonotonicityConfig, register
from jaxmaestro.codesign import KINDS, Campaign, agreements, growth, latency_shares, spearman
from jaxmaestro.codesign.monotonicity import Agreement, most_displaced
from jaxmaestro.codesign.shares import Shares
from jaxmaestro.description import DescriptionError

_SOURCES = (*SOURCES, ROOT / "experiments/monotonicity_job.py")
FIGURES = ("latency", "energy")


@dataclasses.dataclass(frozen=True, eq=False)
class Monotonicity:
    """SRCC of every two points and what explains it."""

    srcc: dict[str, np.ndarray]  # by figure, [p, p]
    agreements: dict[str, list[Agreement]]
    shares: Shares
    growth: np.ndarray  # [p] exponent of the latency in the columns of the widest map


def measure(campaign: Campaign) -> Monotonicity:
    """The matrices of latency and energy, and the shares of the latency.

    Raises DescriptionError for fewer than two points with figures, or two architectures.
    """
    points = campaign.points
    if campaign.live.sum() < 2 or len(campaign.workloads) < 2:
        raise DescriptionError(
            f"{campaign.live.sum()} points with figures and {len(campaign.workloads)} architectures",
            fix="give 2 or more of each to compare rankings",
        )
    srcc = {name: spearman(getattr(campaign, name), campaign.live) for name in FIGURES}
    return Monotonicity(
        srcc=srcc,
        agreements={name: agreements(m, points.dataflow, points.dataflows) for name, m in srcc.items()},
        shares=latency_shares(campaign),
        growth=growth(campaign),
    )


def monotonicity(settings: DictConfig, folder: Path, console: Console) -> list[Path]:
    """Run in ``folder`` and return the paths of what it wrote.

    Raises:
        DescriptionError: a value is out of range, or the folder belongs to another configuration.
    """
    config = validated(settings, MonotonicityConfig)
    manifest = provenance(settings, monotonicity_mark(settings), "experiments.monotonicity", config.seed)
    study = build(config.space, config.accelerators, config.seed, Path(config.cache), console)
    campaign = study.campaign
    pairs = [_pair(campaign, names) for names in config.pairs]
    prepare(folder, manifest, resume=config.resume)
    found = measure(campaign)
    written = [folder / "srcc.parquet", folder / "srcc.csv", folder / "agreement.csv", folder / "shares.csv"]
    matrix = matrix_table(campaign, found)
    write_parquet(matrix, written[0], json.dumps(manifest))
    write_csv(matrix, written[1])
    rows = [{"figure": name} | dataclasses.asdict(a) for name in FIGURES for a in found.agreements[name]]
    write_csv(pa.Table.from_pylist(rows), written[2])
    write_csv(shares_table(campaign, found), written[3])
    if config.pictures:
        written += draw(study, found, folder, pairs or picked(campaign, found.srcc["latency"]))
    _print(console, campaign, found)
    return written


def _pair(campaign: Campaign, names: Sequence[str]) -> tuple[int, int]:
    if len(names) != 2:
        raise DescriptionError(f"pairs has {list(names)}", fix="give two points, such as [KC-P/1,X-P/1]")
    first, second = (campaign.points.index(name) for name in names)
    for point in (first, second):
        if not campaign.live[point]:
            raise DescriptionError(
                f"the point {campaign.points.names[point]} has no figures for every architecture",
                fix="take another (KC-P needs 64 PEs)",
            )
    return first, second


def picked(campaign: Campaign, srcc: np.ndarray) -> list[tuple[int, int]]:
    """Pairs worth drawing: the median and the worst within a dataflow, and the worst of all."""
    flow = campaign.points.dataflow
    upper = np.triu(np.isfinite(srcc), 1)
    within = upper & (flow[:, None] == flow)
    wanted = ((within, 0.5), (within, 0.0), (upper, 0.0))
    return list(dict.fromkeys(_at_quantile(srcc, mask, share) for mask, share in wanted if mask.any()))


def _at_quantile(srcc: np.ndarray, mask: np.ndarray, share: float) -> tuple[int, int]:
    places = np.argwhere(mask)
    ordered = places[np.argsort(srcc[mask], kind="stable")]
    first, second = ordered[int(share * (len(ordered) - 1))].tolist()
    return first, second


def draw(
    study: Study, found: Monotonicity, folder: Path, pairs: list[tuple[int, int]], prefix: str = ""
) -> list[Path]:
    """Heat maps, scatter plots and shares as PNG."""
    from experiments import codesign_pictures as pictures

    campaign = study.campaign
    return [
        pictures.write_picture(
            folder / f"{prefix}srcc.png",
            lambda figure: pictures.heat_maps(figure, campaign, found.srcc, study.name),
        ),
        pictures.write_picture(
            folder / f"{prefix}scatter.png",
            lambda figure: pictures.scatters(figure, campaign, pairs, found.srcc["latency"]),
        ),
        pictures.write_picture(
            folder / f"{prefix}shares.png", lambda figure: pictures.share_bars(figure, campaign, found.shares)
        ),
    ]


def matrix_table(campaign: Campaign, found: Monotonicity) -> pa.Table:
    """One row a pair of points: SRCC of latency and of energy, null where there is none."""
    points = campaign.points
    a, b = np.triu_indices(len(points), 1)
    names = pa.array(points.names)
    data = {"first": names.take(pa.array(a)), "second": names.take(pa.array(b))}
    for name in FIGURES:
        values = found.srcc[name][a, b]
        data[f"{name}_srcc"] = pa.array(values, mask=np.isnan(values))
    return pa.table(data)


def shares_table(campaign: Campaign, found: Monotonicity) -> pa.Table:
    """One row a dataflow and kind of layer: medians of the shares over points."""
    from experiments.codesign_pictures import median_by_dataflow

    latency = median_by_dataflow(campaign, found.shares.latency)
    variance = median_by_dataflow(campaign, found.shares.variance)
    flow, live = campaign.points.dataflow, campaign.live
    rows = []
    for d, name in enumerate(campaign.points.dataflows):
        mine = found.growth[live & (flow == d)]
        for kind, text in enumerate(KINDS):
            rows.append(
                {
                    "dataflow": name,
                    "kind": text,
                    "latency": float(latency[kind, d]),
                    "variance": float(variance[kind, d]),
                    "exponent": float(np.median(mine)) if mine.size else None,
                }
            )
    return pa.Table.from_pylist(rows)


def by_pes(campaign: Campaign, srcc: np.ndarray, first: int, second: int) -> dict[int, float]:
    """Median SRCC between two dataflows by the PEs of the second's accelerators."""
    points = campaign.points
    pes = np.array([h.num_pes for h in points.hardware])[points.accelerator]
    rows = points.dataflow == first
    found = {}
    for count in np.unique(pes):
        block = srcc[np.ix_(rows, (points.dataflow == second) & (pes == count))]
        if np.isfinite(block).any():
            found[int(count)] = float(np.nanmedian(block))
    return found


def monotonicity_mark(settings: DictConfig) -> str:
    """What identifies a run."""
    config = validated(settings, MonotonicityConfig)
    campaign = study_mark(config.space, config.accelerators, config.seed)
    return digest({"campaign": campaign, "pairs": config.pairs}, _SOURCES)


def register_marks() -> None:
    """Make ``${monotonicity_mark:}`` usable in ``conf/monotonicity.yaml``."""
    OmegaConf.register_new_resolver(
        "monotonicity_mark", lambda *, _root_: monotonicity_mark(_root_), replace=True, use_cache=False
    )


def run() -> None:
    """Run from the command line."""
    register()
    register_marks()
    run_command(monotonicity, "monotonicity")


def _print(console: Console, campaign: Campaign, found: Monotonicity) -> None:
    n = len(campaign.workloads)
    for name in FIGURES:
        table = Table(box=box.SIMPLE_HEAD, title=f"SRCC of {name} over pairs of points")
        headings = ("", "", "pairs", "min", "median", "below 0.9", "one may move")
        for heading in headings:
            table.add_column(heading, justify="right" if heading else "left")
        for a in found.agreements[name]:
            table.add_row(
                a.first,
                a.second,
                f"{a.pairs:,}",
                f"{a.minimum:.4f}",
                f"{a.median:.4f}",
                f"{100 * a.below:.0f}%",
                f"{most_displaced(a.median, n):,} ranks",
            )
        console.print(table)
    dead = [name for name, live in zip(campaign.points.names, campaign.live, strict=True) if not live]
    if dead:
        console.print(
            f"{len(dead)} of {len(campaign.points)} points have no figures and are left out: "
            f"{', '.join(dead[:4])}{' ...' if len(dead) > 4 else ''}.",
            soft_wrap=True,
        )
    console.print(f"'one may move': what the median SRCC does not exclude for one of {n:,} architectures.")
