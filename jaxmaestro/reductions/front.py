"""The Pareto front of a stream, in an archive of fixed size."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxmaestro.equations.arithmetic import truncated_div
from jaxmaestro.equations.costs import Costs
from jaxmaestro.reductions.dominance import sorted_front
from jaxmaestro.reductions.objectives import (
    Objective,
    Require,
    accepted,
    check_counts,
    check_objective,
    check_require,
    objective_values,
)
from jaxmaestro.reductions.order import LARGEST, key_values, number_kind, order_keys, rankable
from jaxmaestro.reductions.stream import chunk_columns

Array = Any

PROBES = 32
"""Points of the archive that a chunk is compared with before anything of it is sorted."""
ENTRANTS = 2048
"""Points that are sorted into the archive at a time."""
GROUP = 16
"""Rows that are counted together to find the set ones of a mask."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class FrontState:
    """The front so far in lexicographic order; ``LARGEST`` where there are fewer points."""

    keys: Array  # [m, capacity] int64, see order.py
    index: Array  # [capacity] int64 tuple numbers
    lost: Array  # [] int64 smallest first key that found no place
    kinds: Array  # [m] int8 what the keys stand for


@dataclasses.dataclass(frozen=True)
class Front:
    """The points of a front, sorted by their objectives.

    With ``overflow`` the front, at some time, had more points than the archive: then these
    are its points whose first objective is below ``lost``, all of them and right,
    and the rest is unknown (which part is known depends on the order of the stream).
    """

    index: np.ndarray  # [points] int64 tuple numbers
    values: tuple[np.ndarray, ...]  # for each objective [points] int64 or float64, in its unit
    overflow: bool
    lost: float | int | None  # a value of the first objective; None without overflow


@dataclasses.dataclass(frozen=True)
class ParetoFront:
    """The tuples that no other dominates in these objectives, which are all minimised.

    Of tuples that are equal in all objectives the one of the lowest number is kept.
    Only tuples that are ``require`` count, never an illegal one, nor NaN. ``capacity`` bounds
    the points kept; a front that outgrows it is reported (:class:`Front`). Raises
    ValueError for no objectives, a capacity below 1 and names that are not known.
    """

    objectives: tuple[Objective, ...] = ("runtime", "energy")
    capacity: int = 4096
    require: Require = "valid"

    def __post_init__(self) -> None:
        if isinstance(self.objectives, str) or len(self.objectives) == 0:
            raise ValueError(f"objectives are {self.objectives!r}; give a tuple of at least one")
        if self.capacity < 1:
            raise ValueError(f"capacity is {self.capacity}; it must be 1 or more")
        for objective in self.objectives:
            check_objective(objective)
        check_require(self.require)

    def start(self) -> FrontState:
        """The state of no tuples."""
        m = len(self.objectives)
        with jax.enable_x64(True):
            return FrontState(
                jnp.full((m, self.capacity), LARGEST),
                jnp.full(self.capacity, LARGEST),
                jnp.full((), LARGEST),
                jnp.zeros(m, jnp.int8),
            )

    def add(self, state: FrontState, index: Array, costs: Costs, *, donate: bool = False) -> FrontState:
        """The state with a chunk's tuples; see :class:`~jaxmaestro.reductions.stream.Reduction`."""
        check_counts(costs)
        if np.size(index) == 0:
            return state
        with jax.enable_x64(True):
            values = [objective_values(costs, objective) for objective in self.objectives]
            index, taken, *values = chunk_columns(index, accepted(costs, self.require), *values)
            return _add(state, index, taken, tuple(values))

    def merge(self, a: FrontState, b: FrontState) -> FrontState:
        """The state of the tuples of both."""
        with jax.enable_x64(True):
            return _merge(a, b)

    def result(self, state: FrontState) -> Front:
        """Raises ValueError where exact chunks and chunks of float32 were mixed."""
        index = np.asarray(state.index)
        there = index < LARGEST
        kinds = np.asarray(state.kinds)
        keys = np.asarray(state.keys)[:, there]
        values = tuple(key_values(row, int(kind)) for row, kind in zip(keys, kinds, strict=True))
        lost = np.asarray(state.lost)
        overflow = bool(lost < LARGEST)
        bound = key_values(lost.reshape(1), int(kinds[0]))[0].item() if overflow else None
        return Front(index[there], values, overflow, bound)


@jax.jit
def _add(state: FrontState, index: Array, taken: Array, values: tuple[Array, ...]) -> FrontState:
    keys = jnp.stack([order_keys(v) for v in values])
    for v in values:
        taken = taken & rankable(v)
    taken = taken & (index >= 0) & (keys < LARGEST).all(0)
    # No row: what `_spread` answers where there are not enough.
    fill = GROUP - index.shape[0] % GROUP
    index = jnp.pad(index.astype(jnp.int64), (0, fill), constant_values=LARGEST)
    keys = jnp.pad(keys, ((0, 0), (0, fill)), constant_values=LARGEST)
    taken = jnp.pad(taken, (0, fill))
    size = min(ENTRANTS, index.shape[0])
    state = dataclasses.replace(
        state, kinds=state.kinds | jnp.array([number_kind(v) for v in values], jnp.int8)
    )

    def enter(carry: tuple[FrontState, Array]) -> tuple[FrontState, Array]:
        state, pending = carry
        rows = _spread(pending, size)
        state = _joined(state, keys[:, rows], index[rows])
        pending = pending.at[rows].set(False)
        return state, lax.cond(pending.any(), lambda: _open(state, keys, index, pending), lambda: pending)

    return lax.while_loop(lambda carry: carry[1].any(), enter, (state, _open(state, keys, index, taken)))[0]


@jax.jit
def _merge(a: FrontState, b: FrontState) -> FrontState:
    both = dataclasses.replace(a, lost=jnp.minimum(a.lost, b.lost), kinds=a.kinds | b.kinds)
    return _joined(both, b.keys, b.index)


def _joined(state: FrontState, keys: Array, index: Array) -> FrontState:
    """The front of a state's points and others.

    What is dropped for want of room comes last in the order, and so do the points that
    only it dominates: those before it, by their first objective, are right.
    """
    capacity = state.index.shape[0]
    keys, index = jnp.concatenate([state.keys, keys], 1), jnp.concatenate([state.index, index])
    known = keys[0] < state.lost
    keys, index, kept = sorted_front(jnp.where(known, keys, LARGEST), jnp.where(known, index, LARGEST))
    place = jnp.where(kept, jnp.cumsum(kept, dtype=jnp.int32) - 1, capacity)
    lost = jnp.minimum(state.lost, jnp.where(kept & (place >= capacity), keys[0], LARGEST).min())
    place = jnp.where(keys[0] < lost, place, capacity)
    return dataclasses.replace(
        state,
        keys=jnp.full_like(state.keys, LARGEST).at[:, place].set(keys, mode="drop"),
        index=jnp.full_like(state.index, LARGEST).at[place].set(index, mode="drop"),
        lost=lost,
    )


def _open(state: FrontState, keys: Array, index: Array, pending: Array) -> Array:
    """The pending rows that some points of the archive, spread over it, leave undecided."""
    count = (state.index < LARGEST).sum()
    probes = truncated_div(jnp.arange(PROBES) * count, PROBES)
    probe_index = state.index[probes]
    below = jnp.ones((), bool)
    better = jnp.zeros((), bool)
    for probe, key in zip(state.keys[:, probes], keys, strict=True):
        below = below & (probe <= key[:, None])
        better = better | (probe < key[:, None])
    # An equal point of a lower number takes the place of the one in the archive.
    decided = below & (better | (probe_index <= index[:, None]))
    return pending & ~decided.any(1) & (keys[0] < state.lost)


def _spread(mask: Array, size: int) -> Array:
    """Up to ``size`` rows where ``mask [n]`` is set, spread over all of them; else the last row.

    The first rows of a chunk resemble each other; a spread sample soon shows where the front is.
    """
    groups = mask.reshape(-1, GROUP)
    counts = groups.sum(1, dtype=jnp.int32)
    ends = jnp.cumsum(counts)
    total = ends[-1].astype(jnp.int64)
    slot = jnp.arange(size)
    rank = jnp.where(total > size, truncated_div(slot * total, size), slot)
    group = jnp.minimum(jnp.searchsorted(ends, rank, side="right"), len(counts) - 1)
    within = rank - (ends[group] - counts[group])
    before = jnp.cumsum(groups[group], 1, dtype=jnp.int32) <= within[:, None]
    column = before.sum(1, dtype=jnp.int32)
    return jnp.where(rank < total, group * GROUP + column, mask.shape[0] - 1)
