"""Cluster analysis: from directives to complete, input-centric maps at every level.

MICRO'19, data-centric directives, cluster analysis. A level sees the tile of
the level above as its layer. Dimensions that a level does not name are taken
from the level above, or kept whole; strides adjust the tiles of Y and X.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxmaestro.description.reasons import Reason
from jaxmaestro.encoding import slots
from jaxmaestro.encoding.slots import AXES, SLOTS, WINDOWS, R, S
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
    """One cluster level, completed; arrays ``[b]`` or, by slot, ``[8, b]``. Of several levels: stacked."""

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


def analyse_clusters(batch: Rows) -> tuple[Level, Shared, Array]:
    """All levels (with a leading axis, top first), what they share, and the reasons found (uint32 ``[b]``).

    Sizes are int32, as in the reference; only counts need more.
    """
    dtype = jnp.int32
    lay, maps, hw = batch.layers, batch.mappings, batch.hardware
    sizes, strides, references = (a.astype(dtype) for a in (lay.sizes, lay.strides, lay.references))
    sliding, index = lay.sliding, jnp.arange(batch.levels, dtype=dtype)
    flags = lay.flags | maps.flags
    flags |= flag(maps.gemm == sliding, Reason.MISSING_DIMENSION)
    swept = lay.coupled[:, slots.INPUT] | lay.coupled[:, slots.FILTER]
    num_pes = hw.num_pes[:, 0, 0].astype(dtype)  # the same at all points of a row

    cluster = _resolve(maps.cluster, maps.cluster_sz, references)
    closed = index[None, :] < maps.levels[:, None] - 1
    no_cluster = closed & (maps.cluster_sz >= 0) & (cluster < 1)
    flags |= flag(no_cluster.any(1), Reason.MISSING_DIMENSION)
    cluster = jnp.where(closed, jnp.maximum(cluster, 1), 1)
    unit = jnp.ones_like(num_pes)
    for closing in range(batch.levels):
        # More PEs in the clusters than exist is illegal, however many more: saturate.
        size = cluster[:, closing]
        unit = jnp.where(truncated_div(num_pes, size) < unit, num_pes + 1, unit * size)
    flags |= flag((unit > num_pes) | (num_pes < 1), Reason.ILLEGAL_CLUSTER)
    at_top = jnp.maximum(truncated_div(num_pes, jnp.maximum(unit, 1)), 1)
    levels_below = maps.levels[None, :] - 1 - index[:, None]  # [levels, b]
    exists = levels_below >= 0

    def complete(above: _Above, named: _Named) -> tuple[_Above, tuple[_Maps, Array]]:
        own, undefined = _input_centric(named, above.dims)
        stray = ((own.kind > 0) & ~lay.present).any(1) | (~named.top & _stray_below(own, above.level, swept))
        flags = above.flags
        for found, reason in (
            (undefined, Reason.UNDEFINED),
            (named.undeclared | stray, Reason.MISSING_DIMENSION),
            (_filter_tile(own, sizes, sliding), Reason.ILLEGAL_FILTER_TILE),
        ):
            flags |= flag(named.exists & found, reason)
        level = _complete(own, above.level, above.dims, swept & lay.present)
        level = _apply_stride(level, strides, sizes, sliding, named.top)
        # A dimension that no tensor has and no directive names is not there.
        dims = jnp.where(level.kind > 0, above.dims, 1)
        below = jnp.where(swept & lay.present, jnp.minimum(_first_size(level), above.dims), 1)
        return _Above(level, below, flags), (level, dims)

    named = _as_named(maps, references, exists, batch.extras)
    # Above the top there is no directive; what else is said there does not count.
    nothing = jax.tree.map(lambda a: jnp.zeros_like(a[0]), named.own)
    # One loop over the levels: there is a quarter less to compile.
    last, (level, dims) = lax.scan(complete, _Above(nothing, sizes, flags), named)
    by_slot = functools.partial(jnp.swapaxes, axis1=1, axis2=2)
    depth = jnp.clip(levels_below, 0, hw.noc_bandwidth.shape[-1] - 1)

    def by_level(nocs: Array) -> Array:
        """What a NoC has ``[levels, p, q, b]``: the innermost level has the first."""
        own = jnp.take_along_axis(nocs.astype(dtype)[None], depth[..., None, None, None], 4)[..., 0]
        return jnp.moveaxis(own, 1, 3)

    levels = Level(
        spatial=by_slot(level.kind == 2),
        size=by_slot(level.size),
        offset=by_slot(level.offset),
        rank=by_slot(level.rank),
        dims=by_slot(dims),
        clusters=jnp.concatenate([at_top[None], cluster.T[:-1]]),
        innermost=levels_below == 0,
        exists=exists,
        extra=level.extra,
        noc_bandwidth=jnp.maximum(by_level(hw.noc_bandwidth), 1),
        noc_latency=by_level(hw.noc_latency),
    )
    shared = Shared(
        coupled=jnp.moveaxis(lay.coupled, 0, -1),
        sliding=sliding,
        simd_lanes=jnp.maximum(by_point(hw.simd_lanes), 1),
        offchip_bandwidth=jnp.maximum(by_point(hw.offchip_bandwidth), 1),
    )
    return levels, shared, last.flags


def by_point(field: Array) -> Array:
    """A field of hardware ``[b, p, q, ...]`` as kernels want it: ``[p, q, b, ...]``."""
    return jnp.moveaxis(field, 0, 2)


def _resolve(number: Array, reference: Array, references: Array) -> Array:
    """Numbers ``[b, ...]`` with ``Sz(D)`` replaced by the layer's size of D."""
    entries = jnp.maximum(reference, 0).reshape(len(reference), -1)
    looked_up = jnp.take_along_axis(references, entries, 1).reshape(reference.shape)
    return jnp.where(reference >= 0, looked_up, number.astype(references.dtype))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class _Maps:
    """A level's directives while it is being completed, ``[b, 8]``."""

    kind: Array
    size: Array
    offset: Array
    rank: Array
    extra: Extra | None


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class _Named:
    """Levels as a mapping names them, with a leading axis, top first."""

    own: _Maps  # the level's own directives
    centric: Array  # bool [b, 8]: over an output dimension
    undeclared: Array  # bool [b]: ``Sz`` of what the layer does not declare
    exists: Array  # bool [b]
    top: Array  # bool


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class _Above:
    """What a level takes from those above it."""

    level: _Maps  # the one above, complete
    dims: Array  # [b, 8] size of its tile
    flags: Array  # uint32 [b], reasons found so far


def _as_named(maps: MappingTable, references: Array, exists: Array, extras: bool) -> _Named:
    """All levels of the mappings; without ``extras`` none maps a dimension twice."""
    named = maps.kind > 0
    size = _resolve(maps.size, maps.size_sz, references)
    offset = _resolve(maps.offset, maps.offset_sz, references)
    # Numbers below one are flagged when they are encoded; here 0 is a size that is not declared.
    undeclared = (maps.size_sz >= 0) & (size < 1) | (maps.offset_sz >= 0) & (offset < 1)
    extra = None
    if extras:
        fields = maps.extra
        extra = Extra(
            slot=fields[..., 0],
            spatial=fields[..., 1] == 2,
            size=jnp.maximum(_resolve(fields[..., 2], fields[..., 3], references), 1),
            offset=jnp.maximum(_resolve(fields[..., 4], fields[..., 5], references), 1),
            rank=fields[..., 6],
        )
    own = _Maps(
        maps.kind, jnp.maximum(size, 1), jnp.maximum(offset, 1), maps.position.astype(jnp.int32), extra
    )
    by_level = (own, maps.output_centric, (named & undeclared).any(2))
    own, centric, undeclared = jax.tree.map(lambda a: jnp.moveaxis(a, 1, 0), by_level)
    return _Named(own, centric, undeclared, exists, jnp.arange(len(exists)) == 0)


def _input_centric(named: _Named, dims: Array) -> tuple[_Maps, Array]:
    """A level's own directives over input dimensions, and which tuples have undefined ones (``[b]``)."""
    own, centric = named.own, named.centric[:, AXES]
    is_named = own.kind[:, WINDOWS] > 0
    # An output tile of n rows needs n + (filter tile) - 1 input rows.
    filter_tile = jnp.where(is_named, own.size[:, WINDOWS], dims[:, WINDOWS])
    size = with_axes(own.size, own.size[:, AXES] + jnp.where(centric, filter_tile - 1, 0))
    return dataclasses.replace(own, size=size), (centric & ~is_named).any(1)


def _stray_below(own: _Maps, above: _Maps, swept: Array) -> Array:
    """Below the top only dimensions of input and filter exist; others kill the reference."""
    return (((own.kind > 0) | (above.kind > 0)) & ~swept).any(1)


def _filter_tile(own: _Maps, sizes: Array, sliding: Array) -> Array:
    """A temporal tile of R or S must be the whole dimension, its offset too."""
    full = sizes[:, WINDOWS]
    whole = (own.size[:, WINDOWS] == own.offset[:, WINDOWS]) & (own.size[:, WINDOWS] == full)
    bad = (own.kind[:, WINDOWS] == 1) & ~whole
    if own.extra is not None:
        slot, spatial, size, offset = (
            a[:, None] for a in (own.extra.slot, own.extra.spatial, own.extra.size, own.extra.offset)
        )
        first = (slot == jnp.array([R, S])) & ~spatial
        bad |= first & ((size != offset) | (size != full))
    return bad.any(1) & sliding


def _complete(own: _Maps, above: _Maps, dims: Array, swept: Array) -> _Maps:
    """Add what the level does not name: from the level above (in front), or whole (at the end)."""
    inherited = (own.kind == 0) & (above.kind > 0)
    first_offset, first_rank = above.offset, above.rank
    if above.extra is not None:
        doubled = _one_hot(above.extra.slot)
        first_offset = jnp.where(doubled, above.extra.offset[:, None], first_offset)
        first_rank = jnp.where(doubled, above.extra.rank[:, None], first_rank)
    kind = jnp.where(inherited, 1, own.kind)
    size = jnp.where(inherited, _first_size(above), own.size)
    offset = jnp.where(inherited, first_offset, own.offset)
    # Each is put in front of the ones before it, so their order is reversed.
    order = jnp.where(inherited, -1 - first_rank, own.rank)
    whole = (kind == 0) & swept
    kind = jnp.where(whole, 1, kind)
    size = jnp.where(whole, dims, size)
    offset = jnp.where(whole, dims, offset)
    order = jnp.where(whole, 1000 + jnp.asarray(slots.UNROLL_ORDER), order)
    absent = kind == 0
    order = jnp.where(absent, 2000 + jnp.arange(SLOTS), order)
    size, offset = jnp.where(absent, 1, size), jnp.where(absent, 1, offset)
    rank = (order[:, None, :] < order[:, :, None]).sum(2, dtype=jnp.int32)
    extra = own.extra
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


def _apply_stride(level: _Maps, strides: Array, full: Array, sliding: Array, top: Array) -> _Maps:
    """Tiles of Y and X that hold whole filter windows shrink to what the outputs need."""
    size, offset = level.size[:, AXES], level.offset[:, AXES]
    stride, filter_size = jnp.maximum(strides[:, AXES], 1), full[:, WINDOWS]
    strided = sliding[:, None] & (stride != 1) & (size >= filter_size)
    outputs = truncated_div(size + stride - filter_size, stride)
    covered = jnp.minimum(stride, filter_size)
    shrunk = outputs * covered + jnp.maximum(filter_size - stride, 0)
    step = outputs * jnp.where(top, stride, covered)
    return dataclasses.replace(
        level,
        size=with_axes(level.size, jnp.where(strided, shrunk, size)),
        offset=with_axes(level.offset, jnp.where(strided, step, offset)),
    )


def with_axes(by_slot: Array, axes: Array) -> Array:
    """An array ``[b, 8]`` with the values ``[b, 2]`` for Y and X."""
    return jnp.concatenate([by_slot[:, : AXES.start], axes], 1)
