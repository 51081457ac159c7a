"""Pictures of the co-design experiments: SRCC, two accelerators, shares of the latency, losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxmaestro.codesign import KINDS, Campaign, discordant
from jaxmaestro.codesign.shares import Shares
from jaxmaestro.results.files import atomic

_SIZES = (2, 5, 10, 20, 50, 100, 200, 500, 1000)

# Okabe and Ito's colours, apart for colour-blind readers too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def write_picture(path: Path, draw: Callable[[Any], None]) -> Path:
    """Draw on a figure and save it as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    FigureCanvasAgg(figure)
    draw(figure)
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=120)
    return path


def heat_maps(figure: Any, campaign: Campaign, matrices: dict[str, np.ndarray], title: str) -> None:
    """SRCC of every two points, a panel a figure; by dataflow, then PEs, NoC, off-chip."""
    points = campaign.points
    keys = [(h.num_pes, h.noc_bandwidths[0], h.offchip_bandwidth) for h in points.hardware]
    within = sorted(range(len(keys)), key=keys.__getitem__)
    size = len(keys)
    order = np.concatenate([np.array(within) + size * d for d in range(len(points.dataflows))])
    figure.set_size_inches(6.6 * len(matrices), 6.2)
    panels = figure.subplots(1, len(matrices), squeeze=False)[0]
    for panel, (name, matrix) in zip(panels, matrices.items(), strict=True):
        panel.set_facecolor("0.85")  # points without figures
        shown = np.ma.masked_invalid(matrix[np.ix_(order, order)])
        low = float(shown.min()) if shown.count() else 0.0
        image = panel.imshow(shown, cmap="viridis", vmin=low, vmax=1, interpolation="nearest")
        middle = size * (np.arange(len(points.dataflows)) + 0.5) - 0.5
        panel.set_xticks(middle, points.dataflows)
        panel.set_yticks(middle, points.dataflows, rotation=90, va="center")
        panel.tick_params(length=0)
        for edge in size * np.arange(1, len(points.dataflows)) - 0.5:
            panel.axhline(edge, color="white", lw=1)
            panel.axvline(edge, color="white", lw=1)
        panel.set_title(name, fontsize=11)
        figure.colorbar(image, ax=panel, shrink=0.82)
    figure.suptitle(f"{title}: SRCC of every two points, PEs rising from the left (grey: no figures)")


def scatters(figure: Any, campaign: Campaign, pairs: Sequence[tuple[int, int]], srcc: np.ndarray) -> None:
    """Latency of every architecture on two points, a panel a pair; coloured by the widest input map."""
    columns = np.array([layer.input_sizes.get("X", 1) for layer in campaign.workloads.layers])
    widest = np.where(campaign.workloads.counts > 0, columns, 1).max(1)
    values = np.unique(widest)
    figure.set_size_inches(5.2 * len(pairs), 5.0)
    panels = figure.subplots(1, len(pairs), squeeze=False)[0]
    for panel, (a, b) in zip(panels, pairs, strict=True):
        for number, value in enumerate(values):
            mine = widest == value
            panel.scatter(
                campaign.latency[mine, a] / 1e6,
                campaign.latency[mine, b] / 1e6,
                s=10,
                alpha=0.6,
                linewidths=0,
                color=COLOURS[number % len(COLOURS)],
                label=f"{value} columns" if len(values) > 1 else None,
            )
        crossed = discordant(campaign.latency[:, a], campaign.latency[:, b])
        panel.set_title(f"SRCC {srcc[a, b]:.3f}, {100 * crossed:.1f}% of the pairs inverted", fontsize=10)
        panel.set_xlabel(f"{_name(campaign, a)}: latency (Mcycles)")
        panel.set_ylabel(f"{_name(campaign, b)}: latency (Mcycles)")
        panel.grid(alpha=0.3)
    if len(values) > 1:
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, markerscale=2
        )


def _name(campaign: Campaign, point: int) -> str:
    h = campaign.points.hardware[campaign.points.accelerator[point]]
    name = campaign.points.names[point]
    return f"{name} ({h.num_pes} PEs, NoC {h.noc_bandwidths[0]}, off-chip {h.offchip_bandwidth})"


def share_bars(figure: Any, campaign: Campaign, shares: Shares) -> None:
    """Who takes the latency and who decides the ranking: medians over the points of a dataflow."""
    flows = campaign.points.dataflows
    figure.set_size_inches(11, 1.5 + 0.6 * len(flows))
    panels = figure.subplots(1, 2, sharey=True)
    titles = ("share of the latency", "share of its variance over architectures")
    for panel, values, title in zip(panels, (shares.latency, shares.variance), titles, strict=True):
        medians = median_by_dataflow(campaign, values)
        ends = {True: np.zeros(len(flows)), False: np.zeros(len(flows))}  # negative shares go to the left
        for kind, name in enumerate(KINDS):
            width = 100 * medians[kind]
            left = np.where(width < 0, ends[True], ends[False])
            panel.barh(flows, width, left=left, color=COLOURS[kind], label=name, height=0.62)
            for y, (start, wide) in enumerate(zip(left, width, strict=True)):
                if abs(wide) >= 5:
                    panel.text(
                        start + wide / 2,
                        y,
                        f"{wide:.0f}",
                        ha="center",
                        va="center",
                        fontsize=8,
                        color="white",
                    )
            ends[True] = ends[True] + np.minimum(width, 0)
            ends[False] = ends[False] + np.maximum(width, 0)
        panel.set_title(title, fontsize=10)
        panel.set_xlabel("%")
        panel.invert_yaxis()
    panels[0].invert_yaxis()  # shared: one turn is enough
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)


def median_by_dataflow(campaign: Campaign, values: np.ndarray) -> np.ndarray:
    """Medians ``[kinds, dataflows]`` of ``[kinds, points]`` over the live points, scaled to sum to one."""
    flow, live = campaign.points.dataflow, campaign.live
    found = np.full((len(values), len(campaign.points.dataflows)), np.nan)
    for d in range(found.shape[1]):
        mine = values[:, live & (flow == d)]
        if mine.size:
            found[:, d] = np.median(mine, 1) / np.median(mine, 1).sum()
    return found


def losses_by_size(figure: Any, curves: dict[str, dict[str, dict[int, tuple[float, float]]]]) -> None:
    """``curves[panel][dataflow of the proxy][size] = (mean loss, largest loss)``, over proxies."""
    figure.set_size_inches(5.6 * len(curves), 4.3)
    panels = figure.subplots(1, len(curves), squeeze=False)[0]
    for panel, (title, flows) in zip(panels, curves.items(), strict=True):
        for number, (flow, points) in enumerate(flows.items()):
            sizes = sorted(points)
            for column, style in ((0, "-"), (1, ":")):
                panel.plot(
                    sizes,
                    [points[size][column] for size in sizes],
                    style,
                    color=COLOURS[number],
                    marker="o",
                    ms=4,
                    label=f"{flow}, {'largest' if column else 'mean'}",
                )
        panel.set_xscale("log")
        panel.set_xticks(_SIZES, [str(size) for size in _SIZES])
        panel.set_xticks([], minor=True)
        panel.set_xlim(1.8, 1.1 * max([10, *(size for points in flows.values() for size in points)]))
        panel.set_yscale("symlog", linthresh=1e-3)
        panel.set_ylim(bottom=0)
        panel.set_xlabel("architectures that the proxy hands on (last: its whole front)")
        panel.set_title(title, fontsize=10)
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("loss against the optimum (percentage points)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)


def method_bars(figure: Any, groups: dict[str, list[tuple[str, float, float]]]) -> None:
    """``groups[panel] = [(method, evaluations, mean loss)]``: what each method takes and what it loses."""
    figure.set_size_inches(11, 1.0 + 1.9 * len(groups))
    panels = figure.subplots(len(groups), 2, squeeze=False, sharex="col")
    for row, (title, methods) in zip(panels, groups.items(), strict=True):
        names = [name for name, _, _ in methods]
        for panel, column in zip(row, (1, 2), strict=True):
            values = [method[column] for method in methods]
            panel.barh(
                names, values, color=[COLOURS[i % len(COLOURS)] for i in range(len(names))], height=0.65
            )
            for y, value in enumerate(values):
                text = f"{value:,.0f}" if column == 1 else ("0" if value == 0 else f"{value:.4f}")
                panel.annotate(text, (value, y), (3, 0), textcoords="offset points", va="center", fontsize=8)
            panel.invert_yaxis()
            panel.set_title(title, fontsize=10)
            panel.margins(x=0.18)
        row[0].set_xscale("log")
        row[1].set_xscale("symlog", linthresh=1e-3)
        row[1].set_xlim(left=0)
        row[1].tick_params(labelleft=False)
    panels[-1][0].set_xlabel("evaluations (architecture on a point), mean over proxies")
    panels[-1][1].set_xlabel("mean loss (percentage points of accuracy)")
