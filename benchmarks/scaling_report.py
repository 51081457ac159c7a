"""The tables and the picture of ``benchmarks.scaling``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from jaxmaestro.results.files import atomic

Point = dict[str, Any]
"""One measurement: what was asked for and what was found, as JSON keeps it."""

AXES = ("tuples", "hardware", "levels", "devices")


def identical(rows: list[Point]) -> bool:
    """Whether all devices gave the same bits."""
    return len({row["hash"] for row in rows}) <= 1


def tables(found: Point) -> Iterable[str]:
    """The lines to print: the machine, then a table an axis."""
    machine = found["machine"]
    yield (
        f"{machine['machine']}, {machine['cores']} cores, {machine['device']}, jax {machine['jax']}, "
        f"{found['date']}; {machine['precision']} ({machine['dtype']})"
    )
    if found["quick"]:
        yield "tiny sizes: these figures only show that it works"
    columns: dict[str, tuple[str, dict[str, Callable[[Point], str]]]] = {
        "tuples": (
            "Tuples (layer, mapping, number of PEs), each analysed by itself",
            {"path": lambda r: r["path"], "tuples": lambda r: f"{r['tuples']:,}"} | _TIMES | _MEMORY,
        ),
        "hardware": ("Hardware points a pair of layer and mapping", {"points": _number("points")} | _TIMES),
        "levels": ("Cluster levels", {"levels": _number("levels")} | _TIMES),
        "devices": (
            "Forced host devices: they share the same cores, so no gain is expected, only the same bits",
            {"devices": lambda r: f"{r['devices'] or 'none'}"}
            | _TIMES
            | _MEMORY
            | {"hash": lambda r: r["hash"]},
        ),
    }
    for axis, (title, cells) in columns.items():
        if not found[axis]:
            continue
        rows = [list(cells), *([cell(row) for cell in cells.values()] for row in found[axis])]
        widths = [max(len(row[i]) for row in rows) for i in range(len(cells))]
        yield from ("", title)
        yield from ("  ".join(text.rjust(n) for text, n in zip(row, widths, strict=True)) for row in rows)
        for row in found[axis]:
            if row.get("tenths"):
                rates = " ".join(f"{rate / 1e3:,.0f}" for rate in row["tenths"])
                yield f"{row['tuples']:,} tuples, thousands a second in each tenth of the run: {rates}"
    if found["devices"]:
        yield f"identical results: {'yes' if identical(found['devices']) else 'NO'}"


def _number(name: str) -> Callable[[Point], str]:
    return lambda row: f"{row[name]:,}"


_TIMES: dict[str, Callable[[Point], str]] = {
    "seconds": lambda row: f"{row['seconds']:.3f}",
    "tuples/s": lambda row: f"{row['rate']:,.0f}",
    "sound": lambda row: f"{row['sound']:.1%}",
}
_MEMORY: dict[str, Callable[[Point], str]] = {
    "MiB before": lambda row: f"{row['before_mib']:,.0f}",
    "MiB peak": lambda row: f"{row['peak_mib']:,.0f}",
}


def draw(found: Point, path: Path) -> None:
    """One picture: tuples a second along the four axes, on one scale."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained", figsize=(9.6, 7.2))
    FigureCanvasAgg(figure)
    panels = dict(zip(AXES, figure.subplots(2, 2, sharey=True).ravel(), strict=True))
    labels = ("tuples", "hardware points a pair", "cluster levels", "forced host devices, same cores")
    for (axis, panel), label in zip(panels.items(), labels, strict=True):
        panel.set(xlabel=label, yscale="log")
        panel.grid(which="major", alpha=0.3)
        if axis != "levels" and found[axis]:
            panel.set_xscale("log", base=2 if axis == "devices" else 10)
    for panel in (panels["tuples"], panels["levels"]):
        panel.set_ylabel("tuples a second")
    _curve(panels["hardware"], found["hardware"], "points", "#0072B2")
    _curve(panels["levels"], found["levels"], "levels", "#0072B2")
    _curve(panels["devices"], [row for row in found["devices"] if row["devices"]], "devices", "#0072B2")
    for axis, name in (("levels", "levels"), ("devices", "devices")):
        ticks = [row[name] for row in found[axis] if row[name]]
        panels[axis].set_xticks(ticks, [str(tick) for tick in ticks])
        panels[axis].minorticks_off()
    panel = panels["tuples"]
    for kind, style, label in (
        ("batch", {"color": "#0072B2"}, "evaluate_batch, every figure"),
        ("product", {"color": "#D55E00", "marker": "s"}, "evaluate_product, best ten and counts"),
    ):
        rows = [row for row in found["tuples"] if row["path"] == kind]
        _curve(panel, rows, "tuples", **style, label=label)
    for row in found["tuples"]:
        if row.get("tenths"):
            ends = [max(0.0, row["rate"] - min(row["tenths"]))], [max(0.0, max(row["tenths"]) - row["rate"])]
            panel.errorbar(row["tuples"], row["rate"], yerr=ends, color="black", lw=1, capsize=4, zorder=3)
        if row["path"] == "product":
            at, text = (row["tuples"], row["rate"]), f"{row['peak_mib'] / 1024:.1f}"
            panel.annotate(text, at, (0, -17), textcoords="offset points", ha="center", fontsize=8)
    if found["tuples"]:
        panel.set_title("numbers: peak memory of the product, GiB; bars: its tenths", fontsize=9)
        panel.legend(frameon=False, fontsize=8, loc="lower right")
    if found["devices"]:
        same = "identical" if identical(found["devices"]) else "DIFFERENT"
        panels["devices"].set_title(f"results: {same} bits", fontsize=9)
    machine = found["machine"]
    title = f"{machine['machine']}, {machine['cores']} cores, jax {machine['jax']}, {machine['precision']}"
    title += f", {found['date']}" + (" (tiny sizes)" if found["quick"] else "")
    figure.suptitle(title, fontsize=10)
    with atomic(path) as place:
        figure.savefig(place, dpi=130, format="png")


def _curve(panel: Any, rows: list[Point], name: str, color: str, marker: str = "o", **style: Any) -> None:
    panel.plot([row[name] for row in rows], [row["rate"] for row in rows], marker + "-", color=color, **style)
