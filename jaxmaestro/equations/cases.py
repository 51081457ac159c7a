"""Iteration cases: which tiles a level goes through (MICRO'19, reuse analysis).

Each loop is in its first tile (init), in one of the full tiles after it
(steady), or in a ragged last one (edge). A case is one such state for every
loop, together with how often it occurs. Cases are walked in the reference's
order, which some figures depend on: all-init first; then the state of a loop
advances after the first case and after every ``period`` cases, the period being
the number of state combinations of all loops inside it.

A loop whose first tile is ragged already has no other state. So what a tile
looks like is decided by one bit a loop, whether it is in its edge state; and
what is new in it, by the innermost loop that moved.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxmaestro.encoding.slots import SLOTS
from jaxmaestro.equations.arithmetic import truncated_div
from jaxmaestro.equations.tiles import Tiles

Array = Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Loops:
    """The states that each loop can be in, by itself; rows are directives, arrays ``[r, c]``.

    ``init_*`` and ``edge_ragged`` describe a dimension: the ninth row, if any, repeats its slot.
    """

    number: Array  # int32, 1 to 3
    repeats: Array  # int32 occurrences of state 1: 1 unless it is the steady one
    has_steady: Array  # bool
    edge: Array  # int32 number of the edge state, -1: none
    init_edge: Array  # bool: the first tile is already ragged
    init_unrolled: Array  # the first tile covers everything
    init_ragged: Array  # spatial: the last sub-cluster of the first iteration is ragged
    edge_ragged: Array  # spatial: ... of the edge iteration


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class States(Loops):
    """The states of all loops together."""

    period: Array  # int32 [r, c], cases between two advances
    cases: Array  # int32 [c], how many cases there are


def analyse_loops(tiles: Tiles, dims: Array) -> Loops:
    """States of the loops of a level that is handed tiles of sizes ``dims`` by slot, ``[8, c]``.

    ``tiles`` has as many columns as ``dims``.
    """
    dim = tiles.with_ninth(dims, 1)
    spatial, size, offset, clusters = tiles.spatial, tiles.size, tiles.offset, tiles.clusters
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
    edge = jnp.where(has_edge, number - 1, -1)
    dimension = (dim < reach, dim <= reach, spatial & (dim < reach), edge_ragged)
    if tiles.doubled is not None:
        # The ninth loop runs by itself, but the dimension is where the later directive has it.
        number = jnp.concatenate([number[:SLOTS], jnp.where(tiles.doubled >= 0, number[SLOTS:], 1)])
        dimension = tuple(tiles.with_ninth(a[:SLOTS], False) for a in dimension)
    return Loops(
        number=number,
        repeats=jnp.where(has_steady & (number > 1), times, 1),
        has_steady=has_steady,
        edge=edge,
        init_edge=dimension[0],
        init_unrolled=dimension[1],
        init_ragged=dimension[2],
        edge_ragged=dimension[3],
    )


def all_states(loops: Loops, rank: Array, cases: Array) -> States:
    """The states of some columns: of their ``loops`` and these loops' order, int32 ``[r, c]``."""
    period = jnp.ones_like(loops.number)
    for inner, number in zip(rank, loops.number, strict=True):  # a sum of rows does not vectorise
        period *= jnp.where(inner > rank, number, 1)
    fields = {field.name: getattr(loops, field.name) for field in dataclasses.fields(Loops)}
    return States(**fields, period=period, cases=cases)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Place:
    """Where the walk over the cases of some columns is."""

    index: Array  # int32, number of the case
    digits: Array  # int32 [r, c], number of the state of each loop, 0 is init
    countdowns: Array  # int32 [r, c], cases until it advances


def first_place(states: States) -> Place:
    """The first case of all columns: every loop in its first tile."""
    return Place(jnp.int32(0), jnp.zeros_like(states.number), jnp.ones_like(states.number))


def advance(states: States, place: Place) -> Place:
    """The next case in the reference's order."""
    due = place.countdowns == 1
    wrapped = jnp.where(place.digits + 1 == states.number, 0, place.digits + 1)
    return Place(
        place.index + 1,
        jnp.where(due, wrapped, place.digits),
        jnp.where(due, states.period, place.countdowns - 1),
    )


@dataclasses.dataclass(frozen=True)
class Case:
    """One iteration case of some columns."""

    edge: Array  # bool [r, c]: the loop is in its edge state
    moved: Array  # int32 [c]: 1 + slot of the innermost loop that is not in its first tile; 0: none
    ninth_init: Array | None  # bool [c]: the doubled dimension is in its first tile
    times: Array  # int32 [c] occurrences: the reference counts them in 32 bits and wraps


def case_at(tiles: Tiles, states: States, place: Place) -> Case:
    """The case at a place of the walk; :func:`times_overflow` says where occurrences wrap."""
    digits = place.digits
    edge, ninth_init = digits == states.edge, None
    if tiles.doubled is not None:
        edge = tiles.with_ninth(edge[:SLOTS], False)
        ninth_init = tiles.of_doubled(digits[:SLOTS] == 0, True)
    # Ranks differ, so the largest of these is the innermost loop's.
    slot = 16 * tiles.rank[:SLOTS] + jnp.arange(1, SLOTS + 1, dtype=jnp.int32)[:, None]
    moved = jnp.where(digits[:SLOTS] > 0, slot, 0).max(0) & 15
    times = jnp.prod(jnp.where(digits == 1, states.repeats, 1), axis=0, dtype=jnp.int32)
    return Case(edge, moved, ninth_init, times)


def times_overflow(states: States) -> Array:
    """Whether some case occurs more often than 31 bits hold, bool ``[c]``.

    The most frequent case is that of all steady states. Its count is rounded here: just past the
    limit it passes for the limit, but then the int32 is negative and the reference terminates.
    """
    return jnp.prod(states.repeats, axis=0, dtype=jnp.float32) > 2**31 - 1


def walk(states: States, step: Any, start: Any) -> Any:
    """Fold ``carry = step(carry, place, live)`` over all cases of all columns, in the reference's order."""

    def body(loop: Any) -> Any:
        place, carry = loop
        carry = step(carry, place, place.index < states.cases)
        return advance(states, place), carry

    def unfinished(loop: Any) -> Array:
        return loop[0].index < longest

    longest = states.cases.max()
    return lax.while_loop(unfinished, body, (first_place(states), start))[1]
