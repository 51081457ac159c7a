"""The spatial maps of a level: what sub-clusters share is decided by them alone.

A legal level has one or two. Volumes of the first, a following and the last
sub-cluster differ only in what these contribute, so they are picked out of the
directives once, and everything else about a volume is common to all sub-clusters.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxmaestro.encoding.slots import FILTER, INPUT, OUTPUT, SLOTS
from jaxmaestro.equations.tiles import Tiles

Array = Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SpatialMaps:
    """Two maps of each level, arrays ``[2, b]``; one that is not there has row -1 and sizes of 1."""

    row: Array  # int32 directive
    rank: Array  # int32
    input: Array  # bool: the input depends on its dimension
    filter: Array
    kept: Array  # bool: the output does; in :func:`output_maps` sizes are then in output elements
    mapped: Array  # elements of a sub-cluster
    mapped_edge: Array  # ... at the edge
    unique: Array  # ... that it does not share with its predecessor
    unique_edge: Array
    alone: Array  # of a lone sub-cluster at the edge (outputs and work only)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Work:
    """Directives as outputs and partial sums see them, arrays ``[r, b]``.

    Dimensions that the output depends on count in output elements and by their
    first directive; the others are reduced: they multiply the work alone.
    """

    kept: Array  # bool: of the output
    spatial: Array  # bool
    mapped: Array
    mapped_edge: Array
    unique: Array
    unique_edge: Array
    alone: Array


def work_of(tiles: Tiles, coupled: Array) -> Work:
    """How directives count for the output; ``coupled`` bool ``[3, 8, b]``."""
    kept = coupled[OUTPUT]
    # The ninth row multiplies the work where its dimension is reduced.
    either = tiles.with_ninth(kept, True)

    def choose(out: Array, reduced: Array, otherwise: Any) -> Array:
        return jnp.where(either, tiles.padded(out, otherwise), reduced)

    return Work(
        kept=tiles.padded(kept, False),
        spatial=choose(tiles.first_spatial, tiles.spatial, False),
        mapped=choose(tiles.out_mapped, tiles.mapped, 1),
        mapped_edge=choose(tiles.out_mapped_edge, tiles.mapped_edge, 1),
        unique=choose(tiles.out_unique, tiles.unique, 1),
        unique_edge=choose(tiles.out_unique_edge, tiles.unique_edge, 1),
        # A lone sub-cluster at the edge is priced by its input tile there, not the output tile.
        alone=choose(tiles.mapped_edge[:SLOTS], tiles.mapped_edge, 1),
    )


def input_maps(tiles: Tiles, coupled: Array) -> SpatialMaps:
    """The spatial maps as the two input tensors see them; ``coupled`` bool ``[3, 8, b]``."""
    sizes = (tiles.mapped, tiles.mapped_edge, tiles.unique, tiles.unique_edge, tiles.mapped_edge)
    return _picked(tiles, coupled, tiles.spatial, sizes)


def output_maps(tiles: Tiles, coupled: Array, work: Work) -> SpatialMaps:
    """The spatial maps as outputs and partial sums see them."""
    sizes = (work.mapped, work.mapped_edge, work.unique, work.unique_edge, work.alone)
    return _picked(tiles, coupled, work.spatial, sizes)


def _picked(tiles: Tiles, coupled: Array, spatial: Array, sizes: tuple[Array, ...]) -> SpatialMaps:
    """The first and the last of some directives, in slot order."""
    rows = jnp.arange(spatial.shape[0], dtype=jnp.int32)[:, None]
    first = jnp.where(spatial, rows, SLOTS + 1).min(0)
    last = jnp.where(spatial, rows, -1).max(0)
    row = jnp.stack([jnp.where(last < 0, -1, first), jnp.where(last == first, -1, last)])
    chosen = row[:, None] == rows  # [2, r, b]

    def pick(values: Array, otherwise: int) -> Array:
        return jnp.where(row < 0, otherwise, jnp.where(chosen, values, 0).sum(1, dtype=values.dtype))

    def depends(tensor: int) -> Array:
        return (chosen & tiles.with_ninth(coupled[tensor], False)).any(1)

    m, me, u, ue, alone = (pick(size, 1) for size in sizes)
    return SpatialMaps(
        row=row,
        rank=pick(tiles.rank, -2),
        input=depends(INPUT),
        filter=depends(FILTER),
        kept=(chosen & tiles.padded(coupled[OUTPUT], False)).any(1),
        mapped=m,
        mapped_edge=me,
        unique=u,
        unique_edge=ue,
        alone=alone,
    )


def of_maps(maps: SpatialMaps, by_row: Array) -> Array:
    """Bool ``[r, c]`` of the maps' directives, ``[2, c]``."""
    rows = jnp.arange(by_row.shape[0], dtype=jnp.int32)[:, None]
    return ((maps.row[:, None] == rows) & by_row).any(1)
