"""The report of the whole experiment: what was sampled, how alike accelerators rank, what methods lose."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.codesign_pictures import losses_by_size, median_by_dataflow, method_bars, write_picture
from experiments.document import Block, Grid, Heading, Paragraph, Picture
from experiments.monotonicity_job import Monotonicity, by_pes
from experiments.study import Study
from jaxmaestro.codesign import KINDS, most_displaced

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True, eq=False)
class SpaceResults:
    """All that was found for a space."""

    name: str
    study: Study
    monotonicity: Monotonicity
    scores: dict[str, list[Row]]  # by problem, a row a method and proxy
    shared: int  # evaluations that tell everything if layers are remembered
    pictures: list[Path]


def report(
    spaces: Sequence[SpaceResults],
    manifest: dict[str, Any],
    folder: Path,
    campaign_seconds: float,
    seconds: float,
) -> tuple[list[Block], list[Path]]:
    """Blocks of the report, and the pictures that were drawn for it."""
    drawn: list[Path] = []
    blocks: list[Block] = [
        Heading("Semi-decoupled co-design, reproduced", 1),
        Paragraph(
            "Lu, Yan, Shi, Ren: A Semi-Decoupled Approach to Fast and Optimal Hardware-Software Co-Design of "
            f"Neural Accelerators (tinyML 2022). Seed {manifest['seed']}; configuration and versions in "
            f"run.json (fingerprint {manifest['fingerprint']}, jaxmaestro "
            f"{manifest['versions']['jaxmaestro']}, "
            f"jax {manifest['versions']['jax']}). Campaigns {campaign_seconds:.0f} s, everything "
            f"{seconds:.0f} s in this process; what an earlier run left was read."
        ),
        Heading("What was evaluated"),
        _evaluated(spaces),
        Paragraph(
            "FLOPs and parameters in millions, of the whole sample: smallest / median / largest. Layers are "
            "distinct shapes of the architectures that were kept, and all their occurrences. Live points "
            "have "
            "figures for every architecture: KC-P has clusters of 64 PEs, and the C++ reference dies where "
            "there are fewer."
        ),
        *(Paragraph(f"Accuracy, {space.name}. {_accuracy(space)}") for space in spaces),
        Heading("Monotonicity"),
        _agreements(spaces),
        Paragraph(
            "SRCC over all pairs of live points, smallest and median; share of the pairs below 0.9. 'May "
            "move': "
            "by how many ranks a single architecture may differ at the median SRCC. Near 1 it still lets "
            "some "
            "architecture move far, so an SRCC by itself certifies no loss; the adaptive search does not use "
            "it."
        ),
    ]
    for space in spaces:
        blocks.append(Heading(f"{space.name}: accelerators side by side", 3))
        blocks += [Picture(path, _CAPTIONS[path.stem.rsplit("_", 1)[1]]) for path in space.pictures]
        blocks += [Paragraph(text) for text in why(space)]
    blocks += [
        Heading("Co-design"),
        Paragraph(
            "A constraint limits latency, energy and area. product: any architecture on any point; each: the "
            "point is given, every one in turn. An evaluation is the latency and energy of one architecture "
            "on "
            "one point; one that was made serves all constraints. Losses are percentage points of accuracy "
            "against the fully coupled optimum, over the constraints that something meets; saved: "
            "evaluations "
            "of the coupled search over those of the method. Shares and means over proxies; the largest loss "
            "over all of them."
        ),
    ]
    for space in spaces:
        for problem, rows in space.scores.items():
            blocks += [Heading(f"{space.name}, {problem}", 3), _scores(rows)]
        blocks.append(Paragraph(_sharing(space)))
        blocks += [Heading(f"{space.name}: by dataflow of the proxy", 3), _by_proxy(space)]
        for name, draw, text in _drawings(space):
            path = write_picture(folder / f"{space.name}_{name}.png", draw)
            drawn.append(path)
            blocks.append(Picture(path, text))
    blocks += [Heading("What the adaptive search certifies"), *(Paragraph(_certified(s)) for s in spaces)]
    return blocks, drawn


_CAPTIONS = {
    "srcc": "SRCC of latency and energy between every two points.",
    "scatter": "Two points each, an architecture a dot: the median and the worst pair within a dataflow, "
    "and the worst of all.",
    "shares": "Medians over the points of a dataflow: which layers take the latency, and which decide how "
    "architectures differ.",
}


def _evaluated(spaces: Sequence[SpaceResults]) -> Grid:
    head = ["space", "sampled", "kept", "FLOPs (M)", "parameters (M)", "layers", "points", "live", "tuples"]
    rows = []
    for space in spaces:
        study, campaign = space.study, space.study.campaign
        rows.append(
            [
                space.name,
                f"{len(study.sample_flops):,}",
                f"{len(study.index):,}",
                _spread(study.sample_flops),
                _spread(study.sample_parameters),
                f"{len(campaign.workloads.layers)} in {campaign.workloads.occurrences:,}",
                str(len(campaign.points)),
                str(int(campaign.live.sum())),
                f"{len(campaign.plan):,} for {campaign.layer_evaluations:,}",
            ]
        )
    return Grid(head, rows)


def _spread(values: np.ndarray) -> str:
    return " / ".join(f"{x / 1e6:.2f}" for x in (values.min(), np.median(values), values.max()))


def _accuracy(space: SpaceResults) -> str:
    from jaxmaestro.accuracy import about

    low, high = space.study.accuracy.min(), space.study.accuracy.max()
    return f"{low:.2f} to {high:.2f} % among those kept. If no table was given: {about(space.name)}"


def _agreements(spaces: Sequence[SpaceResults]) -> Grid:
    head = ["space", "figure", "points", "pairs", "min", "median", "below 0.9", "may move"]
    rows = []
    for space in spaces:
        n = len(space.study.index)
        for figure, found in space.monotonicity.agreements.items():
            for a in found:
                rows.append(
                    [
                        space.name,
                        figure,
                        f"{a.first} x {a.second}",
                        f"{a.pairs:,}",
                        f"{a.minimum:.4f}",
                        f"{a.median:.4f}",
                        f"{100 * a.below:.0f} %",
                        f"{most_displaced(a.median, n):,} of {n:,}",
                    ]
                )
    return Grid(head, rows, left=3)


def why(space: SpaceResults) -> list[str]:
    """Where latency is not monotone between two dataflows and why, from what was measured."""
    campaign, found = space.study.campaign, space.monotonicity
    flows = campaign.points.dataflows
    failing = [a for a in found.agreements["latency"] if a.first != a.second and a.median < 0.9]
    if not failing:
        lowest = min(a.minimum for a in found.agreements["latency"])
        return [f"Latency is monotone between all dataflows here: no SRCC is below {lowest:.3f}."]
    texts = []
    shares = median_by_dataflow(campaign, found.shares.latency)
    exponent = [
        float(np.median(found.growth[campaign.live & (campaign.points.dataflow == d)]))
        for d in range(len(flows))
    ]
    for a in failing:
        i, j = flows.index(a.first), flows.index(a.second)
        moved = np.argsort(-np.abs(shares[:, i] - shares[:, j]))[:3]
        kinds = "; ".join(
            f"{KINDS[k]}: {100 * shares[k, i]:.0f} % against {100 * shares[k, j]:.0f} %" for k in moved
        )
        steps = by_pes(campaign, found.srcc["latency"], i, j)
        pes = ", ".join(f"{value:.2f} at {count}" for count, value in steps.items())
        block = np.ix_(campaign.points.dataflow == i, campaign.points.dataflow == j)
        without = [float(np.nanmedian(found.shares.without[k][block])) for k in moved]
        left = ", ".join(f"{value:.2f} without {KINDS[k]}" for value, k in zip(without, moved, strict=True))
        texts.append(
            f"{a.first} and {a.second} do not rank alike (median SRCC {a.median:.3f}). Their latency comes "
            "from "
            f"different layers: {kinds} (share under {a.first}, under {a.second}). With the number of input "
            f"columns latency grows by the power {exponent[i]:.1f} under {a.first} and {exponent[j]:.1f} "
            "under "
            f"{a.second}. Median SRCC by PEs of {a.second}: {pes}. And {left} (neither side counts the kind)."
        )
    texts.append(
        "KC-P spreads channels over the PEs and keeps them busy whatever the map, so its latency follows the "
        "work "
        "of a layer. X-P and YR-P spread columns and rows of the map: late layers have few of them and a "
        "linear "
        "or squeeze-excite layer has one, so most PEs wait there, the more so the more there are. Under KC-P "
        "wide early maps weigh as much as narrow late ones; under X-P and YR-P narrow ones with many "
        "channels "
        "are nearly everything. So what makes an architecture slow under one (resolution) is not what makes "
        "it "
        "slow under the other (depth and channels of the last stages). With few PEs all maps are wide "
        "enough, "
        "and the rankings come closer. Depthwise layers have one template under all three."
    )
    return texts


def _by_method(rows: Sequence[Row]) -> dict[str, list[Row]]:
    return {
        name: [r for r in rows if r["method"] == name] for name in dict.fromkeys(r["method"] for r in rows)
    }


def _scores(rows: Sequence[Row]) -> Grid:
    head = ["method", "runs", "constraints", "exact", "no answer", "largest loss", "mean loss"]
    head += ["certified", "evaluations", "saved"]
    table = []
    for name, mine in _by_method(rows).items():
        bounds = [r["largest_bound"] for r in mine if r.get("largest_bound") is not None]
        open_ = sum(r.get("no_bound") or 0 for r in mine)
        answered = any(r["unanswered"] < 1 for r in mine)
        certified = f"{max(bounds):.3f}{f' ({open_} open)' if open_ else ''}" if bounds else "-"
        table.append(
            [
                name,
                str(len(mine)),
                f"{mine[0]['constraints']:,}",
                f"{100 * np.mean([r['exact'] for r in mine]):.2f} %",
                f"{100 * np.mean([r['unanswered'] for r in mine]):.2f} %",
                f"{max(r['largest_loss'] for r in mine):.4f}" if answered else "-",
                f"{np.mean([r['mean_loss'] for r in mine]):.5f}" if answered else "-",
                certified,
                f"{np.mean([r['evaluations'] for r in mine]):,.0f}",
                f"{np.mean([r['saved'] for r in mine]):,.1f}x",
            ]
        )
    return Grid(head, table)


def _sharing(space: SpaceResults) -> str:
    live = int(space.study.campaign.live.sum())
    coupled = live * len(space.study.index)
    return (
        "Certified: the largest loss that the method's own evaluations do not exclude. An evaluation lists "
        "its "
        f"layers; a coupled search that remembered them would need {space.shared:,} of {coupled:,} "
        "evaluations "
        f"({space.shared // live} a point, whose layers are those of all architectures), the adaptive search "
        "the number above. With the costs of all distinct layers at hand, as in this library, every total is "
        "a "
        "sum and the coupled optimum costs nothing more: the savings matter where an evaluation is slow."
    )


def _by_proxy(space: SpaceResults) -> Grid:
    head = ["problem", "method", "proxies", "runs", "exact, worst", "exact, mean", "largest loss"]
    head += ["mean loss", "members", "evaluations", "added answers"]
    table = []
    for problem, rows in space.scores.items():
        for name in ("semi-decoupled", "adaptive"):
            mine = [r for r in rows if r["method"] == name]
            for flow in space.study.campaign.points.dataflows:
                group = [r for r in mine if r["proxy"].startswith(f"{flow}/")]
                if group:
                    added = int(sum(sum(r["inverted"]) for r in group))
                    table.append(
                        [
                            problem,
                            name,
                            flow,
                            str(len(group)),
                            f"{100 * min(r['exact'] for r in group):.2f} %",
                            f"{100 * np.mean([r['exact'] for r in group]):.2f} %",
                            f"{max(r['largest_loss'] for r in group):.4f}",
                            f"{np.mean([r['mean_loss'] for r in group]):.5f}",
                            f"{np.mean([r['members'] for r in group]):.0f}",
                            f"{np.mean([r['evaluations'] for r in group]):,.0f}",
                            f"{added:,}" if name == "adaptive" else "-",
                        ]
                    )
    return Grid(head, table, left=3)


def _drawings(space: SpaceResults) -> list[tuple[str, Callable[[Any], None], str]]:
    names = ("fully coupled", "decoupled, by proxy", "semi-decoupled", "semi-decoupled, 10", "adaptive")
    groups, curves = {}, {}
    for problem, rows in space.scores.items():
        methods = _by_method(rows)
        groups[f"{space.name}, {problem}"] = [
            (name, _mean(methods[name], "evaluations"), _mean(methods[name], "mean_loss"))
            for name in names
            if name in methods
        ]
        curves[f"{space.name}, {problem}"] = {
            flow: _curve(methods, flow) for flow in space.study.campaign.points.dataflows
        }
    curves = {k: {f: c for f, c in v.items() if c} for k, v in curves.items()}
    return [
        ("methods", lambda figure: method_bars(figure, groups), "What each method evaluates and loses."),
        (
            "sizes",
            lambda figure: losses_by_size(figure, curves),
            "Loss of the semi-decoupled method by the size of its set and the dataflow of its proxy.",
        ),
    ]


def _mean(rows: Sequence[Row], field: str) -> float:
    return float(np.mean([r[field] for r in rows]))


def _curve(methods: dict[str, list[Row]], flow: str) -> dict[int, tuple[float, float]]:
    found = {}
    for name, rows in methods.items():
        if name.startswith("semi-decoupled"):
            mine = [r for r in rows if r["proxy"].startswith(f"{flow}/")]
            if mine:
                size = round(_mean(mine, "members"))
                if any(r["unanswered"] for r in mine):
                    continue  # a loss over other constraints
                found[size] = (_mean(mine, "mean_loss"), max(r["largest_loss"] for r in mine))
    return found


def _certified(space: SpaceResults) -> str:
    parts = []
    for problem, rows in space.scores.items():
        mine = [r for r in rows if r["method"] == "adaptive"]
        flows = space.study.campaign.points.dataflows
        asked = mine[0]["constraints"]
        failed = {f: sum(r["inverted"][d] for r in mine) for d, f in enumerate(flows)}
        where = ", ".join(f"{count:,} on {flow}" for flow, count in failed.items())
        share = sum(failed.values()) / (asked * len(mine))
        fails = "all answers were in the proxy's set: monotonicity holds as far as it matters"
        if share:
            fails = (
                f"{100 * share:.1f} % of the answers were not in the proxy's set ({where}): there "
                "monotonicity fails"
            )
        parts.append(
            f"{problem}: largest loss {max(r['largest_loss'] for r in mine):.4f}, largest certified bound "
            f"{max(r['largest_bound'] for r in mine):.4f}, {min(r['saved'] for r in mine):,.1f} to "
            f"{max(r['saved'] for r in mine):,.1f} times fewer evaluations than coupled over {len(mine)} "
            "proxies "
            f"and {asked:,} constraints each; {fails}"
        )
    return f"{space.name}. {'. '.join(parts)}."
