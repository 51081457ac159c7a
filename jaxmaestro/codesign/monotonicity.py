"""Performance monotonicity: do two accelerators rank architectures alike?

Lu et al., "A Semi-Decoupled Approach to Fast and Optimal Hardware-Software Co-Design of Neural
Accelerators" (tinyML 2022), measure it by Spearman's rank correlation (SRCC).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np


def average_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1 along the first axis, float64 ``[n, p]``; equal values share their average rank."""
    ranks = np.empty(values.shape, np.float64)
    for column in range(values.shape[1]):
        _, place, times = np.unique(values[:, column], return_inverse=True, return_counts=True)
        ranks[:, column] = (np.cumsum(times) - (times - 1) / 2)[place]
    return ranks


def spearman(values: np.ndarray, live: np.ndarray | None = None) -> np.ndarray:
    """SRCC of every two columns of ``values [n, p]``, float64 ``[p, p]``, ties averaged.

    The columns are ranked once; the rest is one matrix product. NaN for columns that are
    constant or not ``live [p]``.

    Raises ValueError for fewer than two rows.
    """
    if len(values) < 2:
        raise ValueError(f"a rank correlation of {len(values)} architectures; give 2 or more")
    live = np.ones(values.shape[1], bool) if live is None else live
    matrix = np.full((values.shape[1],) * 2, np.nan)
    ranks = average_ranks(values[:, live])
    ranks -= ranks.mean(0)
    length = np.sqrt((ranks * ranks).sum(0))
    with np.errstate(invalid="ignore", divide="ignore"):
        ranks /= length
    matrix[np.ix_(live, live)] = np.clip(ranks.T @ ranks, -1, 1)
    return matrix


@dataclasses.dataclass(frozen=True)
class Agreement:
    """SRCC over all pairs of points of two dataflows (of two different points, where it is one dataflow)."""

    first: str
    second: str
    pairs: int
    minimum: float
    median: float
    below: float  # share of the pairs under `THRESHOLD`


THRESHOLD = 0.9
"""SRCC under which :class:`Agreement` counts a pair as not monotone (the paper's are above it)."""


def agreements(matrix: np.ndarray, dataflow: np.ndarray, names: Sequence[str]) -> list[Agreement]:
    """Each two dataflows of a matrix ``[p, p]``; ``dataflow [p]`` numbers ``names``. NaN is left out."""
    found = []
    for i in range(len(names)):
        for j in range(i, len(names)):
            block = matrix[np.ix_(dataflow == i, dataflow == j)]
            values = block[np.triu_indices(len(block), 1)] if i == j else block.ravel()
            values = values[np.isfinite(values)]
            if values.size:
                low = float((values < THRESHOLD).mean())
                found.append(
                    Agreement(
                        names[i], names[j], values.size, float(values.min()), float(np.median(values)), low
                    )
                )
    return found


def discordant(first: np.ndarray, second: np.ndarray) -> float:
    """Share of the pairs of architectures that two accelerators rank in opposite order (pairwise inversions).

    Takes figures ``[n]`` each. A tie on either side is no inversion. O(n^2) time, O(n) memory.
    """
    n = len(first)
    if n < 2:
        return 0.0
    opposite = sum(
        int(((first[i] < first[i + 1 :]) & (second[i] > second[i + 1 :])).sum())
        + int(((first[i] > first[i + 1 :]) & (second[i] < second[i + 1 :])).sum())
        for i in range(n - 1)
    )
    return opposite / (n * (n - 1) / 2)


def most_displaced(srcc: float, n: int) -> int:
    """How many ranks one of ``n`` architectures can differ by between two rankings without ties of this SRCC.

    With rank differences d_i, SRCC = 1 - 6 sum(d_i^2) / (n (n^2 - 1)). The d_i sum to zero, so the
    others make up for one d: they hold at least d^2 / (n - 1) of the squares, and d^2 n / (n - 1)
    is at most the sum. An SRCC of 0.9997 over 1,046 architectures still lets one of them move by
    239 ranks: a high SRCC alone bounds no loss in accuracy.
    """
    if n < 2:
        return 0
    squares = (1 - srcc) * n * (n * n - 1) / 6
    return min(n - 1, math.floor(math.sqrt(max(0.0, squares * (n - 1) / n)) + 1e-9))
