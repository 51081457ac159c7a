"""Iteration cases: which tiles a level goes through (MICRO'19, section 4.2).

Each map is in its first tile (init), in one of the full tiles after it
(steady), or in a ragged last one (edge). A case is one such state for every
dimension, together with how often it occurs. Cases are walked in the
reference's order, which some figures depend on: all-init first; then the state
of a dimension advances after the first case and after every ``period`` cases,
the period being the number of state combinations of all loops inside it.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax.numpy as jnp

from jaxmaestro.encoding.slots import SLOTS
from jaxmaestro.equations.arithmetic import Arithmetic
from jaxmaestro.equations.tiles import BySlot, Tiles

Array = Any


@dataclasses.dataclass(frozen=True)
class States:
    """The states that each loop can be in; arrays ``[v, b]``.

    The lists have one entry a slot, and one more for the earlier directive over
    a doubly mapped dimension where there is one.
    """

    number: BySlot  # 1 to 3
    steady_times: BySlot  # occurrences of the steady state
    has_steady: BySlot
    init_edge: BySlot  # the first tile is already ragged
    init_unrolled: BySlot  # the first tile covers everything
    init_ragged: BySlot  # spatial: the last sub-cluster of the first iteration is ragged
    edge_ragged: BySlot  # spatial: ... of the edge iteration
    period: BySlot  # cases between two advances
    cases: Array  # how many cases there are


def analyse_states(tiles: Tiles, dims: BySlot, arithmetic: Arithmetic) -> States:
    """States of a level for the tile ``dims`` (by slot ``[v, b]``) that it is handed."""
    loops = [
        _loop_states(tiles.spatial[d], tiles.size[d], tiles.offset[d], dims[d], tiles.clusters, arithmetic)
        for d in range(SLOTS)
    ]
    ranks = list(tiles.rank)
    if tiles.extra is not None:
        dim = sum(jnp.where(tiles.extra.is_slot[d], dims[d], 0) for d in range(SLOTS))
        dim = jnp.where(tiles.extra.slot >= 0, dim, 1)
        extra = tiles.extra
        loops.append(
            _loop_states(extra.spatial, extra.size, extra.offset, dim, tiles.clusters, arithmetic)
        )
        ranks.append(extra.rank)
        # Where there is no earlier directive the loop has one state.
        loops[-1]["number"] = jnp.where(extra.slot >= 0, loops[-1]["number"], 1)
    columns = {key: [loop[key] for loop in loops] for key in loops[0]}
    number = columns["number"]
    period = []
    for i, rank in enumerate(ranks):
        inside = jnp.ones_like(number[i])
        for j, other in enumerate(ranks):
            if i != j:
                inside = inside * jnp.where(other > rank, number[j], 1)
        period.append(inside)
    cases = jnp.ones_like(number[0])
    for n in number:
        cases = cases * n
    return States(period=period, cases=cases, **columns)


def _loop_states(
    spatial: Array, size: Array, offset: Array, dim: Array, clusters: Array, arithmetic: Arithmetic
) -> dict[str, Array]:
    div = arithmetic.div
    steps = div(dim - size, offset)  # tiles after the first that fit whole
    # Temporal: one tile after the other.
    steady_t = steps
    edge_t = (steps * offset + size < dim) & (dim >= size)
    # Spatial: `clusters` tiles at a time.
    step = offset * clusters
    coverage = step - offset + size
    steady_s = div(steps + 1, clusters) - 1
    edge_s = (
        (dim > coverage)
        & ((steady_s + 1) * step + coverage > dim)
        & (steady_s * step + coverage != dim)
    )
    left = dim - (steady_s + 1) * step
    active = jnp.where(left < size, 1, div(left - size, offset) + 1)
    edge_ragged = spatial & ((active - 1) * offset + size < left)

    reach = jnp.where(spatial, coverage, size)  # covered by the first tile or iteration
    times = jnp.where(spatial, steady_s, steady_t)
    has_steady = (reach < dim) & (times > 0)
    has_edge = jnp.where(spatial, edge_s, edge_t)
    number = 1 + has_steady.astype(jnp.int32) + has_edge.astype(jnp.int32)
    return {
        "number": number,
        "steady_times": times,
        "has_steady": has_steady,
        "init_edge": dim < reach,
        "init_unrolled": dim <= reach,
        "init_ragged": spatial & (dim < reach),
        "edge_ragged": edge_ragged,
    }


@dataclasses.dataclass(frozen=True)
class Case:
    """One iteration case; lists by slot of arrays ``[v, b]``."""

    init: BySlot  # bool: position
    steady: BySlot
    edge: BySlot
    at_edge: BySlot  # bool: the tile is ragged (edge position, or a first tile that is)
    ragged: BySlot  # bool: the last active sub-cluster's tile is ragged
    unrolled: BySlot
    times: Array  # occurrences
    all_init: Array  # bool


def case_of(states: States, digits: BySlot) -> Case:
    """The case in which loop i is in its state number ``digits[i]`` (0 is init)."""
    init, steady, edge, at_edge, ragged, unrolled = [], [], [], [], [], []
    times = jnp.ones_like(states.steady_times[0])
    all_init: Array = jnp.bool_(True)
    for i, digit in enumerate(digits):
        first = digit == 0
        middle = (digit == 1) & states.has_steady[i]
        last = ~first & ~middle
        times = times * jnp.where(middle, states.steady_times[i], 1)
        if i < SLOTS:
            all_init = all_init & first
            init.append(first)
            steady.append(middle)
            edge.append(last)
            at_edge.append(last | (first & states.init_edge[i]))
            ragged.append((first & states.init_ragged[i]) | (last & states.edge_ragged[i]))
            unrolled.append(first & states.init_unrolled[i])
    return Case(init, steady, edge, at_edge, ragged, unrolled, times, all_init)


def first_digits(states: States) -> tuple[BySlot, BySlot]:
    """Digits and countdowns of the first case."""
    return [jnp.zeros_like(n) for n in states.number], [jnp.ones_like(n) for n in states.number]


def advance(states: States, digits: BySlot, countdowns: BySlot) -> tuple[BySlot, BySlot]:
    """Digits and countdowns of the next case in the reference's order."""
    next_digits, next_countdowns = [], []
    for i, (digit, countdown) in enumerate(zip(digits, countdowns, strict=True)):
        due = countdown == 1
        wrapped = jnp.where(digit + 1 == states.number[i], 0, digit + 1)
        next_digits.append(jnp.where(due, wrapped, digit))
        next_countdowns.append(jnp.where(due, states.period[i], countdown - 1))
    return next_digits, next_countdowns
