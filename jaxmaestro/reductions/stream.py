"""The protocol of streaming reductions, and the fixed shapes that their chunks are brought to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxmaestro.equations.costs import Costs
from jaxmaestro.reductions.objectives import is_traced

Array = Any
State = TypeVar("State")
Result = TypeVar("Result", covariant=True)

SHORTEST = 64
"""Length that the shortest chunks are padded to; longer ones to a power of two."""


class Reduction(Protocol[State, Result]):
    """What takes the chunks of a sweep one after the other and keeps a small state.

    States are pytrees of arrays (64-bit ones whatever JAX is set to) and are not
    changed: ``add`` gives a new one. The same tuples in any order, split and
    merged in any way, give the same result; each tuple is to be added once. ``add``
    and ``merge`` may be traced; a jit of your own around them stands inside
    ``jax.enable_x64(True)``, or JAX cuts NumPy's 64-bit arguments to 32 bits.
    """

    def start(self) -> State:
        """The state of no tuples."""

    def add(self, state: State, index: Array, costs: Costs, *, donate: bool = False) -> State:
        """The state with a chunk's tuples: their numbers ``[n]`` (up to 2**63 - 2) and costs ``[n]``.

        Rows whose number is negative are padding and count for nothing. With
        ``donate`` the memory of ``state``, which must not be used again, may serve
        for the new one.
        """

    def merge(self, a: State, b: State) -> State:
        """The state of the tuples of both."""

    def result(self, state: State) -> Result:
        """What was asked for, as a struct of NumPy arrays."""


def chunk_columns(index: Array, *columns: Array) -> tuple[Array, ...]:
    """Tuple numbers and columns as arrays ``[n]`` of one length, of which few are ever compiled.

    Concrete chunks are padded to a power of two, their numbers with -1; traced ones
    keep their length. The caller has 64-bit types enabled. Raises TypeError for numbers
    that are no integers (traced ones: int64) and ValueError where lengths differ.
    """
    index = _tuple_numbers(index)
    arrays = [index, *(_flat(column, index.shape) for column in columns)]
    if any(is_traced(array) for array in arrays):
        return tuple(arrays)
    length = max(SHORTEST, 1 << (index.shape[0] - 1).bit_length())
    fills = [-1] + [0] * len(columns)
    return tuple(_padded(array, length, fill) for array, fill in zip(arrays, fills, strict=True))


def _tuple_numbers(index: Array) -> Array:
    index = index if isinstance(index, jax.Array) else np.asarray(index)
    if not np.issubdtype(index.dtype, np.integer):
        raise TypeError(f"tuple numbers are {index.dtype}; give int64")
    if is_traced(index) and index.dtype != np.int64:
        # It may have been cut on its way into a jit, which does not show any more.
        raise TypeError(
            f"traced tuple numbers are {index.dtype}; trace inside jax.enable_x64(True) with int64"
        )
    return index.reshape(-1)


def _flat(column: Array, shape: Sequence[int]) -> Array:
    column = column if isinstance(column, jax.Array) else np.asarray(column)
    if column.size not in (1, shape[0]):
        raise ValueError(f"costs of {column.size} tuples where there are {shape[0]} tuple numbers")
    if column.size == shape[0]:
        return column.reshape(-1)
    wide = jnp.broadcast_to if isinstance(column, jax.Array) else np.broadcast_to
    return wide(column.reshape(-1), shape)


def _padded(array: Array, length: int, fill: int) -> Array:
    rest = length - array.shape[0]
    if rest == 0:
        return array
    if isinstance(array, jax.Array) and any(d.platform != "cpu" for d in array.devices()):
        return jnp.pad(array, (0, rest), constant_values=fill)  # stays where it is
    # By NumPy: JAX would compile a padding program for every length.
    return np.concatenate([np.asarray(array), np.full(rest, fill, array.dtype)])
