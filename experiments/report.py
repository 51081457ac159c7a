"""The summary of a sweep on the terminal."""

from __future__ import annotations

import math

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from experiments.results import Totals
from experiments.workloads import Space
from jaxmaestro.description import Hardware


def make_console() -> Console:
    """The terminal; wide enough for the summary where the output is a file or a pipe."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=132)


def print_summary(console: Console, space: Space, totals: list[Totals], *, fits: bool) -> None:
    """Best latency, energy and energy-delay product of each network and dataflow over the grid."""
    asked = "sound and within the limits of the hardware" if fits else "sound"
    table = Table(
        box=box.SIMPLE_HEAD, title=f"Best over {len(space.hardware)} hardware points, per inference"
    )
    for heading in ("network", "dataflow"):
        table.add_column(heading, no_wrap=True)
    for heading in ("latency\nMcycles", "energy\nmJ", "EDP\nmJ x Mcycles"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("best EDP at\nPEs/NoC/off-chip", no_wrap=True)
    table.add_column("accepted\npoints", justify="right", no_wrap=True)
    table.add_column("refused\ntuples", justify="right", no_wrap=True)
    table.add_column("refused because", overflow="fold")
    for network in space.networks:
        mine = [t for t in totals if t.network == network]
        best = [_smallest([_minimum(getattr(t, f)) for t in mine]) for f in ("latency", "energy", "edp")]
        for row, total in enumerate(mine):
            table.add_row(
                network if row == 0 else "",
                total.dataflow,
                _figure(_minimum(total.latency) / 1e6, row == best[0]),
                _figure(_minimum(total.energy) / 1e6, row == best[1]),
                _figure(_minimum(total.edp) / 1e12, row == best[2]),
                _best_point(space.hardware, total.edp),
                f"{int(total.complete.sum())}/{len(space.hardware)}",
                _percent(total.refused) if total.refused else "-",
                ", ".join(f"{name} {_percent(share)}" for name, share in total.reasons.items()),
                end_section=row == len(mine) - 1,
            )
    console.print(table)
    console.print(
        f"A hardware point is accepted where every layer of the network is {asked}; the best is taken over\n"
        "accepted points alone, and '-' means that there is none. Refused tuples are (layer, point) pairs.\n"
        "Latency is layer after layer; energy is MAESTRO's (L1 and L2 accesses, without MACs and DRAM)."
    )


def _minimum(values: np.ndarray) -> float:
    return float(np.nanmin(values)) if np.isfinite(values).any() else math.nan


def _smallest(values: list[float]) -> int:
    return int(np.nanargmin(values)) if np.isfinite(values).any() else -1


def _figure(value: float, best: bool) -> str:
    if math.isnan(value):
        return "-"
    text = f"{value:,.4g}" if value < 1000 else f"{value:,.0f}"
    return f"[bold green]{text}[/]" if best else text


def _percent(share: float) -> str:
    return "<1%" if share < 0.01 else f"{100 * share:.0f}%"


def _best_point(hardware: tuple[Hardware, ...], edp: np.ndarray) -> str:
    if not np.isfinite(edp).any():
        return "-"
    point = hardware[int(np.nanargmin(edp))]
    return f"{point.num_pes}/{point.noc_bandwidth}/{point.offchip_bandwidth}"
