"""The k smallest of many: :func:`top_k` of an array, :class:`TopK` of a stream."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxmaestro.equations.costs import Costs
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


def top_k(values: Array, k: int, mask: Array | None = None) -> tuple[Array, Array]:
    """Rows ``[k]`` int32 and values ``[k]`` of the k smallest of ``values [n]``, smallest first.

    Ties go to the lower row. Rows where ``mask [n]`` is False, and NaN, are never taken; where
    fewer than k may be, the row is -1 and the value the largest of its type. Pure, for jit
    and vmap; 64-bit values stay so whatever JAX is set to.

    Raises ValueError for a k below 1, no values or values of several axes, TypeError for
    values that are no numbers of up to 64 bits.
    """
    _check_k(k)
    if len(np.shape(values)) != 1 or np.shape(values)[0] == 0:
        raise ValueError(f"values have shape {np.shape(values)}; give [n], n at least 1")
    with jax.enable_x64(True):
        values = values if isinstance(values, jax.Array) else np.asarray(values)
        number_kind(values)
        return _top_k(values, np.True_ if mask is None else mask, k)


@partial(jax.jit, static_argnames="k")
def _top_k(values: Array, mask: Array, k: int) -> tuple[Array, Array]:
    taken = rankable(values) & mask
    keys = jnp.where(taken, order_keys(values), LARGEST)
    rows = jnp.where(taken, jnp.arange(values.shape[0]), LARGEST)
    _, rows = smallest(keys, rows, k)
    found = rows < LARGEST
    last = jnp.inf if jnp.issubdtype(values.dtype, jnp.floating) else np.iinfo(values.dtype).max
    best = jnp.where(found, values[jnp.where(found, rows, 0)], jnp.asarray(last, values.dtype))
    return jnp.where(found, rows, -1).astype(jnp.int32), best


def smallest(keys: Array, index: Array, k: int) -> tuple[Array, Array]:
    """The k smallest pairs (key, index), in order; filled up with ``LARGEST``.

    No key of all n is sorted: the k smallest lie in the k blocks whose own smallest are
    smallest. With blocks of sqrt(n / k) both sorts are of about sqrt(n k).
    """
    n = keys.shape[0]
    width = 1 << max(0, (n // k).bit_length() - 1) // 2
    if width > 1:
        keys, index = (_filled(a, -(-n // width) * width).reshape(width, -1) for a in (keys, index))
        least = keys.min(0)
        first = jnp.where(keys == least, index, LARGEST).min(0)
        blocks = jnp.arange(keys.shape[1], dtype=jnp.int32)
        blocks = lax.sort((least, first, blocks), num_keys=2)[2][:k]
        keys, index = keys[:, blocks].reshape(-1), index[:, blocks].reshape(-1)
    keys, index = lax.sort((_filled(keys, k), _filled(index, k)), num_keys=2)
    return keys[:k], index[:k]


def _filled(array: Array, length: int) -> Array:
    """The array lengthened by ``LARGEST``, if it is shorter."""
    return jnp.pad(array, (0, max(0, length - array.shape[0])), constant_values=LARGEST)


def _check_k(k: int) -> None:
    if k < 1:
        raise ValueError(f"k is {k}; it must be 1 or more")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TopKState:
    """The best so far, in order; ``LARGEST`` where there are fewer than k."""

    keys: Array  # [k] int64, see order.py
    index: Array  # [k] int64 tuple numbers
    kind: Array  # [] int8 what the keys stand for


@dataclasses.dataclass(frozen=True)
class Best:
    """Of k tuples asked for those that there are, best first."""

    index: np.ndarray  # [<= k] int64 tuple numbers
    values: np.ndarray  # [<= k] int64 or float64, in the unit of the objective


@dataclasses.dataclass(frozen=True)
class TopK:
    """The ``k`` tuples with the smallest objective; ties go to the lower tuple number.

    Only tuples that are ``require`` are taken, never an illegal one, nor NaN. Exact
    cycles are ranked exactly. Raises ValueError for a k below 1 and names that are not known.
    """

    objective: Objective = "runtime"
    k: int = 1
    require: Require = "valid"

    def __post_init__(self) -> None:
        _check_k(self.k)
        check_objective(self.objective)
        check_require(self.require)

    def start(self) -> TopKState:
        """The state of no tuples."""
        with jax.enable_x64(True):
            none = jnp.full(self.k, LARGEST)
            return TopKState(none, jnp.full(self.k, LARGEST), jnp.zeros((), jnp.int8))

    def add(self, state: TopKState, index: Array, costs: Costs, *, donate: bool = False) -> TopKState:
        """The state with a chunk's tuples; see :class:`~jaxmaestro.reductions.stream.Reduction`."""
        check_counts(costs)
        if np.size(index) == 0:
            return state
        with jax.enable_x64(True):
            values = objective_values(costs, self.objective)
            index, values, taken = chunk_columns(index, values, accepted(costs, self.require))
            return _add(state, index, values, taken)

    def merge(self, a: TopKState, b: TopKState) -> TopKState:
        """The state of the tuples of both."""
        with jax.enable_x64(True):
            return _merge(a, b)

    def result(self, state: TopKState) -> Best:
        """Raises ValueError where exact chunks and chunks of float32 were mixed."""
        index = np.asarray(state.index)
        there = index < LARGEST
        return Best(index[there], key_values(np.asarray(state.keys)[there], int(state.kind)))


@jax.jit
def _add(state: TopKState, index: Array, values: Array, taken: Array) -> TopKState:
    taken = taken & (index >= 0) & rankable(values)
    keys = jnp.where(taken, order_keys(values), LARGEST)
    index = jnp.where(taken, index.astype(jnp.int64), LARGEST)
    k = state.keys.shape[0]
    last, last_index = state.keys[-1], state.index[-1]
    better = (keys < last) | ((keys == last) & (index < last_index))
    # Most chunks of a long sweep hold nothing better.
    best, numbers = lax.cond(
        better.any(),
        lambda: _joined((state.keys, state.index), smallest(keys, index, k)),
        lambda: (state.keys, state.index),
    )
    return TopKState(best, numbers, state.kind | jnp.int8(number_kind(values)))


@jax.jit
def _merge(a: TopKState, b: TopKState) -> TopKState:
    return TopKState(*_joined((a.keys, a.index), (b.keys, b.index)), a.kind | b.kind)


def _joined(a: tuple[Array, Array], b: tuple[Array, Array]) -> tuple[Array, Array]:
    k = a[0].shape[0]
    keys, index = lax.sort((jnp.concatenate([a[0], b[0]]), jnp.concatenate([a[1], b[1]])), num_keys=2)
    return keys[:k], index[:k]
