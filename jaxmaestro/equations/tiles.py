"""Tile sizes of one level: what a sub-cluster holds, what of it is new, at the edge and before.

MICRO'19, section 4.2 (reuse analysis). These depend on the level's own static
dimensions alone, not on which tile of the level above is being processed.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax.numpy as jnp

from jaxmaestro.encoding.slots import SLIDES_OVER, SLOTS
from jaxmaestro.equations.arithmetic import Arithmetic, truncated_div
from jaxmaestro.equations.clusters import Level

Array = Any
BySlot = list[Array]
"""One array ``[b]`` a slot: kept apart so that a kernel over slots is one fused loop."""


@dataclasses.dataclass(frozen=True)
class Tiles:
    """By slot, arrays ``[b]``; ``out_*`` are output sizes for Y and X, the same for other slots."""

    spatial: BySlot  # bool: class of the directive (the last one over the slot)
    first_spatial: BySlot  # bool: class of the first directive over the slot
    rank: BySlot
    size: BySlot  # tile
    offset: BySlot
    mapped: BySlot  # elements that a sub-cluster holds along the slot
    mapped_edge: BySlot  # ... at the edge
    unique: BySlot  # elements that it does not share with its predecessor
    unique_edge: BySlot
    out_mapped: BySlot
    out_mapped_edge: BySlot
    out_unique: BySlot
    out_unique_edge: BySlot
    clusters: Array  # sub-clusters
    edge_clusters: Array  # active sub-clusters in the last spatial iteration
    extra: ExtraTile | None


@dataclasses.dataclass(frozen=True)
class ExtraTile:
    """The earlier directive over a doubly mapped dimension, arrays ``[b]``."""

    slot: Array  # -1: none
    is_slot: BySlot  # bool, by slot
    spatial: Array
    size: Array
    offset: Array
    rank: Array


def analyse_tiles(level: Level, sliding: Array, arithmetic: Arithmetic) -> Tiles:
    """Tile sizes of a level. ``sliding`` (bool ``[b]``): Y and X are slid over by R and S."""
    size, offset, dims = level.size, level.offset, level.dims
    steady = jnp.maximum(truncated_div(dims - size, offset), 0)
    has_edge = (steady * offset + size < dims) | (size > dims)
    rest = dims - (steady + 1) * offset
    rest = jnp.where(rest < 0, dims, rest)
    unrolled = ~level.spatial & (dims <= size)
    mapped = size
    unique = jnp.where(unrolled, 0, jnp.minimum(size, offset))
    mapped_edge = jnp.where(has_edge, rest, size)
    unique_edge = jnp.maximum(offset - (size - rest), 0)
    out = [mapped, mapped_edge, unique, unique_edge]
    for axis, window in SLIDES_OVER.items():
        slides = sliding
        rows = mapped[:, axis] - mapped[:, window] + 1
        rows_edge = mapped_edge[:, axis] - mapped_edge[:, window] + 1
        step = jnp.minimum(offset[:, axis], size[:, axis])
        step_edge = jnp.minimum(offset[:, axis], rows_edge)
        for i, value in enumerate((rows, rows_edge, step, step_edge)):
            out[i] = out[i].at[:, axis].set(jnp.where(slides, value, out[i][:, axis]))

    def split(array: Array) -> BySlot:
        array = array if array.dtype == bool else array.astype(arithmetic.count)
        return [array[:, slot] for slot in range(SLOTS)]

    first_spatial, extra = level.spatial, None
    if level.extra is not None:
        is_slot = level.extra.slot[:, None] == jnp.arange(SLOTS)
        first_spatial = jnp.where(is_slot, level.extra.spatial[:, None], first_spatial)
        extra = ExtraTile(
            slot=level.extra.slot,
            is_slot=split(is_slot),
            spatial=level.extra.spatial & (level.extra.slot >= 0),
            size=level.extra.size.astype(arithmetic.count),
            offset=level.extra.offset.astype(arithmetic.count),
            rank=level.extra.rank,
        )
    return Tiles(
        spatial=split(level.spatial),
        first_spatial=split(first_spatial),
        rank=[level.rank[:, slot] for slot in range(SLOTS)],
        size=split(size),
        offset=split(offset),
        mapped=split(mapped),
        mapped_edge=split(mapped_edge),
        unique=split(unique),
        unique_edge=split(unique_edge),
        out_mapped=split(out[0]),
        out_mapped_edge=split(out[1]),
        out_unique=split(out[2]),
        out_unique_edge=split(out[3]),
        clusters=level.clusters.astype(arithmetic.count),
        edge_clusters=_edge_clusters(level).astype(arithmetic.count),
        extra=extra,
    )


def _edge_clusters(level: Level) -> Array:
    """Active sub-clusters at the spatial edge of the outermost spatial map."""
    rank = jnp.where(level.spatial, level.rank, SLOTS + 2)
    upper = jnp.argmin(rank, axis=1)[:, None]

    def pick(array: Array) -> Array:
        return jnp.take_along_axis(array, upper, 1)[:, 0]

    size, offset, dim = pick(level.size), pick(level.offset), pick(level.dims)
    if level.extra is not None:
        leads = (level.extra.slot >= 0) & level.extra.spatial & (level.extra.rank < pick(rank))
        size = jnp.where(leads, level.extra.size, size)
        offset = jnp.where(leads, level.extra.offset, offset)
        slot = jnp.maximum(level.extra.slot, 0)[:, None]
        dim = jnp.where(leads, jnp.take_along_axis(level.dims, slot, 1)[:, 0], dim)
    p = level.clusters
    several = dim > offset * (p - 1) + size
    steady = truncated_div(truncated_div(dim - size, offset) + 1, p) - 1
    left = dim - (steady + 1) * offset * p
    last = jnp.where(left < size, 1, truncated_div(left - size, offset) + 1)
    only = truncated_div(dim - size, offset) + 1
    only += (offset * (only - 1) + size < dim).astype(only.dtype)
    return jnp.where(dim <= size, 1, jnp.where(several, last, only))
