"""Numbers as a C++ stream prints them: six significant digits, ``-nan``, ``inf``, ``-0``.

The reference computes some figures in ``long double`` (x86: 64-bit mantissa). No array type has that
everywhere, so such a figure is approximated in float64, and only where the sixth digit hangs on the last
bits is it computed once more, exactly, with rational numbers rounded to 64 bits after every operation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]

EXTENDED = 64
"""Mantissa bits of x86 ``long double``."""

DOUBLE = 53
"""Mantissa bits of ``double``."""

_WIDE, _BLOCK = 64, 2**14
_NEAR = 2e-15  # more than the error of the few float64 operations behind any figure printed here


def shortest(values: npt.ArrayLike) -> list[str]:
    """``%g`` of float64 values [n]; a NaN prints as ``-nan``, the one that x86 makes of 0/0."""
    texts = [f"{value:g}" for value in np.asarray(values, np.float64).tolist()]
    return [text if text != "nan" else "-nan" for text in texts]


def shortest_extended(approximate: Reals, exact: Callable[[int], Fraction]) -> list[str]:
    """``%Lg`` of figures [n] known to a few float64 roundings; ``exact(i)`` is called where these decide.

    ``exact`` returns the value that the reference holds, as a fraction, already rounded as there.
    """
    lower, upper = shortest(approximate * (1 - _NEAR)), shortest(approximate * (1 + _NEAR))
    return [
        low if low == high else _nearer(low, high, exact(i))
        for i, (low, high) in enumerate(zip(lower, upper, strict=True))
    ]


def _nearer(low: str, high: str, value: Fraction) -> str:
    """The nearer of two neighbouring six-digit numbers, at a tie the one whose last digit is even."""
    below, above, middle = abs(Fraction(low)), abs(Fraction(high)), abs(value)
    if 2 * middle != below + above:
        return low if 2 * middle < below + above else high
    return low if (below / (above - below)) % 2 == 0 else high


def rounded(value: Fraction, bits: int = EXTENDED) -> Fraction:
    """The nearest number with a mantissa of ``bits`` bits, ties to even (any exponent)."""
    if value == 0:
        return value
    magnitude = abs(value)
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    if magnitude < Fraction(2) ** exponent:
        exponent -= 1
    unit = Fraction(2) ** (exponent - bits + 1)
    return round(value / unit) * unit


def quotient(*terms: float | Fraction) -> Fraction:
    """``terms[0] / terms[1] / ...`` in ``long double``: every step rounded to 64 bits."""
    result = rounded(Fraction(terms[0]))
    for term in terms[1:]:
        result = rounded(result / rounded(Fraction(term)))
    return result


def total(terms: Sequence[float | Fraction]) -> Fraction:
    """Sum from left to right in ``long double``, every step rounded to 64 bits."""
    result = Fraction(0)
    for term in terms:
        result = rounded(result + Fraction(term))
    return result


def shortest_fraction(value: Fraction) -> str:
    """``%Lg`` of one exact value."""
    return shortest_extended(np.array([float(value)]), lambda _: value)[0]


def repeated_sum(values: npt.ArrayLike, times: int) -> Reals:
    """``times`` additions of each value [n] to 0.0, one after the other in float64 (not a product)."""
    terms = np.atleast_1d(np.asarray(values, np.float64))
    sums = np.zeros_like(terms)
    if len(terms) > _WIDE:  # one vector addition a step
        for _ in range(times):
            sums += terms
        return sums
    for start in range(0, times, _BLOCK):  # few values: the steps are the long axis
        block = np.broadcast_to(terms, (min(_BLOCK, times - start), len(terms)))
        sums = np.add.accumulate(np.concatenate([sums[None], block]))[-1]
    return sums
