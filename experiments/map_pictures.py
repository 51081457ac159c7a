"""Pictures of a mapping search: convergence against samples and seconds, Pareto fronts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import EngFormatter, NullFormatter

from experiments.map_results import Result
from experiments.map_schema import MapConfig
from jaxmaestro.description import Layer
from jaxmaestro.results.files import atomic
from jaxmaestro.search.objective import UNITS

_FRONTS = 6  # layers whose fronts are drawn


def draw(result: Result, layers: dict[Any, Layer], config: MapConfig, folder: Path) -> list[Path]:
    """Write the pictures that the search has figures for; their paths."""
    written = []
    if len(result.history.seconds):
        written.append(_convergence(result, config, folder / "convergence.png"))
    if config.archive > 1:
        written.append(_fronts(result, layers, config, folder / "front.png"))
    return written


def _convergence(result: Result, config: MapConfig, path: Path) -> Path:
    """Best so far over the best of all seeds, geometric mean over the layers; a line a seed."""
    history, seeds = result.history, len(config.seeds)
    best = history.best[..., 0].reshape(len(history.seconds), -1, seeds)
    final = np.where(np.isfinite(best[-1]), best[-1], np.inf).min(-1)
    there = np.isfinite(final)
    with np.errstate(invalid="ignore"):
        ratio = np.exp(np.log(best[:, there] / final[there][:, None]).mean(1))
    samples = history.spent.reshape(len(ratio), -1, seeds).mean(1)
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    for seed in range(seeds):
        shown = np.isfinite(ratio[:, seed])
        axes[0].plot(samples[shown, seed], ratio[shown, seed], label=f"seed {config.seeds[seed]}")
        axes[1].plot(history.seconds[shown] - history.seconds[0], ratio[shown, seed])
    axes[0].set_xlabel("samples a layer (valid mappings)")
    axes[0].set_ylabel(f"{config.objectives[0]} over the best found, geometric mean")
    axes[1].set_xlabel(
        f"seconds, all layers and seeds, after the first {history.seconds[0]:.1f}\n(compilation, first step)"
    )
    axes[0].legend(fontsize="small")
    figure.suptitle(f"{config.search.name}")
    return _saved(figure, path)


def hypervolume(scores: np.ndarray, among: np.ndarray | None = None) -> float:
    """Hypervolume of ``scores [n, m]`` (minimised) by moocore, in units of the box that ``among`` spans.

    The reference is 1.1 times the largest of each objective in ``among`` (default: the scores
    themselves). NaN where moocore is not installed.
    """
    try:
        import moocore
    except ImportError:
        return float("nan")
    among = scores if among is None else among
    reference = 1.1 * among.max(0)
    return float(moocore.hypervolume(scores, ref=reference) / np.prod(reference - among.min(0)))


def _fronts(result: Result, layers: dict[Any, Layer], config: MapConfig, path: Path) -> Path:
    """Fronts of the first two objectives, all seeds, with their hypervolume."""
    seeds, names = len(config.seeds), [layer.name for layer in layers.values()]
    found = np.isfinite(result.scores[:, 0, 0]).reshape(-1, seeds).any(1)
    shown = [(place, name) for place, name in enumerate(names) if found[place]][:_FRONTS]
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(4 * columns, 3.2 * rows), layout="constrained", squeeze=False
    )
    for (place, name), axis in zip(shown, axes.flat, strict=False):
        own = [front[np.isfinite(front[:, 0])] for front in result.scores[place * seeds :][:seeds]]
        volumes = [hypervolume(front, np.concatenate(own)) for front in own if len(front)]
        for seed, front in zip(config.seeds, own, strict=True):
            axis.plot(front[:, 0], front[:, 1], ".", label=f"seed {seed}")
        told = f", hypervolume {np.median(volumes):.3f}" if np.isfinite(volumes).any() else ""
        first, second = (f"{name}, {UNITS[name]}" for name in config.objectives[:2])
        axis.set(xlabel=first, ylabel=second)
        every = np.concatenate(own)
        scales = ((axis.xaxis, axis.set_xscale), (axis.yaxis, axis.set_yscale))
        for column, (line, scale) in enumerate(scales):
            if every[:, column].max() > 10 * every[:, column].min():
                scale("log")  # whose ticks have no room for labels in between
                line.set_minor_formatter(NullFormatter())
            line.set_major_formatter(EngFormatter())
        axis.set_title(f"{name}{told}", fontsize="small")
    for axis in axes.flat[len(shown) :]:
        axis.remove()
    axes.flat[0].legend(fontsize="small")
    return _saved(figure, path)


def _saved(figure: Any, path: Path) -> Path:
    with atomic(path) as place:
        figure.savefig(place, dpi=130)
    plt.close(figure)
    return path
