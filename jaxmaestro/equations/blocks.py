"""Columns in blocks: those of a block are walked through their cases side by side."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxmaestro.equations.kernels import Lowering
from jaxmaestro.equations.subtiles import Columns

Array = Any


def in_blocks(cost_of: Any, model: Any, columns: Columns, lowering: Lowering) -> Any:
    """``cost_of(*model.at(columns))`` over all columns in blocks of like length.

    A block takes as long as its column with the most cases, so columns are sorted
    by their number of cases first; columns without any are skipped.
    """
    number, block = columns.cases.shape[0], lowering.block
    if number <= block:
        return lowering.kernel(lambda model, columns: cost_of(*model.at(columns)), model, columns)
    order = longest_first(columns.cases)
    padding = -number % block
    blocks = jnp.concatenate([order, jnp.broadcast_to(order[-1:], (padding,))]).reshape(-1, block)
    filled = (columns.cases[blocks[:, 0]] > 0).sum(dtype=jnp.int32)

    def all_of(model: Any, columns: Columns, blocks: Array, filled: Array) -> Any:
        @functools.partial(jax.jit, inline=True)  # traced once
        def one(model: Any, columns: Columns, index: Array) -> Any:
            return cost_of(*model.at(jax.tree.map(lambda a: jnp.take(a, index, mode="clip"), columns)))

        def add(number: Array, found: Any) -> Any:
            own = one(model, columns, blocks[number])
            return jax.tree.map(lambda a, own: put(a, own, number), found, own)

        put = functools.partial(lax.dynamic_update_index_in_dim, axis=0, allow_negative_indices=False)
        shapes = jax.eval_shape(one, model, columns, blocks[0])
        nothing = jax.tree.map(lambda a: jnp.zeros((len(blocks), *a.shape), a.dtype), shapes)
        return lax.fori_loop(0, filled, add, nothing)

    results = lowering.kernel(all_of, model, columns, blocks, filled)
    place = jnp.zeros(number, jnp.int32).at[order].set(jnp.arange(number, dtype=jnp.int32))

    def restore(a: Array) -> Array:
        a = jnp.moveaxis(a, 0, -2)  # [..., blocks, block]
        return jnp.take(a.reshape(*a.shape[:-2], -1), place, axis=-1, mode="clip")

    return jax.tree.map(restore, results)


def longest_first(cases: Array) -> Array:
    """The columns by their ``cases`` (int32 ``[c]``), most first, of equals the first: numbers, int32."""
    number = cases.shape[0]
    if number > 2**_PLACE_BITS:
        return jnp.argsort(-cases, stable=True).astype(jnp.int32)
    # One array of small words sorts ten times as fast on a CPU as keys with their places.
    words = (_MOST_CASES - jnp.minimum(cases, _MOST_CASES)) << _PLACE_BITS
    return lax.sort(words | jnp.arange(number, dtype=jnp.int32), is_stable=False) & (2**_PLACE_BITS - 1)


_PLACE_BITS = 16
_MOST_CASES = 2**15 - 1  # nine loops of three states have 19,683
