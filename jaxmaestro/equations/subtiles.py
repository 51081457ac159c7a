"""The sub-tiles that a level hands down: few distinct ones, numbered.

Along each dimension a sub-cluster gets either the whole tile or the ragged one.
A level's sub-tiles are therefore the combinations of those dimensions for which
both occur; each is analysed once, and a case looks its own up by number.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax.numpy as jnp

from jaxmaestro.encoding.slots import SLOTS
from jaxmaestro.equations.cases import States
from jaxmaestro.equations.tiles import BySlot, Tiles

Array = Any


@dataclasses.dataclass(frozen=True)
class Subtiles:
    """Numbering of a level's sub-tiles."""

    both: BySlot  # bool [b]: whole and ragged tiles occur
    weight: BySlot  # int32 [b]: place value in the number
    needed: Array  # int32 [b]: how many sub-tiles there are
    dims: BySlot  # [variants, b]: the sub-tiles themselves
    variants: int  # how many are analysed


def number_subtiles(tiles: Tiles, states: States, variants: int) -> Subtiles:
    """Sub-tiles of a level over all the tiles that the level itself may be handed."""
    single = tiles.edge_clusters == 1
    raggable: Array = jnp.bool_(False)
    for d in range(len(states.number)):
        spatial = tiles.spatial[d] if d < SLOTS else jnp.bool_(True)
        raggable = raggable | (spatial & (states.init_ragged[d] | states.edge_ragged[d]))
    raggable = raggable.any(0)
    both, whole_only, ragged_only = [], [], []
    for d in range(SLOTS):
        has_edge = (states.number[d] > 1 + states.has_steady[d].astype(jnp.int32)) | states.init_edge[d]
        has_full = ~states.init_edge[d] | states.has_steady[d]
        at_edge, full = has_edge.any(0), has_full.any(0)
        spatial = tiles.first_spatial[d]
        ragged = at_edge & (~spatial | single | raggable)
        whole = full | (spatial & at_edge & ~single)
        differ = tiles.mapped[d] != tiles.mapped_edge[d]
        both.append(ragged & whole & differ)
        ragged_only.append(ragged & ~whole)
        whole_only.append(~ragged)
    needed = jnp.ones(both[0].shape, jnp.int32)
    weight = []
    for d in range(SLOTS):
        weight.append(needed)
        needed = needed * jnp.where(both[d], 2, 1)
    number = jnp.arange(variants, dtype=jnp.int32)[:, None]
    dims = []
    for d in range(SLOTS):
        # Weights are powers of two, so a bit test reads the digit.
        bit = (number & weight[d][None]) != 0
        ragged = jnp.where(both[d][None], bit, ragged_only[d][None])
        dims.append(jnp.where(ragged, tiles.mapped_edge[d], tiles.mapped[d]))
    return Subtiles(both, weight, needed, dims, variants)


def subtile_number(subtiles: Subtiles, ragged: BySlot) -> Array:
    """Number of the sub-tile that is ragged along the given slots, int32 ``[v, b]``."""
    number: Array = jnp.int32(0)
    for d in range(SLOTS):
        number = number + jnp.where(subtiles.both[d] & ragged[d], subtiles.weight[d], 0)
    return jnp.minimum(number, subtiles.variants - 1)


def look_up(table: Array, number: Array) -> Array:
    """Entries ``table[number]`` along the first axis, for every column."""
    if table.shape[0] == 1:
        return jnp.broadcast_to(table, number.shape)
    return jnp.take_along_axis(table, number, axis=0)
