"""The summary of a sweep on the terminal."""

from __future__ import annotations

import math

import numpy as np
from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from experiments.results import Totals
from experiments.workloads import Space
from jaxmaestro.description import Hardware


def make_console() -> Console:
    """The terminal; wide enough for the summary where the output is a file or a pipe."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=132)


_FIGURES = ("latency\nMcycles", "energy\nmJ", "EDP\nmJ x Mcycles", "accepted\npoints", "refused\ntuples")
_EDP, _WHERE, _WHY = _FIGURES[2], "best EDP at\nPEs/NoC/off-chip", "refused because"
_COLUMNS = ("network", "dataflow", *_FIGURES[:3], _WHERE, *_FIGURES[3:], _WHY)
_LEFT_OUT_FIRST = (_WHY, _EDP, _FIGURES[4], _WHERE, _FIGURES[3])
_WHY_WIDTH = 24


def print_summary(console: Console, space: Space, totals: list[Totals], *, fits: bool) -> None:
    """Best latency, energy and energy-delay product of each network and dataflow over the grid.

    Figures are never cut: on a narrow terminal columns are left out, the least telling first.
    """
    rows = [row for network in space.networks for row in _rows(space, network, totals)]
    title = f"Best over {len(space.hardware)} hardware points, per inference"
    columns = list(_COLUMNS)
    for column in _LEFT_OUT_FIRST:
        if _natural_width(console, _table(title, columns, rows)) <= console.width:
            break
        columns.remove(column)
    console.print(_table(title, columns, rows))
    hidden = [name.split("\n")[0] for name in _COLUMNS if name not in columns]
    if hidden:
        console.print(f"A wider terminal also shows: {', '.join(hidden)}.")
    asked = "sound and within the limits of the hardware" if fits else "sound"
    console.print(
        f"A hardware point is accepted where every layer of the network is {asked}; the best is taken over "
        "accepted points alone, and '-' means that there is none. Refused tuples are (layer, point) pairs. "
        "Latency is layer after layer; energy is MAESTRO's (L1 and L2 accesses, without MACs and DRAM)."
    )


def _rows(space: Space, network: str, totals: list[Totals]) -> list[dict[str, str]]:
    """What the table says of a network, by column; a row for each dataflow."""
    mine = [t for t in totals if t.network == network]
    best = [_smallest([_minimum(getattr(t, f)) for t in mine]) for f in ("latency", "energy", "edp")]
    rows = []
    for row, total in enumerate(mine):
        texts = (
            network if row == 0 else "",
            total.dataflow,
            _figure(_minimum(total.latency) / 1e6, row == best[0]),
            _figure(_minimum(total.energy) / 1e6, row == best[1]),
            _figure(_minimum(total.edp) / 1e12, row == best[2]),
            _best_point(space.hardware, total.edp),
            f"{int(total.complete.sum())}/{len(space.hardware)}",
            _percent(total.refused) if total.refused else "-",
            ", ".join(f"{name} {_percent(share)}" for name, share in total.reasons.items()),
        )
        rows.append(dict(zip(_COLUMNS, texts, strict=True)))
    return rows


def _table(title: str, columns: list[str], rows: list[dict[str, str]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=title)
    for name in columns:
        if name in (*_FIGURES, _WHERE):
            table.add_column(name, justify="right" if name in _FIGURES else "left", no_wrap=True)
        else:  # names and reasons can go on in the next line
            table.add_column(name, overflow="fold")
    for row, after in zip(rows, [*rows[1:], None], strict=True):
        last = after is None or bool(after["network"])
        table.add_row(*(row[name] for name in columns), end_section=last)
    return table


def _natural_width(console: Console, table: Table) -> int:
    """Width at which nothing is cut or folded, but for the reasons."""
    for column in table.columns:
        if column.header == _WHY:
            column.max_width = _WHY_WIDTH
    return Measurement.get(console, console.options.update(max_width=10_000), table).maximum


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
