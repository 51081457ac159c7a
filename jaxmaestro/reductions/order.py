"""Numbers of any type as int64 keys of the same order, so that one program ranks them all.

Keys keep what float64 would lose (cycles beyond 2**53) and let exact and float
objectives stand in one array. What may not be taken has the key ``LARGEST``.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

Array = Any

LARGEST = np.int64(2**63 - 1)
"""Key, and tuple number, of what is not there: it sorts after everything."""

INTEGER, FLOAT = 1, 2
"""Bits of what kind of number the keys of a state stand for; both: the chunks do not go together."""


def number_kind(values: Array) -> int:
    """``INTEGER`` or ``FLOAT``. Raises TypeError for anything that int64 and float64 do not hold."""
    dtype = np.dtype(values.dtype)
    if dtype.kind == "i" or (dtype.kind == "u" and dtype.itemsize < 8):
        return INTEGER
    if jnp.issubdtype(dtype, jnp.floating):
        return FLOAT
    raise TypeError(f"cannot rank {dtype}: give integers (up to int64) or floats")


def rankable(values: Array) -> Array:
    """bool: everything but NaN."""
    return values == values


def order_keys(values: Array) -> Array:
    """int64 keys in the order of the values. The caller has 64-bit types enabled."""
    if number_kind(values) == INTEGER:
        return values.astype(jnp.int64)
    reals = values.astype(jnp.float64)
    reals = jnp.where(reals == 0, 0.0, reals)  # one zero, not two
    bits = lax.bitcast_convert_type(reals, jnp.int64)
    # The bits of positive floats are in their order, those of negative floats in reverse.
    return jnp.where(bits < 0, bits ^ LARGEST, bits)


def key_values(keys: np.ndarray, kind: int) -> np.ndarray:
    """The int64 or float64 numbers that keys stand for.

    Raises ValueError where the keys of exact and float32 chunks were mixed.
    """
    if kind == INTEGER | FLOAT:
        raise ValueError("some chunks gave integers and others floats: use one precision for a stream")
    if kind == INTEGER:
        return keys
    bits = np.where(keys < 0, keys ^ LARGEST, keys)
    return bits.view(np.float64)
