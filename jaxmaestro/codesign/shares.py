"""Which layers decide the ranking: shares of the latency by kind of layer, and the SRCC without a kind."""

from __future__ import annotations

import dataclasses

import numpy as np

from jaxmaestro.codesign.campaign import Campaign, exact_product
from jaxmaestro.codesign.monotonicity import spearman
from jaxmaestro.description import Layer, LayerType

KINDS = (
    "filters above 1x1",
    "depthwise",
    "1x1 filters, 40 columns and more",
    "1x1 filters, 20 to 39 columns",
    "1x1 filters, 2 to 19 columns",
    "one column (linear, squeeze-excite)",
)
"""Kinds of layers that dataflows treat differently: by filter, and by the columns of the input map.

At 192 to 288 input columns the edges lie between 1/4, 1/8 and 1/16 of them.
"""


def kind_of(layer: Layer) -> int:
    """Index into :data:`KINDS`."""
    if layer.type is LayerType.DSCONV:
        return 1
    sizes = layer.input_sizes
    if (sizes.get("R", 1), sizes.get("S", 1)) != (1, 1):
        return 0
    columns = sizes.get("X", 1)
    return 2 if columns >= 40 else 3 if columns >= 20 else 4 if columns >= 2 else 5


@dataclasses.dataclass(frozen=True, eq=False)
class Shares:
    """What each kind of layer contributes at each point; NaN where a point is not live."""

    latency: np.ndarray  # [kinds, p] mean share of the latency of an architecture
    variance: np.ndarray  # [kinds, p] covariance with the latency over its variance; the kinds sum to 1
    without: np.ndarray  # [kinds, p, p] SRCC of two points when neither counts the kind


def latency_shares(campaign: Campaign) -> Shares:
    """Shares at every point. ``variance`` says which kind decides the ranking there."""
    kinds = np.array([kind_of(layer) for layer in campaign.workloads.layers])
    runtime, counts = campaign.by_layer("runtime"), campaign.workloads.counts
    total = exact_product(counts, runtime)
    latency, variance, without = [], [], []
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = ((total - total.mean(0)) ** 2).sum(0)
        for kind in range(len(KINDS)):
            mine = exact_product(counts[:, kinds == kind], runtime[kinds == kind])
            latency.append((mine / total).mean(0))
            variance.append(((mine - mine.mean(0)) * (total - total.mean(0))).sum(0) / spread)
            without.append(spearman(total - mine, campaign.live))
    dead = np.where(campaign.live, 0.0, np.nan)
    return Shares(np.array(latency) + dead, np.array(variance) + dead, np.array(without))


def growth(campaign: Campaign) -> np.ndarray:
    """Exponent k of ``latency ~ columns ** k`` over architectures, float64 ``[p]``.

    Columns are those of the widest map; a least-squares line through the logarithms. 2: every PE has
    work whatever the map; 1: the columns of a map cost nothing. NaN where all architectures have one
    width, or the point is not live.
    """
    columns = np.array([layer.input_sizes.get("X", 1) for layer in campaign.workloads.layers])
    widest = np.log(np.where(campaign.workloads.counts > 0, columns, 1).max(1))
    centred = widest - widest.mean()
    slopes = np.full(len(campaign.points), np.nan)
    if np.ptp(widest) > 0:
        logs = np.log(campaign.latency[:, campaign.live])
        slopes[campaign.live] = centred @ logs / (centred @ centred)
    return slopes
