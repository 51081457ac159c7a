"""Tile sizes of one level: what a sub-cluster holds, what of it is new, at the edge and before.

MICRO'19, reuse analysis. These depend on the level's own static
dimensions alone, not on which tile of the level above is being processed.

Arrays have one row a directive: the eight slots and, where a batch has
dimensions that one level maps twice, a ninth for the earlier of the two
directives. The batch is the last axis, so that kernels run along it.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxmaestro.encoding.slots import AXES, SLOTS, WINDOWS
from jaxmaestro.equations.arithmetic import truncated_div
from jaxmaestro.equations.clusters import Level

Array = Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Tiles:
    """Rows are directives, ``[r, b]``; ``out_*`` and ``first_spatial`` have slots only, ``[8, b]``.

    Of several levels: stacked.
    """

    spatial: Array  # bool: class of the directive (of the later one over a slot, and of the ninth)
    rank: Array  # loop order, 0 outermost
    size: Array  # tile and offset, as the loop steps through them
    offset: Array
    mapped: Array  # elements that a sub-cluster holds along the dimension
    mapped_edge: Array  # ... at the edge
    unique: Array  # elements that it does not share with its predecessor
    unique_edge: Array
    out_mapped: Array  # the same in output elements for Y and X
    out_mapped_edge: Array
    out_unique: Array
    out_unique_edge: Array
    first_spatial: Array  # bool: class of the earliest directive over the slot
    clusters: Array  # [b] sub-clusters
    edge_clusters: Array  # [b] active sub-clusters in the last spatial iteration
    doubled: Array | None  # [b] slot that the ninth row repeats; -1: none. None: no ninth row

    @property
    def single(self) -> Array:
        """Whether one sub-cluster alone is active in the last spatial iteration, bool ``[b]``."""
        return self.edge_clusters == 1

    def take(self, columns: Array) -> Tiles:
        """The tiles of some columns, in this order."""
        taken: Tiles = jax.tree.map(lambda a: jnp.take(a, columns, axis=-1), self)
        return taken

    def with_ninth(self, by_slot: Array, otherwise: Any) -> Array:
        """``by_slot`` (``[..., 8, b]``) with, if there is a ninth row, the doubled slot's value under it."""
        if self.doubled is None:
            return by_slot
        return jnp.concatenate([by_slot, self.of_doubled(by_slot, otherwise)[..., None, :]], -2)

    def padded(self, by_slot: Array, otherwise: Any) -> Array:
        """``by_slot`` (``[..., 8, b]``) with, if there is a ninth row, ``otherwise`` under it."""
        if self.doubled is None:
            return by_slot
        return jnp.concatenate([by_slot, jnp.full_like(by_slot[..., :1, :], otherwise)], -2)

    def of_doubled(self, by_slot: Array, otherwise: Any) -> Array:
        """Value of the doubled slot, ``otherwise`` where there is none."""
        assert self.doubled is not None
        value: Array = jnp.asarray(otherwise, by_slot.dtype)
        for d in range(SLOTS):
            value = jnp.where(self.doubled == d, by_slot[..., d, :], value)
        return value


def analyse_tiles(level: Level, sliding: Array) -> Tiles:
    """Tile sizes of a level. ``sliding`` (bool ``[b]``): Y and X are slid over by R and S."""
    size, offset, dims = level.size, level.offset, level.dims
    spatial, rank = level.spatial, level.rank
    steady = jnp.maximum(truncated_div(dims - size, offset), 0)
    has_edge = (steady * offset + size < dims) | (size > dims)
    rest = dims - (steady + 1) * offset
    rest = jnp.where(rest < 0, dims, rest)
    mapped = size
    unique = jnp.where(~spatial & (dims <= size), 0, jnp.minimum(size, offset))
    mapped_edge = jnp.where(has_edge, rest, size)
    unique_edge = jnp.maximum(offset - (size - rest), 0)
    rows_edge = mapped_edge[AXES] - mapped_edge[WINDOWS] + 1
    in_outputs = (
        mapped[AXES] - mapped[WINDOWS] + 1,
        rows_edge,
        jnp.minimum(offset[AXES], size[AXES]),
        jnp.minimum(offset[AXES], rows_edge),
    )
    out = [
        jnp.concatenate([o[: AXES.start], jnp.where(sliding, v, o[AXES])])
        for o, v in zip((mapped, mapped_edge, unique, unique_edge), in_outputs, strict=True)
    ]
    tiles = Tiles(
        spatial=spatial,
        rank=rank,
        size=size,
        offset=offset,
        mapped=mapped,
        mapped_edge=mapped_edge,
        unique=unique,
        unique_edge=unique_edge,
        out_mapped=out[0],
        out_mapped_edge=out[1],
        out_unique=out[2],
        out_unique_edge=out[3],
        first_spatial=spatial,
        clusters=level.clusters,
        edge_clusters=_edge_clusters(level),
        doubled=None,
    )
    return tiles if level.extra is None else _add_ninth(tiles, level)


def _add_ninth(tiles: Tiles, level: Level) -> Tiles:
    """The earlier directive steps by its own tile but is priced by the sizes of the later one."""
    extra = level.extra
    assert extra is not None
    tiles = dataclasses.replace(tiles, doubled=extra.slot)
    there = extra.slot >= 0
    spatial = extra.spatial & there
    is_slot = extra.slot[None] == jnp.arange(SLOTS)[:, None]

    def append(array: Array, row: Array) -> Array:
        return jnp.concatenate([array, row[None].astype(array.dtype)])

    return dataclasses.replace(
        tiles,
        spatial=append(tiles.spatial, spatial),
        first_spatial=jnp.where(is_slot, spatial, tiles.spatial),
        rank=append(tiles.rank, jnp.where(there, extra.rank, -2)),
        size=append(tiles.size, extra.size),
        offset=append(tiles.offset, extra.offset),
        mapped=tiles.with_ninth(tiles.mapped, 1),
        mapped_edge=tiles.with_ninth(tiles.mapped_edge, 1),
        unique=tiles.with_ninth(tiles.unique, 1),
        unique_edge=tiles.with_ninth(tiles.unique_edge, 1),
    )


def _edge_clusters(level: Level) -> Array:
    """Active sub-clusters at the spatial edge of the outermost spatial map."""
    rank = jnp.where(level.spatial, level.rank, SLOTS + 2)
    upper = rank == rank.min(0)

    def pick(array: Array) -> Array:
        return jnp.where(upper, array, 0).sum(0, dtype=array.dtype)

    size, offset, dim = pick(level.size), pick(level.offset), pick(level.dims)
    if level.extra is not None:
        leads = (level.extra.slot >= 0) & level.extra.spatial & (level.extra.rank < rank.min(0))
        size = jnp.where(leads, level.extra.size, size)
        offset = jnp.where(leads, level.extra.offset, offset)
        doubled = level.extra.slot == jnp.arange(SLOTS)[:, None]
        dim = jnp.where(leads, jnp.where(doubled, level.dims, 0).sum(0, dtype=dim.dtype), dim)
    p = level.clusters
    several = dim > offset * (p - 1) + size
    steady = truncated_div(truncated_div(dim - size, offset) + 1, p) - 1
    left = dim - (steady + 1) * offset * p
    last = jnp.where(left < size, 1, truncated_div(left - size, offset) + 1)
    only = truncated_div(dim - size, offset) + 1
    only += (offset * (only - 1) + size < dim).astype(only.dtype)
    return jnp.where(dim <= size, 1, jnp.where(several, last, only))
