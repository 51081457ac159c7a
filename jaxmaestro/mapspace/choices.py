"""Drawing among few allowed values inside jit."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

Array = Any


def uniform(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
    """``jax.random.uniform`` in [0, 1), the same numbers.

    Drawn along one axis: XLA takes ten times as long to compile a draw along several.
    """
    return jax.random.uniform(key, (math.prod(shape),), dtype).reshape(shape)


def whole_numbers(key: Array, shape: tuple[int, ...], least: int, below: Array | int) -> Array:
    """``jax.random.randint``, int32, drawn as :func:`uniform`."""
    return jax.random.randint(key, (math.prod(shape),), least, below, jnp.int32).reshape(shape)


def normal(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
    """``jax.random.normal``, drawn as :func:`uniform`."""
    return jax.random.normal(key, (math.prod(shape),), dtype).reshape(shape)


def divisors_of(extent: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Divisors of every number ``[..., q]``, ascending, the last repeated.

    ``q`` is 8, 16, 32, ..., as the longest list needs: few lengths, so that searches of different layers
    share their compiled programs.
    """
    lists = []
    for number in extent.reshape(-1).tolist():
        low = [n for n in range(1, int(number**0.5) + 1) if number % n == 0]
        lists.append(sorted({*low, *(number // n for n in low)}))
    width = max(8, 1 << (max(map(len, lists)) - 1).bit_length())
    table = np.array([found + [found[-1]] * (width - len(found)) for found in lists], np.int32)
    return table.reshape(*extent.shape, width)


def pick(key: Array, allowed: Array) -> Array:
    """One of the True places of ``allowed [..., k]``, all equally likely, int32 ``[...]``."""
    count = allowed.sum(-1, dtype=jnp.int32)
    number = pick_size(uniform(key, allowed.shape[:-1]), count)
    place = jnp.cumsum(allowed, -1, dtype=jnp.int32) - 1
    return jnp.argmax(allowed & (place == number[..., None]), -1).astype(jnp.int32)


def pick_size(number: Array, count: Array) -> Array:
    """A number from 0 to ``count - 1`` out of one in [0, 1), int32."""
    chosen = (number * count.astype(jnp.float32)).astype(jnp.int32)
    return jnp.clip(chosen, 0, jnp.maximum(count - 1, 0))


def at_most(ascending: Array, value: Array) -> Array:
    """How many of ``ascending [k]`` are at most ``value [...]``, int32."""
    return jnp.searchsorted(jnp.asarray(ascending), value, side="right").astype(jnp.int32)
