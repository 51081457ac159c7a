"""Which of the sampled models are kept: the front in (accuracy, FLOPs) and random good ones."""

from __future__ import annotations

import random
from typing import Any

import jax
import numpy as np

from jaxmaestro.description import DescriptionError
from jaxmaestro.reductions import pareto_mask

Array = Any


def pareto_front(accuracy: Array, flops: Array) -> np.ndarray:
    """Rows that no other row beats: no less accurate with no more FLOPs, and better in one; sorted."""
    found, cost = _figures(accuracy, flops)
    return np.flatnonzero(pareto_mask(np.stack([cost, -found], 1)))


def above_line(accuracy: Array, flops: Array) -> np.ndarray:
    """Rows that are more accurate than the least-squares line of accuracy over FLOPs says; sorted."""
    found, cost = _figures(accuracy, flops)
    slope, start = np.polyfit(cost, found, 1)
    return np.flatnonzero(found > slope * cost + start)


def select_models(accuracy: Array, flops: Array, count: int = 1000, seed: int = 0) -> np.ndarray:
    """The Pareto front and ``count`` random rows of :func:`above_line`, drawn with ``jax.random``; sorted.

    A row that is both counts once. Fewer than ``count`` above the line: all of them.
    Raises DescriptionError for figures that are not two finite arrays ``[n]``, n at least 2.
    """
    pool = above_line(accuracy, flops)
    drawn = np.asarray(jax.random.permutation(jax.random.key(seed), len(pool)))[: max(0, count)]
    return np.union1d(pool[drawn], pareto_front(accuracy, flops))


def fork_select(accuracy: Array, flops: Array, count: int = 1000, seed: int = 10) -> np.ndarray:
    """As :func:`select_models`, but drawn as the seed's script does: ``random.sample`` of Python.

    Raises as :func:`select_models`, and DescriptionError for fewer than ``count`` above the line.
    """
    pool = above_line(accuracy, flops)
    if not 0 <= count <= len(pool):
        raise DescriptionError(
            f"{count} models are asked for of {len(pool)} above the line", fix="ask for as many or fewer"
        )
    drawn = random.Random(seed).sample(pool.tolist(), count)
    return np.union1d(np.array(drawn, np.int64), pareto_front(accuracy, flops))


def _figures(accuracy: Array, flops: Array) -> tuple[np.ndarray, np.ndarray]:
    found, cost = np.asarray(accuracy, np.float64), np.asarray(flops, np.float64)
    if found.ndim != 1 or found.shape != cost.shape or len(found) < 2:
        raise DescriptionError(
            f"accuracy and FLOPs have shapes {found.shape} and {cost.shape}", fix="give one of each a model"
        )
    if not (np.isfinite(found).all() and np.isfinite(cost).all()):
        raise DescriptionError("an accuracy or a number of FLOPs is not finite", fix="leave such models out")
    return found, cost
