"""Reductions inside jit: what a sweep needs to keep of tuples that it does not store.

Pure functions over one set of costs: :func:`totals`, :func:`top_k`, :func:`pareto_mask`.
Streams (:class:`Reduction`): :class:`TopK`, :class:`ParetoFront`, :class:`NetworkTotals`
and :class:`Count` take chunks of a sweep one after the other.
"""

from jaxmaestro.reductions.count import Count, Counts
from jaxmaestro.reductions.dominance import pareto_mask
from jaxmaestro.reductions.front import Front, ParetoFront
from jaxmaestro.reductions.networks import NetworkTotals, PointTotals
from jaxmaestro.reductions.objectives import OBJECTIVES, Objective, Require
from jaxmaestro.reductions.smallest import Best, TopK, top_k
from jaxmaestro.reductions.stream import Reduction
from jaxmaestro.reductions.sums import Totals, totals

__all__ = [
    "OBJECTIVES",
    "Best",
    "Count",
    "Counts",
    "Front",
    "NetworkTotals",
    "Objective",
    "ParetoFront",
    "PointTotals",
    "Reduction",
    "Require",
    "TopK",
    "Totals",
    "pareto_mask",
    "top_k",
    "totals",
]
