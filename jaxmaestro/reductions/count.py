"""How many tuples of a stream there were, are sound, are valid, and why the others are not."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmaestro.description.reasons import Reason
from jaxmaestro.equations.costs import Costs
from jaxmaestro.reductions.stream import chunk_columns

Array = Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class CountState:
    """Counts so far."""

    seen: Array  # [] int64
    sound: Array  # [] int64
    valid: Array  # [] int64
    reasons: Array  # [reasons] int64, in the order of Reason


@dataclasses.dataclass(frozen=True)
class Counts:
    """Tuples seen, sound, valid; and for each reason those that have it (a tuple may have several)."""

    seen: int
    sound: int
    valid: int
    reasons: dict[Reason, int]


@dataclasses.dataclass(frozen=True)
class Count:
    """Counts of tuples."""

    def start(self) -> CountState:
        """The state of no tuples."""
        with jax.enable_x64(True):
            none = jnp.zeros((), jnp.int64)
            return CountState(none, none, none, jnp.zeros(len(Reason), jnp.int64))

    def add(self, state: CountState, index: Array, costs: Costs, *, donate: bool = False) -> CountState:
        """The state with a chunk's tuples; see :class:`~jaxmaestro.reductions.stream.Reduction`."""
        if np.size(index) == 0:
            return state
        with jax.enable_x64(True):
            return _add(state, *chunk_columns(index, costs.sound, costs.fits, costs.reasons))

    def merge(self, a: CountState, b: CountState) -> CountState:
        """The state of the tuples of both."""
        with jax.enable_x64(True):
            return _merge(a, b)

    def result(self, state: CountState) -> Counts:
        """The counts as Python integers."""
        numbers = np.asarray(state.reasons)
        reasons = {reason: int(number) for reason, number in zip(Reason, numbers, strict=True)}
        return Counts(int(state.seen), int(state.sound), int(state.valid), reasons)


@jax.jit
def _add(state: CountState, index: Array, sound: Array, fits: Array, reasons: Array) -> CountState:
    live = index >= 0
    # One sum a bit, in int32: a sum of int64 over all bits at once takes 20 times as long on a CPU.
    bits = [(((reasons & int(reason)) != 0) & live).sum(dtype=jnp.int32) for reason in Reason]
    return CountState(
        state.seen + live.sum(),
        state.sound + (live & sound).sum(),
        state.valid + (live & sound & fits).sum(),
        state.reasons + jnp.stack(bits),
    )


@jax.jit
def _merge(a: CountState, b: CountState) -> CountState:
    return jax.tree.map(jnp.add, a, b)
