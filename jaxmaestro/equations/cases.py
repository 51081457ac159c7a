"""Iteration cases: which tiles a level goes through (MICRO'19, reuse analysis).

Each loop is in its first tile (init), in one of the full tiles after it
(steady), or in a ragged last one (edge). A case is one such state for every
loop, together with how often it occurs. Cases are walked in the reference's
order, which some figures depend on: all-init first; then the state of a loop
advances after the first case and after every ``period`` cases, the period being
the number of state combinations of all loops inside it.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxmaestro.encoding.slots import SLOTS
from jaxmaestro.equations.arithmetic import INT32_MAX, truncated_div
from jaxmaestro.equations.tiles import Tiles

Array = Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class States:
    """The states that each loop can be in; rows are directives, arrays ``[r, v, b]``.

    The last five describe a dimension: the ninth row, if any, repeats its slot.
    """

    number: Array  # int32, 1 to 3
    period: Array  # int32, cases between two advances
    steady_times: Array  # occurrences of the steady state
    has_steady: Array  # bool
    has_edge: Array
    init_edge: Array  # the first tile is already ragged
    init_unrolled: Array  # the first tile covers everything
    init_ragged: Array  # spatial: the last sub-cluster of the first iteration is ragged
    edge_ragged: Array  # spatial: ... of the edge iteration
    cases: Array  # int32 [v, b], how many cases there are


@jax.jit
def analyse_states(tiles: Tiles, dims: Array) -> States:
    """States of a level for the tiles that it may be handed, ``dims`` by slot ``[8, v, b]``."""
    dim = tiles.with_ninth(dims, 1)
    spatial, size, offset = (a[:, None] for a in (tiles.spatial, tiles.size, tiles.offset))
    clusters = tiles.clusters
    steps = truncated_div(dim - size, offset)  # tiles after the first that fit whole
    # Spatial maps advance `clusters` tiles at a time.
    step = offset * clusters
    coverage = step - offset + size
    rounds = truncated_div(steps + 1, clusters) - 1
    spatial_edge = (
        (dim > coverage) & ((rounds + 1) * step + coverage > dim) & (rounds * step + coverage != dim)
    )
    temporal_edge = (steps * offset + size < dim) & (dim >= size)
    left = dim - (rounds + 1) * step
    active = jnp.where(left < size, 1, truncated_div(left - size, offset) + 1)
    edge_ragged = spatial & ((active - 1) * offset + size < left)

    reach = jnp.where(spatial, coverage, size)  # what the first tile or iteration covers
    times = jnp.where(spatial, rounds, steps)
    has_steady = (reach < dim) & (times > 0)
    has_edge = jnp.where(spatial, spatial_edge, temporal_edge)
    number = 1 + has_steady.astype(jnp.int32) + has_edge.astype(jnp.int32)
    dimension = (dim < reach, dim <= reach, spatial & (dim < reach), edge_ragged)
    if tiles.doubled is not None:
        # The ninth loop runs by itself, but the dimension is where the later directive has it.
        number = number.at[SLOTS].set(jnp.where(tiles.doubled >= 0, number[SLOTS], 1))
        dimension = tuple(tiles.with_ninth(a[:SLOTS], False) for a in dimension)
    inner = tiles.rank[None, :] > tiles.rank[:, None]
    period = jnp.prod(jnp.where(inner[:, :, None], number[None], 1), axis=1, dtype=jnp.int32)
    return States(
        number=number,
        period=period,
        steady_times=times,
        has_steady=has_steady,
        has_edge=has_edge,
        init_edge=dimension[0],
        init_unrolled=dimension[1],
        init_ragged=dimension[2],
        edge_ragged=dimension[3],
        cases=jnp.prod(number, axis=0, dtype=jnp.int32),
    )


@dataclasses.dataclass(frozen=True)
class Case:
    """One iteration case; rows are directives, bool ``[r, v, b]``."""

    init: Array  # first tile
    steady: Array
    at_edge: Array  # the tile is ragged (edge state, or a first tile that is)
    ragged: Array  # the last active sub-cluster's tile is ragged
    unrolled: Array
    times: Array  # [v, b] occurrences
    overflows: Array  # [v, b] bool: more occurrences than 31 bits hold
    all_init: Array  # [v, b]

    def pick(self, init: Array, steady: Array, edge: Array) -> Array:
        """By row, the value of the state that the loop is in."""
        return jnp.where(self.init, init, jnp.where(self.steady, steady, edge))


def case_of(tiles: Tiles, states: States, digits: Array, count: Any) -> Case:
    """The case in which each loop is in its state number ``digits`` (int32 ``[r, v, b]``, 0 is init).

    ``count`` is the type that occurrences are counted in.
    """
    first = digits == 0
    middle = (digits == 1) & states.has_steady
    repeats = jnp.where(middle, states.steady_times, 1)
    # The reference counts occurrences in 32 bits and wraps: so do exact counts, and say so.
    times = jnp.prod(repeats, axis=0, dtype=jnp.int32 if jnp.issubdtype(count, jnp.integer) else count)
    overflows = jnp.prod(repeats, axis=0, dtype=jnp.float32) > INT32_MAX
    if tiles.doubled is not None:
        first = tiles.with_ninth(first[:SLOTS], True)
        middle = tiles.with_ninth(middle[:SLOTS], False)
    last = ~first & ~middle
    return Case(
        init=first,
        steady=middle,
        at_edge=last | (first & states.init_edge),
        ragged=(first & states.init_ragged) | (last & states.edge_ragged),
        unrolled=first & states.init_unrolled,
        times=times.astype(count),
        overflows=overflows,
        all_init=first[:SLOTS].all(0),
    )


def advance(states: States, digits: Array, countdowns: Array) -> tuple[Array, Array]:
    """Digits and countdowns (int32 ``[r, v, b]``) of the next case in the reference's order."""
    due = countdowns == 1
    wrapped = jnp.where(digits + 1 == states.number, 0, digits + 1)
    return jnp.where(due, wrapped, digits), jnp.where(due, states.period, countdowns - 1)
