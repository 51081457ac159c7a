"""How far predictions are from figures, and whether they rank alike."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Scores:
    """Predicted against true accuracy of some architectures that were not learned from."""

    count: int
    mae: float  # mean absolute error, percentage points
    rmse: float  # root of the mean squared error, percentage points
    spearman: float  # rank correlation, nan where all are alike
    kendall: float  # Kendall's tau-b, likewise


def scores(predicted: np.ndarray, true: np.ndarray) -> Scores:
    """All measures of two arrays ``[n]``, n of 2 or more."""
    error = np.asarray(predicted, np.float64) - np.asarray(true, np.float64)
    return Scores(
        count=len(error),
        mae=float(np.abs(error).mean()),
        rmse=float(np.sqrt((error**2).mean())),
        spearman=spearman(predicted, true),
        kendall=kendall(predicted, true),
    )


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation of ``[n]`` and ``[n]``; ties get their mean rank."""
    x, y = _ranks(a), _ranks(b)
    x, y = x - x.mean(), y - y.mean()
    scale = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / scale) if scale else float("nan")


def kendall(a: np.ndarray, b: np.ndarray) -> float:
    """Kendall's tau-b of ``[n]`` and ``[n]``: pairs ranked alike less those ranked otherwise."""
    a, b = np.asarray(a), np.asarray(b)
    agree = in_a = in_b = 0.0
    for row in range(len(a) - 1):  # a row at a time: all pairs of thousands would not fit
        x, y = np.sign(a[row] - a[row + 1 :]), np.sign(b[row] - b[row + 1 :])
        agree, in_a, in_b = agree + x @ y, in_a + x @ x, in_b + y @ y
    scale = np.sqrt(in_a * in_b)
    return float(agree / scale) if scale else float("nan")


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count - 1) / 2)[place]
