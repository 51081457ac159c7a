"""Pictures of a sweep: latency against energy with the Pareto front, and dataflows side by side."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from experiments.results import Totals, pareto_front
from jaxmaestro.results.files import atomic

# Okabe and Ito's colours, apart for colour-blind readers too; markers tell them apart in print.
_STYLES = (
    ("#0072B2", "o"),
    ("#D55E00", "s"),
    ("#009E73", "^"),
    ("#CC79A7", "D"),
    ("#E69F00", "v"),
    ("#56B4E9", "P"),
    ("#000000", "X"),
)


def write_pictures(totals: list[Totals], hardware: str, folder: Path) -> list[Path]:
    """Write the PNGs and return their paths."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    dataflows = list(dict.fromkeys(t.dataflow for t in totals))
    styles = {name: _STYLES[i % len(_STYLES)] for i, name in enumerate(dataflows)}
    drawings: dict[str, Callable[[Any, list[Totals], str, dict[str, tuple[str, str]]], None]] = {
        "latency_energy.png": draw_scatter,
        "dataflows.png": draw_dataflows,
    }
    paths = []
    for name, draw in drawings.items():
        figure = Figure(layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure, totals, hardware, styles)
        with atomic(folder / name) as path:
            figure.savefig(path, dpi=130)
        paths.append(folder / name)
    return paths


def draw_scatter(
    figure: Any, totals: list[Totals], hardware: str, styles: dict[str, tuple[str, str]]
) -> None:
    """A panel a network: every accepted hardware point of every dataflow, and the front over all."""
    networks = list(dict.fromkeys(t.network for t in totals))
    columns = min(3, len(networks))
    rows = math.ceil(len(networks) / columns)
    figure.set_size_inches(max(6.4, 4.4 * columns), 3.7 * rows + 0.9)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, network in zip(panels, networks, strict=False):
        mine = [t for t in totals if t.network == network]
        for total in mine:
            colour, marker = styles[total.dataflow]
            panel.scatter(
                total.latency / 1e6,
                total.energy / 1e6,
                s=28,
                c=colour,
                marker=marker,
                alpha=0.65,
                linewidths=0,
                label=total.dataflow,
            )
        latency = np.concatenate([t.latency for t in mine]) / 1e6
        energy = np.concatenate([t.energy for t in mine]) / 1e6
        front = pareto_front(latency, energy)
        if len(front):
            panel.step(
                latency[front], energy[front], where="post", c="black", lw=1.2, zorder=3, label="Pareto front"
            )
            panel.scatter(
                latency[front], energy[front], s=52, facecolors="none", edgecolors="black", lw=1.1, zorder=4
            )
            panel.set_xscale("log")
            panel.set_yscale("log")
            _plain_ticks(panel)
        else:
            panel.text(0.5, 0.5, "no accepted point", transform=panel.transAxes, ha="center")
        panel.set_title(network, fontsize=11)
        panel.grid(which="major", alpha=0.3)
        panel.set_xlabel("latency (Mcycles)")
        panel.set_ylabel("energy (mJ)")
    for panel in panels[len(networks) :]:
        panel.set_visible(False)
    handles = {label: h for p in panels for h, label in zip(*p.get_legend_handles_labels(), strict=True)}
    front_last = sorted(handles, key=lambda label: label == "Pareto front")
    figure.legend(
        [handles[label] for label in front_last],
        front_last,
        loc="outside lower center",
        ncols=min(7, len(handles)),
        frameon=False,
    )
    figure.suptitle(f"Latency and energy of one inference over the grid of {hardware}")


def _plain_ticks(panel: Any) -> None:
    """Numbers such as 0.5 or 20 on a log axis, few enough to be read."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for axis, limits in ((panel.xaxis, panel.get_xlim()), (panel.yaxis, panel.get_ylim())):
        decades = math.log10(limits[1] / limits[0])
        steps = (1.0,) if decades > 3 else (1.0, 2.0, 5.0) if decades > 0.7 else tuple(range(1, 10))
        axis.set_major_locator(LogLocator(subs=steps))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())


def draw_dataflows(
    figure: Any, totals: list[Totals], hardware: str, styles: dict[str, tuple[str, str]]
) -> None:
    """Bars: the best latency, energy and EDP of each dataflow, over the best dataflow of the network."""
    networks = list(dict.fromkeys(t.network for t in totals))
    dataflows = list(styles)
    figure.set_size_inches(max(7.0, 1.9 * len(networks) + 1.5), 8.2)
    panels = figure.subplots(3, 1, sharex=True)
    width = 0.84 / len(dataflows)
    for panel, (field, label) in zip(
        panels, (("latency", "latency"), ("energy", "energy"), ("edp", "energy-delay product")), strict=True
    ):
        best = np.full((len(networks), len(dataflows)), np.nan)
        for total in totals:
            values = getattr(total, field)
            if np.isfinite(values).any():
                at = (networks.index(total.network), dataflows.index(total.dataflow))
                best[at] = np.nanmin(values)
        floor = np.array([np.nanmin(row) if np.isfinite(row).any() else np.nan for row in best])
        ratio = best / floor[:, None]
        base = 0.8  # the winner, at 1, shows as a low bar rather than none
        for j, name in enumerate(dataflows):
            x = np.arange(len(networks)) + (j - (len(dataflows) - 1) / 2) * width
            shown = np.isfinite(ratio[:, j])
            panel.bar(
                x[shown], ratio[shown, j] - base, width * 0.94, bottom=base, color=styles[name][0], label=name
            )
            for at in x[~shown]:
                panel.text(at, base * 1.05, "n/a", ha="center", va="bottom", fontsize=7, rotation=90)
            for at, value in zip(x[shown], ratio[shown, j], strict=True):
                text = "1" if value < 1.005 else f"{value:.2f}" if value < 10 else f"{value:.0f}"
                panel.text(at, value * 1.04, text, ha="center", va="bottom", fontsize=7, rotation=90)
        panel.set_yscale("log")
        top = np.nanmax(ratio) if np.isfinite(ratio).any() else 10.0
        panel.set_ylim(base, max(2.0, top * top**0.18 * 1.2))
        _plain_ticks_y(panel)
        panel.set_xlim(-0.6, len(networks) - 0.4)
        panel.axhline(1, color="black", lw=0.8, zorder=0)
        panel.grid(axis="y", alpha=0.3)
        panel.set_axisbelow(True)
        panel.set_ylabel(f"{label}\n(x the best)")
    panels[-1].set_xticks(np.arange(len(networks)), networks)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(6, len(labels)), frameon=False)
    figure.suptitle(f"Dataflows at their best point of the {hardware} grid, relative to the best dataflow")


def _plain_ticks_y(panel: Any) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.yaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_minor_formatter(NullFormatter())
    low, high = panel.get_ylim()
    panel.set_yticks([t for d in range(-1, 8) for t in (10.0**d, 3 * 10.0**d) if low <= t <= high])
