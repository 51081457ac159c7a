"""Batches for each path: products of random trials and accelerators, deep mappings, doubled dimensions."""

from __future__ import annotations

import itertools

from jaxmaestro import (
    Batch,
    Cluster,
    Dataflow,
    Hardware,
    Layer,
    SpatialMap,
    TemporalMap,
    encode,
    encode_pairs,
)
from tests.equations.trials import random_trials

POINTS = [
    Hardware(
        num_pes=pes, noc_bandwidth=noc, hop_latency=latency, offchip_bandwidth=9 * lanes, simd_lanes=lanes
    )
    for pes, noc, latency, lanes in itertools.product((64, 100), (1, 7, 300), (0, 3), (1, 2))
]
"""12 accelerators of each of two numbers of PEs."""


def product_batch(pairs: int, seed: int = 3) -> Batch:
    """Random layers with mappings of one and two levels, on every one of :data:`POINTS`."""
    trials = random_trials(seed, pairs)
    return encode_pairs([t.layer for t in trials], [t.dataflow for t in trials], POINTS)


LAYER = Layer.of("layer", "CONV", {"K": 10, "C": 7, "R": 3, "S": 3, "Y": 14, "X": 9})
WINDOW = (TemporalMap(3, 3, "R"), TemporalMap(3, 3, "S"))


def three_levels() -> Batch:
    """A mapping of three cluster levels with ragged tiles at each."""
    flow = Dataflow(
        (
            *(SpatialMap(3, 3, "K"), TemporalMap(2, 2, "C"), TemporalMap(5, 3, "Y"), *WINDOW, Cluster(8)),
            *(SpatialMap(3, 1, "X"), TemporalMap(2, 2, "K"), Cluster(2), SpatialMap(1, 1, "C")),
        )
    )
    return encode([LAYER], [flow], POINTS)


def doubled_batch() -> Batch:
    """K mapped twice in one level, over time and over the sub-clusters."""
    flow = Dataflow(
        (
            TemporalMap(4, 4, "K"),
            TemporalMap(3, 3, "C"),
            SpatialMap(2, 2, "K"),
            TemporalMap(3, 1, "Y"),
            *WINDOW,
        )
    )
    return encode([LAYER], [flow], POINTS)
