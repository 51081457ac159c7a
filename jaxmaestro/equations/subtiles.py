"""The sub-tiles that a level hands down: few distinct ones, each a column of the level below.

Along each dimension a sub-cluster gets either the whole tile or the ragged one.
A level's sub-tiles are therefore the combinations of those dimensions for which
both occur; each is analysed once, and a case looks its own up by number. Most
tuples have one or two sub-tiles, so the columns of a batch lie side by side
without gaps.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxmaestro.description.reasons import Reason
from jaxmaestro.encoding.slots import SLOTS
from jaxmaestro.equations.cases import Loops, analyse_loops
from jaxmaestro.equations.flags import flag
from jaxmaestro.equations.tiles import Tiles

Array = Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Subtiles:
    """Numbering of a level's sub-tiles, by tuple."""

    weight: Array  # int32 [8, b]: place value in the number; 0: only one kind of tile occurs
    first: Array  # int32 [b]: column of sub-tile 0


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Kinds:
    """The two kinds of tile that a level may be handed along each dimension, whole and ragged.

    What a loop does depends on the tile along its own dimension alone, so it is worked out for
    both kinds, and a column picks.
    """

    loops: Loops  # arrays [2, r, b]
    whole: Array  # bool [8, b]: such a tile occurs
    ragged: Array

    def of(self, columns: Columns, tiles: Tiles) -> Loops:
        """The loops of some columns ``[r, c]``; ``tiles`` are theirs."""
        row = columns.row + columns.is_ragged(tiles).astype(jnp.int32) * self.loops.number.shape[-1]

        def pick(values: Array) -> Array:
            flat = jnp.moveaxis(values, 0, 1).reshape(values.shape[1], -1)
            return jnp.take_along_axis(flat, row, axis=1, mode="clip")

        picked: Loops = jax.tree.map(pick, self.loops)
        return picked


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Columns:
    """What a level may be handed: sub-tiles of tuples, side by side; int32 ``[c]``."""

    row: Array  # the tuple
    ragged: Array  # bit d: the tile is ragged along slot d
    cases: Array  # of iteration; columns that are not used have none

    def is_ragged(self, tiles: Tiles) -> Array:
        """Whether the tile is ragged along the dimension of each directive, bool ``[r, c]``."""
        slots = jnp.arange(SLOTS, dtype=jnp.int32)[:, None]
        return tiles.with_ninth((self.ragged >> slots) & 1 != 0, False)


def top_kinds(loops: Loops, exists: Array) -> tuple[Kinds, Columns]:
    """The top level is handed the layers alone, where it ``exists`` (``[b]``): whole ones."""
    cases = jnp.where(exists, loops.number[0].prod(0, dtype=jnp.int32), 0)
    zero, none = jnp.zeros_like(cases), jnp.zeros((SLOTS, len(cases)), bool)
    return Kinds(loops, ~none, none), Columns(jnp.arange(len(cases), dtype=jnp.int32), zero, cases)


def loops_of_kinds(tiles: Tiles, dims: Array) -> Loops:
    """What all levels (a leading axis) do with each kind of tile, ``[levels, 2, r, b]``.

    ``dims`` are the sizes of the layers, ``[8, b]``: the top is handed nothing else, so both its kinds
    are the same.
    """
    above = jnp.stack([tiles.mapped[:-1, :SLOTS], tiles.mapped_edge[:-1, :SLOTS]], 1)
    layers = jnp.broadcast_to(dims, (1, 2, *dims.shape))
    of_levels = jax.vmap(jax.vmap(analyse_loops, (None, 0)))
    loops: Loops = of_levels(tiles, jnp.concatenate([layers, above]))
    return loops


def hand_down(
    tiles: Tiles, kinds: Kinds, below: Tiles, loops_below: Loops, exists: Array, capacity: int
) -> tuple[Subtiles, Kinds, Columns, Array]:
    """Sub-tiles of a level over all the tiles that the level itself may be handed.

    Returns their numbering, what the level ``below`` (it ``exists``, bool ``[b]``) does with
    each kind, its columns, and the reason CAPACITY (uint32 ``[b]``) of tuples whose sub-tiles
    do not fit into ``capacity`` columns.
    """
    loops, single, spatial = kinds.loops, tiles.single, tiles.first_spatial
    occurs = jnp.stack([kinds.whole, kinds.ragged])

    def in_any(holds: Array) -> Array:
        return (holds[:, :SLOTS] & occurs).any(0)

    uneven = loops.init_ragged | loops.edge_ragged
    raggable = in_any(tiles.spatial & uneven).any(0)
    if tiles.doubled is not None:
        either = jnp.stack([tiles.of_doubled(kind, False) for kind in occurs])
        raggable |= (tiles.spatial[SLOTS] & uneven[:, SLOTS] & either).any(0)
    at_edge = in_any((loops.edge > 0) | loops.init_edge)
    full = in_any(~loops.init_edge | loops.has_steady)
    ragged = at_edge & (~spatial | single | raggable)
    whole = full | (spatial & at_edge & ~single)
    mapped, mapped_edge = tiles.mapped[:SLOTS], tiles.mapped_edge[:SLOTS]
    both = ragged & whole & (mapped != mapped_edge)
    only = ragged & ~whole
    weight = [jnp.ones_like(both[0], jnp.int32)]
    for d in range(SLOTS):
        weight.append(jnp.where(both[d], 2 * weight[-1], weight[-1]))
    needed = jnp.where(exists, weight.pop(), 0)
    weights = jnp.where(both, jnp.stack(weight), 0)

    kinds_below = Kinds(loops_below, ~only, both | only)

    end = jnp.cumsum(needed, dtype=jnp.int32)
    first = end - needed
    starts = jnp.zeros(capacity, jnp.int32).at[first].add(1, mode="drop")
    row = jnp.cumsum(starts, dtype=jnp.int32) - 1
    number = jnp.arange(capacity, dtype=jnp.int32) - first[row]
    # Weights are powers of two, so a bit test reads the digit.
    takes = only[:, row] | (number & weights[:, row] != 0)
    bits = (takes.astype(jnp.int32) << jnp.arange(SLOTS, dtype=jnp.int32)[:, None]).sum(0, dtype=jnp.int32)
    columns = Columns(row, bits, jnp.where(number < needed[row], 1, 0))
    cases = kinds_below.of(columns, below.take(row)).number.prod(0, dtype=jnp.int32)
    crowded = flag(end > capacity, Reason.CAPACITY)
    columns = dataclasses.replace(columns, cases=columns.cases * cases)
    return Subtiles(weights, first), kinds_below, columns, jnp.where(exists, crowded, 0)


def look_up(table: Array, column: Array) -> Array:
    """Entries of a table by column ``[..., c]``; numbers beyond it read the last one."""
    return jnp.take(table, column, axis=-1, mode="clip")
