"""Cluster analysis: from directives to complete, input-centric maps at every level.

MICRO'19, data-centric directives, cluster analysis. A level sees the tile of
the level above as its layer. Dimensions that a level does not name are taken
from the level above, or kept whole; strides adjust the tiles of Y and X.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxmaestro.description.reasons import Reason
from jaxmaestro.encoding import slots
from jaxmaestro.encoding.slots import SLIDES_OVER, SLOTS, R, S, X, Y
from jaxmaestro.encoding.tables import MappingTable, Rows
from jaxmaestro.equations.arithmetic import truncated_div
from jaxmaestro.equations.flags import flag

Array = Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Extra:
    """The earlier of two directives over one dimension in one level, arrays ``[b]``."""

    slot: Array  # -1: none
    spatial: Array
    size: Array
    offset: Array
    rank: Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Level:
    """One cluster level, completed. Arrays are ``[b]`` or, by slot, ``[8, b]``."""

    spatial: Array  # [8, b] bool: the (last) directive over the slot is a spatial map
    size: Array  # [8, b] tile size
    offset: Array  # [8, b]
    rank: Array  # [8, b] loop order, 0 outermost
    dims: Array  # [8, b] size of the cluster's own tile: what this level tiles
    clusters: Array  # [b] sub-clusters in the level
    innermost: Array  # [b] bool
    exists: Array  # [b] bool: the mapping has this level
    extra: Extra | None
    noc_bandwidth: Array  # [p, q, b] by hardware point
    noc_latency: Array  # [p, q, b]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Shared:
    """What all levels of a tuple share; arrays ``[..., b]``."""

    coupled: Array  # bool [3, 8, b], by tensor and slot
    sliding: Array  # bool: R and S slide over Y and X
    simd_lanes: Array  # [p, q, b] by hardware point
    offchip_bandwidth: Array  # [p, q, b]


def analyse_clusters(batch: Rows) -> tuple[list[Level], Shared, Array]:
    """Every level, top first, what they share, and the reasons (uint32 ``[b]``) found on the way.

    Sizes are int32, as in the reference; only counts need more.
    """
    dtype = jnp.int32
    lay, maps, hw = batch.layers, batch.mappings, batch.hardware
    sizes, strides, references = (a.astype(dtype) for a in (lay.sizes, lay.strides, lay.references))
    present, coupled, sliding = lay.present, lay.coupled, lay.sliding
    flags = lay.flags | maps.flags
    flags |= flag(maps.gemm == sliding, Reason.MISSING_DIMENSION)
    swept = coupled[:, slots.INPUT] | coupled[:, slots.FILTER]
    num_pes = hw.num_pes[:, 0, 0].astype(dtype)  # the same at all points of a row
    bandwidths, latencies = hw.noc_bandwidth.astype(dtype), hw.noc_latency.astype(dtype)

    cluster = _resolve(maps.cluster, maps.cluster_sz, references)
    closed = jnp.arange(batch.levels)[None, :] < maps.levels[:, None] - 1
    no_cluster = closed & (maps.cluster_sz >= 0) & (cluster < 1)
    flags |= flag(no_cluster.any(1), Reason.MISSING_DIMENSION)
    cluster = jnp.where(closed, jnp.maximum(cluster, 1), 1)
    unit = jnp.ones_like(num_pes)
    for closing in range(batch.levels):
        # More PEs in the clusters than exist is illegal, however many more: saturate.
        size = cluster[:, closing]
        unit = jnp.where(truncated_div(num_pes, size) < unit, num_pes + 1, unit * size)
    flags |= flag((unit > num_pes) | (num_pes < 1), Reason.ILLEGAL_CLUSTER)
    clusters = jnp.maximum(truncated_div(num_pes, jnp.maximum(unit, 1)), 1)

    levels: list[Level] = []
    dims = sizes
    above: _Maps | None = None
    for index in range(batch.levels):
        exists = index < maps.levels
        own, undefined, undeclared = _own_directives(maps, index, references, dims)
        flags |= flag(exists & undefined, Reason.UNDEFINED)
        flags |= flag(exists & undeclared, Reason.MISSING_DIMENSION)
        named = own.kind > 0
        stray = (named & ~present).any(1) | ((index > 0) & _stray_below(own, above, swept))
        flags |= flag(exists & stray, Reason.MISSING_DIMENSION)
        level = _complete(own, above, dims, swept & present, batch.extras)
        level = _apply_stride(level, strides, sizes, sliding, top=index == 0)
        flags |= flag(exists & _filter_tile(own, sizes, sliding), Reason.ILLEGAL_FILTER_TILE)
        depth = jnp.clip(maps.levels - 1 - index, 0, bandwidths.shape[-1] - 1)[:, None, None, None]
        levels.append(
            Level(
                spatial=(level.kind == 2).T,
                size=level.size.T,
                offset=level.offset.T,
                rank=level.rank.T,
                # A dimension that no tensor has and no directive names is not there.
                dims=jnp.where(level.kind > 0, dims, 1).T,
                clusters=clusters,
                innermost=maps.levels == index + 1,
                exists=exists,
                extra=level.extra,
                noc_bandwidth=jnp.maximum(by_point(jnp.take_along_axis(bandwidths, depth, 3)[..., 0]), 1),
                noc_latency=by_point(jnp.take_along_axis(latencies, depth, 3)[..., 0]),
            )
        )
        dims = jnp.where(swept & present, jnp.minimum(_first_size(level), dims), 1)
        above, clusters = level, cluster[:, index]
    shared = Shared(
        coupled=jnp.moveaxis(coupled, 0, -1),
        sliding=sliding,
        simd_lanes=jnp.maximum(by_point(hw.simd_lanes), 1),
        offchip_bandwidth=jnp.maximum(by_point(hw.offchip_bandwidth), 1),
    )
    return levels, shared, flags


def by_point(field: Array) -> Array:
    """A field of hardware ``[b, p, q, ...]`` as kernels want it: ``[p, q, b, ...]``."""
    return jnp.moveaxis(field, 0, 2)


def _resolve(number: Array, reference: Array, references: Array) -> Array:
    """Numbers with ``Sz(D)`` replaced by the layer's size of D."""
    looked_up = jnp.take_along_axis(references, jnp.maximum(reference, 0), 1)
    return jnp.where(reference >= 0, looked_up, number.astype(references.dtype))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class _Maps:
    """A level's directives while it is being completed."""

    kind: Array
    size: Array
    offset: Array
    rank: Array
    extra: Extra | None


def _own_directives(
    maps: MappingTable, index: int, references: Array, dims: Array
) -> tuple[_Maps, Array, Array]:
    """The level's own directives in input-centric form; undefined ones; ``Sz`` of nothing declared."""
    kind = maps.kind[:, index]
    size = _resolve(maps.size[:, index], maps.size_sz[:, index], references)
    offset = _resolve(maps.offset[:, index], maps.offset_sz[:, index], references)
    named = kind > 0
    # Numbers below one are flagged when they are encoded; here 0 is a size that is not declared.
    by_reference = named & (maps.size_sz[:, index] >= 0) & (size < 1)
    by_reference |= named & (maps.offset_sz[:, index] >= 0) & (offset < 1)
    undeclared = by_reference.any(1)
    size, offset = jnp.maximum(size, 1), jnp.maximum(offset, 1)
    undefined = jnp.zeros_like(undeclared)
    for axis, window in SLIDES_OVER.items():
        # An output tile of n rows needs n + (filter tile) - 1 input rows.
        centric = maps.output_centric[:, index, axis]
        filter_tile = jnp.where(named[:, window], size[:, window], dims[:, window])
        size = size.at[:, axis].add(jnp.where(centric, filter_tile - 1, 0))
        undefined |= centric & ~named[:, window]
    fields = maps.extra[:, index]
    slot = fields[:, 0]
    extra = Extra(
        slot=slot,
        spatial=fields[:, 1] == 2,
        size=jnp.maximum(_resolve(fields[:, 2:3], fields[:, 3:4], references)[:, 0], 1),
        offset=jnp.maximum(_resolve(fields[:, 4:5], fields[:, 5:6], references)[:, 0], 1),
        rank=fields[:, 6],
    )
    return _Maps(kind, size, offset, maps.position[:, index], extra), undefined, undeclared


def _stray_below(own: _Maps, above: _Maps | None, swept: Array) -> Array:
    """Below the top only dimensions of input and filter exist; others kill the reference."""
    named = own.kind > 0
    if above is not None:
        named |= above.kind > 0
    return (named & ~swept).any(1)


def _filter_tile(own: _Maps, sizes: Array, sliding: Array) -> Array:
    """A temporal tile of R or S must be the whole dimension, its offset too."""
    bad = jnp.zeros_like(sliding)
    for window in (R, S):
        temporal = own.kind[:, window] == 1
        whole = (own.size[:, window] == own.offset[:, window]) & (own.size[:, window] == sizes[:, window])
        bad |= temporal & ~whole
        if own.extra is not None:
            first = (own.extra.slot == window) & ~own.extra.spatial
            bad |= first & ((own.extra.size != own.extra.offset) | (own.extra.size != sizes[:, window]))
    return bad & sliding


def _complete(own: _Maps, above: _Maps | None, dims: Array, swept: Array, extras: bool) -> _Maps:
    """Add what the level does not name: from the level above (in front), or whole (at the end)."""
    named = own.kind > 0
    kind, size, offset = own.kind, own.size, own.offset
    order = own.rank
    if above is not None:
        inherited = ~named & (above.kind > 0)
        first_size, first_offset, first_rank = _first_size(above), above.offset, above.rank
        if above.extra is not None:
            doubled = _one_hot(above.extra.slot)
            first_offset = jnp.where(doubled, above.extra.offset[:, None], first_offset)
            first_rank = jnp.where(doubled, above.extra.rank[:, None], first_rank)
        kind = jnp.where(inherited, 1, kind)
        size = jnp.where(inherited, first_size, size)
        offset = jnp.where(inherited, first_offset, offset)
        # Each is put in front of the ones before it, so their order is reversed.
        order = jnp.where(inherited, -1 - first_rank, order)
    whole = (kind == 0) & swept
    kind = jnp.where(whole, 1, kind)
    size = jnp.where(whole, dims, size)
    offset = jnp.where(whole, dims, offset)
    order = jnp.where(whole, 1000 + jnp.asarray(slots.UNROLL_ORDER), order)
    absent = kind == 0
    order = jnp.where(absent, 2000 + jnp.arange(SLOTS), order)
    size, offset = jnp.where(absent, 1, size), jnp.where(absent, 1, offset)
    rank = (order[:, None, :] < order[:, :, None]).sum(2, dtype=jnp.int32)
    extra = own.extra if extras else None
    if extra is not None:
        there = extra.slot >= 0
        rank += (there[:, None] & (extra.rank[:, None] < order)).astype(rank.dtype)
        extra = dataclasses.replace(extra, rank=(order < extra.rank[:, None]).sum(1, dtype=jnp.int32))
    return _Maps(kind, size, offset, rank, extra)


def _one_hot(slot: Array) -> Array:
    return slot[:, None] == jnp.arange(SLOTS)[None, :]


def _first_size(level: _Maps) -> Array:
    """Size of the first directive over each slot."""
    if level.extra is None:
        return level.size
    return jnp.where(_one_hot(level.extra.slot), level.extra.size[:, None], level.size)


def _apply_stride(level: _Maps, strides: Array, full: Array, sliding: Array, top: bool) -> _Maps:
    """Tiles of Y and X that hold whole filter windows shrink to what the outputs need."""
    size, offset = level.size, level.offset
    for axis, window in ((Y, R), (X, S)):
        stride, filter_size = jnp.maximum(strides[:, axis], 1), full[:, window]
        strided = sliding & (stride != 1) & (size[:, axis] >= filter_size)
        outputs = truncated_div(size[:, axis] + stride - filter_size, stride)
        shrunk = outputs * jnp.minimum(stride, filter_size) + jnp.maximum(filter_size - stride, 0)
        step = outputs * stride if top else outputs * jnp.minimum(stride, filter_size)
        size = size.at[:, axis].set(jnp.where(strided, shrunk, size[:, axis]))
        offset = offset.at[:, axis].set(jnp.where(strided, step, offset[:, axis]))
    return dataclasses.replace(level, size=size, offset=offset)
