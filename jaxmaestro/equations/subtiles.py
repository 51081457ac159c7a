"""The sub-tiles that a level hands down: few distinct ones, numbered.

Along each dimension a sub-cluster gets either the whole tile or the ragged one.
A level's sub-tiles are therefore the combinations of those dimensions for which
both occur; each is analysed once, and a case looks its own up by number.
"""

from __future__ import annotations

import dataclasses
import functools
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
    """Numbering of a level's sub-tiles."""

    weight: Array  # int32 [8, b]: place value in the number; 0: only one kind of tile occurs
    variants: int = dataclasses.field(metadata={"static": True})  # how many are analysed


@functools.partial(jax.jit, static_argnames="variants")
def hand_down(
    tiles: Tiles, states: States, below: Tiles, exists: Array, variants: int
) -> tuple[Subtiles, States, Array]:
    """Sub-tiles of a level over all the tiles that the level itself may be handed.

    Returns their numbering, the states of the level ``below`` for each of them
    (``[r, variants, b]``; numbers that do not occur have no cases), and the reason
    CAPACITY (uint32 ``[b]``) where there are more than ``variants``.
    """
    single = tiles.edge_clusters == 1
    raggable = (tiles.spatial[:, None] & (states.init_ragged | states.edge_ragged)).any((0, 1))
    at_edge = (states.has_edge | states.init_edge)[:SLOTS].any(1)
    full = (~states.init_edge | states.has_steady)[:SLOTS].any(1)
    spatial = tiles.first_spatial
    ragged = at_edge & (~spatial | single | raggable)
    whole = full | (spatial & at_edge & ~single)
    mapped, mapped_edge = tiles.mapped[:SLOTS], tiles.mapped_edge[:SLOTS]
    both = ragged & whole & (mapped != mapped_edge)
    doubling = jnp.where(both, 2, 1).astype(jnp.int32)
    weight = [jnp.ones_like(doubling[0])]
    for d in range(SLOTS):
        weight.append(weight[-1] * doubling[d])
    needed = weight.pop()
    weights = jnp.where(both, jnp.stack(weight), 0)
    # Weights are powers of two, so a bit test reads the digit.
    number = jnp.arange(variants, dtype=jnp.int32)[None, :, None]
    takes = jnp.where(both[:, None], (number & weights[:, None]) != 0, (ragged & ~whole)[:, None])
    dims = jnp.where(takes, mapped_edge[:, None], mapped[:, None])
    below_states = analyse_states(below, dims)
    cases = jnp.where(number[0] < needed, below_states.cases, 0)
    crowded = flag(exists & (needed > variants), Reason.CAPACITY)
    return Subtiles(weights, variants), dataclasses.replace(below_states, cases=cases), crowded


def subtile_number(subtiles: Subtiles, ragged: Array) -> Array:
    """Number of the sub-tile that is ragged along the given slots (``[8, v, b]``), int32 ``[v, b]``."""
    number = jnp.where(ragged, subtiles.weight[:, None], 0).sum(0, dtype=jnp.int32)
    return jnp.minimum(number, subtiles.variants - 1)


def look_up(table: Array, number: Array, rows: Array) -> Array:
    """Entries ``table[number, rows]``: of each column's tuple, ``rows`` int32 ``[b]``."""
    return table.reshape(-1)[number * table.shape[1] + rows]
