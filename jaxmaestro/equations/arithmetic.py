"""Counting: exact integers or float32, behind one interface.

XLA turns division by a constant or broadcast divisor into multiplication by a
reciprocal, which is wrong on exact multiples, so integers are divided by
``lax.div`` on operands of one shape, and nowhere else.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Array = Any

INT32_MAX = 2**31 - 1


@dataclasses.dataclass(frozen=True)
class Arithmetic:
    """Number types of one precision: ``count`` for products, ``real`` for ratios."""

    count: Any
    real: Any
    exact: bool
    largest: float  # bounds of a count
    smallest: float

    def div(self, a: Array, b: Array) -> Array:
        """Quotient truncated towards zero, as C divides; ``b`` must not be 0."""
        return truncated_div(a, b)

    def ceil_div(self, a: Array, b: Array) -> Array:
        """Sends needed for ``a`` elements, ``b`` at a time (C: quotient, plus one if a rest)."""
        q = truncated_div(a, b)
        return q + (a != q * b).astype(q.dtype)

    def halve(self, a: Array, where: Array) -> Array:
        """``a`` (not negative) halved and truncated where a mask says so; it broadcasts against ``a``."""
        if self.exact:
            return a >> where.astype(a.dtype)
        return jnp.trunc(a * (1 - where.astype(a.dtype) / 2))


EXACT = Arithmetic(jnp.int64, jnp.float64, True, 2**63 - 1, -(2**63))
FLOAT32 = Arithmetic(jnp.float32, jnp.float32, False, float("inf"), -float("inf"))


def product(a: Array, b: Array) -> Array:
    """``a * b`` in floating point, rounded by itself.

    XLA may contract a product and the sum that it goes into to one operation with one
    rounding, in one program and not in another; a select in between keeps figures the
    same to the last bit everywhere. It asks the product, not a factor: what does not change
    in a loop is taken out of it, and the select with it. Python and NumPy numbers are
    multiplied as they are.
    """
    if not isinstance(a, jax.Array):
        return a * b
    rounded = a * b
    return jnp.where(rounded == 0, jnp.zeros_like(rounded), rounded)


def truncated_div(a: Array, b: Array) -> Array:
    """``a / b`` truncated towards zero, elementwise with broadcasting; ``b != 0``."""
    a, b = _same(a, b)
    if jnp.issubdtype(a.dtype, jnp.integer):
        return lax.div(a, b)
    return jnp.trunc(a / b)


def _same(a: Array, b: Array) -> tuple[Array, Array]:
    a, b = jnp.asarray(a), jnp.asarray(b)
    dtype = jnp.promote_types(a.dtype, b.dtype)
    shape = jnp.broadcast_shapes(a.shape, b.shape)
    return jnp.broadcast_to(a.astype(dtype), shape), jnp.broadcast_to(b.astype(dtype), shape)
