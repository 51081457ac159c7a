"""Pictures of co-design: Pareto fronts with their hypervolume, and how the searches went."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import NullFormatter

from experiments.codesign_networks_results import Finding, volume
from jaxmaestro.results.files import atomic

_COLUMNS = 3


def draw(findings: list[Finding], folder: Path) -> list[Path]:
    """Write the pictures; their paths. Cases for which nothing was found have none."""
    findings = [finding for finding in findings if finding.checked]
    return [_fronts(findings, folder / "front.png"), _convergence(findings, folder / "convergence.png")]


def _grid(count: int) -> tuple[Any, Any]:
    columns = min(_COLUMNS, count)
    rows = -(-count // columns)
    return plt.subplots(
        rows, columns, figsize=(4.4 * columns, 3.4 * rows), layout="constrained", squeeze=False
    )


def _fronts(findings: list[Finding], path: Path) -> Path:
    """Latency and energy of the designs of each archive; colour is the area."""
    figure, axes = _grid(len(findings))
    for finding, axis in zip(findings, axes.flat, strict=False):
        front = finding.outcome.front
        points = axis.scatter(front.latency / 1e6, front.energy / 1e6, c=front.area, s=14, cmap="viridis")
        for goal, found in finding.checked.items():
            axis.plot(found.latency / 1e6, found.energy / 1e6, "*", ms=11, label=f"best {goal}")
        axis.set(xscale="log", xlabel="latency, Mcycles", ylabel="energy, mJ")
        axis.xaxis.set_minor_formatter(NullFormatter())
        share = volume(finding)
        told = f", hypervolume {share:.3f}" if np.isfinite(share) else ""
        axis.set_title(f"{finding.case.network}, {finding.case.budget}{told}", fontsize="small")
        figure.colorbar(points, ax=axis, label="area, mm$^2$")
        axis.legend(fontsize="x-small")
    return _saved(figure, axes, len(findings), path)


def _convergence(findings: list[Finding], path: Path) -> Path:
    """The best of each goal over the final one, against mappings evaluated."""
    figure, axes = _grid(len(findings))
    for finding, axis in zip(findings, axes.flat, strict=False):
        history = finding.outcome.history
        evaluated = np.array([moment.evaluated for moment in history])
        for goal in finding.case.problem.goals:
            best = np.array([moment.best.get(goal, np.nan) for moment in history])
            axis.plot(evaluated, best / best[-1], "o-", ms=3, label=goal)
        axis.set(xlabel="mappings evaluated", ylabel="best so far over the last")
        axis.set_title(f"{finding.case.network}, {finding.case.budget}", fontsize="small")
        axis.legend(fontsize="x-small")
    return _saved(figure, axes, len(findings), path)


def _saved(figure: Any, axes: Any, count: int, path: Path) -> Path:
    for axis in axes.flat[count:]:
        axis.remove()
    with atomic(path) as place:
        figure.savefig(place, dpi=130)
    plt.close(figure)
    return path
