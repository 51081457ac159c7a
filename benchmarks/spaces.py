"""What ``benchmarks.scaling`` evaluates: random convolutions and mappings, the same in every run.

Shorter lists begin the longer ones.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

import jaxmaestro as jm
from jaxmaestro.formats import parse_dataflow

T = TypeVar("T")

PES = (64, 128, 192, 256, 320, 384, 512, 640, 768, 1024)
"""Numbers of PEs of accelerators that share nothing."""

_WINDOW = (
    "TemporalMap(Sz(R),1) Y; TemporalMap(Sz(S),1) X; TemporalMap(Sz(R),Sz(R)) R; TemporalMap(Sz(S),Sz(S)) S;"
)
LEVELS = {
    n: parse_dataflow(f"Dataflow {{ {text} }}")
    for n, text in {
        1: "TemporalMap(1,1) K; TemporalMap(1,1) C; TemporalMap(Sz(R),Sz(R)) R; TemporalMap(Sz(S),Sz(S)) S;"
        "TemporalMap(Sz(R),1) Y; SpatialMap(Sz(S),1) X;",
        2: f"SpatialMap(1,1) K; TemporalMap(64,64) C; {_WINDOW} Cluster(64,P); SpatialMap(1,1) C; {_WINDOW}",
        3: f"SpatialMap(1,1) K; TemporalMap(64,64) C; {_WINDOW} Cluster(16,P);"
        f"SpatialMap(4,4) C; {_WINDOW} Cluster(4,P); SpatialMap(1,1) C; {_WINDOW}",
    }.items()
}
"""Dataflows of one, two and three cluster levels: X-P, KC-P, and KC-P with C spread twice."""


def random_layers(count: int) -> list[jm.Layer]:
    """So many different convolutions, of the sizes of usual networks."""
    rng = np.random.default_rng(0)

    def drawn() -> tuple[tuple[str, int], ...]:
        k, c, size = (int(rng.integers(*span)) for span in ((16, 513), (16, 513), (7, 113)))
        window = int(rng.choice([1, 3, 5]))
        side = size + window - 1
        return (("K", k), ("C", c), ("R", window), ("S", window), ("Y", side), ("X", side))

    return [jm.Layer(f"layer {i}", jm.LayerType.CONV, d) for i, d in enumerate(_different(drawn, count))]


def random_dataflows(count: int) -> list[jm.Dataflow]:
    """So many different dataflows of two levels: what is spatial, loop order, tiles and cluster size vary."""
    rng = np.random.default_rng(1)

    def drawn() -> jm.Dataflow:
        outer, inner = [("K", "C"), ("C", "K"), ("Y", "K"), ("Y", "C"), ("X", "C")][int(rng.integers(5))]
        cluster = int(rng.choice([4, 8, 16, 32, 64]))
        size: dict[str, tuple[Any, Any]] = {d: (int(rng.integers(1, 65)),) * 2 for d in "KC"}
        size |= {"R": (jm.Sz("R"),) * 2, "S": (jm.Sz("S"),) * 2, "Y": (jm.Sz("R"), 1), "X": (jm.Sz("S"), 1)}
        size[inner] = (cluster, cluster)
        order = rng.permutation(list("KCRSYX"))
        top = [(jm.SpatialMap if d == outer else jm.TemporalMap)(*size[d], d) for d in map(str, order)]
        below = [jm.TemporalMap(*size[d], d) for d in map(str, order) if d not in (inner, "K", "C")]
        return jm.Dataflow((*top, jm.Cluster(cluster), jm.SpatialMap(1, 1, inner), *below))

    return _different(drawn, count)


def _different(draw: Callable[[], T], count: int) -> list[T]:
    """The first so many different things drawn."""
    found: dict[T, None] = {}
    while len(found) < count:
        found.setdefault(draw())
    return list(found)


def of_pairs(count: int, points: list[jm.Hardware]) -> jm.Batch:
    """So many pairs of layer and mapping, drawn from a million, each on all these accelerators."""
    pairs = jm.encode_product(random_layers(1000), random_dataflows(1000), points[:1])
    drawn = pairs.take(np.random.default_rng(2).permutation(len(pairs))[:count])
    accelerators = jm.encode_product(random_layers(1), random_dataflows(1), points)
    return dataclasses.replace(
        drawn,
        hardware=accelerators.hardware,
        layer=np.repeat(drawn.layer, len(points)),
        mapping=np.repeat(drawn.mapping, len(points)),
        accelerator=np.tile(accelerators.accelerator, count),
    )


def accelerator(pes: int) -> jm.Hardware:
    """An accelerator of so many PEs."""
    return jm.Hardware(num_pes=pes, noc_bandwidth=64, hop_latency=1, offchip_bandwidth=50)


def bandwidths(count: int) -> list[jm.Hardware]:
    """So many accelerators of 256 PEs."""
    noc, offchip, hops = (2 ** np.arange(3, 13), 2 ** np.arange(2, 12), np.arange(100))
    order = np.random.default_rng(3).permutation(10_000)[:count]
    return [
        jm.Hardware(
            num_pes=256,
            noc_bandwidth=int(noc[i % 10]),
            offchip_bandwidth=int(offchip[i // 10 % 10]),
            hop_latency=int(hops[i // 100]),
        )
        for i in order
    ]
