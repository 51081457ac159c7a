"""Counting: exact integers or float32, behind one interface.

XLA turns division by a constant or broadcast divisor into multiplication by a
reciprocal, which is wrong on exact multiples. So integers are divided here and nowhere
else: sizes by ``lax.div`` on operands of one shape, counts by a reciprocal of ours,
whose quotient is put right afterwards.
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

    def divisor(self, b: Array) -> Divisor:
        """What counts are divided by; ``b`` must be 1 or more."""
        value = jnp.asarray(b).astype(self.count)
        return Divisor(value, 1 / value.astype(self.real) if self.exact else None)

    def div(self, a: Array, b: Divisor) -> Array:
        """Quotient truncated towards zero, as C divides."""
        return b.into(a)[0]

    def ceil_div(self, a: Array, b: Divisor) -> Array:
        """Sends needed for ``a`` elements, ``b`` at a time (C: quotient, plus one if a rest)."""
        q, left = b.into(a)
        return q + (left != 0).astype(q.dtype)

    def halve(self, a: Array, where: Array) -> Array:
        """``a`` (not negative) halved and truncated where a mask says so; it broadcasts against ``a``."""
        if self.exact:
            return a >> where.astype(a.dtype)
        return jnp.trunc(a * (1 - where.astype(a.dtype) / 2))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Divisor:
    """A divisor of counts, 1 or more, with its reciprocal if they are exact.

    A processor divides integers of 64 bits one by one, ten times as slowly as it multiplies many.
    """

    value: Array
    reciprocal: Array | None  # float64; None: counts are float32

    def into(self, a: Array) -> tuple[Array, Array]:
        """Quotient truncated towards zero, and what is left of the magnitude (float32: of the count)."""
        if self.reciprocal is None:
            q = truncated_div(a, self.value)
            return q, a - q * self.value
        # The quotient of magnitudes; the least integer, which has none, is no count.
        sign = a >> 63
        left = (a ^ sign) - sign
        q = jnp.zeros_like(left)
        # Each product is off by a few units in the last of its 53 bits: the first quotient by 2^12
        # at most, the one of what it leaves by less than two.
        for _ in range(2):
            more = (left.astype(jnp.float64) * self.reciprocal).astype(jnp.int64)
            q, left = q + more, left - more * self.value
        # False: 0, True: 1.
        more = (left >= self.value).astype(jnp.int64) - (left < 0).astype(jnp.int64)
        q, left = q + more, left - more * self.value
        return (q ^ sign) - sign, left


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
