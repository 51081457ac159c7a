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
from jaxmaestro.equations.cases import States, analyse_states
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
class Columns:
    """What a level may be handed: sub-tiles of tuples, side by side."""

    row: Array  # int32 [c]: the tuple
    states: States  # [r, c]; columns that are not used have no cases


def hand_down(
    tiles: Tiles, columns: Columns, below: Tiles, exists: Array, capacity: int
) -> tuple[Subtiles, Columns, Array]:
    """Sub-tiles of a level over all the tiles that the level itself may be handed.

    Returns their numbering, the columns of the level ``below`` (it ``exists``, bool
    ``[b]``), and the reason CAPACITY (uint32 ``[b]``) of tuples whose sub-tiles do
    not fit into ``capacity`` columns.
    """
    tuples = exists.shape[0]
    states, single = columns.states, tiles.single
    raggable = _in_any(
        (tiles.spatial[:, columns.row] & (states.init_ragged | states.edge_ragged)).any(0), columns, tuples
    )
    at_edge = _in_any(((states.edge > 0) | states.init_edge)[:SLOTS], columns, tuples)
    full = _in_any((~states.init_edge | states.has_steady)[:SLOTS], columns, tuples)
    spatial = tiles.first_spatial
    ragged = at_edge & (~spatial | single | raggable)
    whole = full | (spatial & at_edge & ~single)
    mapped, mapped_edge = tiles.mapped[:SLOTS], tiles.mapped_edge[:SLOTS]
    both = ragged & whole & (mapped != mapped_edge)
    weight = [jnp.ones_like(both[0], jnp.int32)]
    for d in range(SLOTS):
        weight.append(jnp.where(both[d], 2 * weight[-1], weight[-1]))
    needed = jnp.where(exists, weight.pop(), 0)
    weights = jnp.where(both, jnp.stack(weight), 0)

    end = jnp.cumsum(needed, dtype=jnp.int32)
    first = end - needed
    starts = jnp.zeros(capacity, jnp.int32).at[first].add(1, mode="drop")
    row = jnp.cumsum(starts, dtype=jnp.int32) - 1
    number = jnp.arange(capacity, dtype=jnp.int32) - first[row]
    # Weights are powers of two, so a bit test reads the digit.
    takes = jnp.where(both[:, row], (number & weights[:, row]) != 0, (ragged & ~whole)[:, row])
    dims = jnp.where(takes, mapped_edge[:, row], mapped[:, row])
    below_states = analyse_states(below.take(row), dims)
    cases = jnp.where(number < needed[row], below_states.cases, 0)
    crowded = flag(end > capacity, Reason.CAPACITY)
    states_below = dataclasses.replace(below_states, cases=cases)
    return Subtiles(weights, first), Columns(row, states_below), jnp.where(exists, crowded, 0)


def _in_any(occurs: Array, columns: Columns, tuples: int) -> Array:
    """By tuple, whether it occurs in any column that has cases; bool ``[..., c]`` to ``[..., b]``."""
    if columns.row.shape[0] == tuples:
        return occurs  # the top level: its columns are the tuples
    there = (occurs & (columns.states.cases > 0)).astype(jnp.int32)
    counts = jnp.zeros((*occurs.shape[:-1], tuples), jnp.int32).at[..., columns.row].add(there)
    return counts > 0


def look_up(table: Array, column: Array) -> Array:
    """Entries of a table by column ``[..., c]``; numbers beyond it read the last one."""
    return jnp.take(table, column, axis=-1, mode="clip")
