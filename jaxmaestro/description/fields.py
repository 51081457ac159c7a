"""Single fields of descriptions: what is not of its type is refused where it is given, by name."""

from __future__ import annotations

import operator
import reprlib
from collections.abc import Iterable, Mapping, Set
from typing import Any

from jaxmaestro.description.errors import DescriptionError

LARGEST = 2**31 - 1
"""Largest whole number in a description: the reference's are of 32 bits."""


def whole(value: object, what: str, *, least: int = -LARGEST, fix: str = "give an integer") -> int:
    """A whole number as ``int``; those of NumPy are taken too, ``bool`` and ``float`` are not.

    Args:
        value: what was given.
        what: the field, as the subject of a sentence.
        least: the smallest value that is meaningful at all.
        fix: what to give instead of another type.

    Raises:
        DescriptionError: for another type, a value below ``least`` or above ``LARGEST``.
    """
    if type(value) is int and least <= value <= LARGEST:
        return value
    try:
        # A bool has an index in Python, and as a size it is nearly always a slip.
        number = None if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None:
        raise DescriptionError(f"{what} is {reprlib.repr(value)}, which is no integer", fix=fix)
    if number > LARGEST:
        # Python refuses to print integers of thousands of digits.
        shown = f"{what} is {number}, which is too large" if number < 2**128 else f"{what} is too large"
        raise DescriptionError(shown, fix=f"numbers go up to {LARGEST}")
    if number < least:
        shown = f"{what} is {number}" if number > -(2**128) else f"{what} is far below zero"
        raise DescriptionError(shown, fix=f"it must be at least {least}")
    return number


def text(value: object, what: str, *, fix: str = "give a str") -> str:
    """A str; raises DescriptionError for anything else."""
    if not isinstance(value, str):
        raise DescriptionError(f"{what} is {reprlib.repr(value)}, which is no str", fix=fix)
    return value


def items(value: object, what: str, *, fix: str) -> tuple[Any, ...]:
    """What a sequence holds, as a tuple.

    Raises DescriptionError for what is no sequence, and for text, mappings and
    sets, whose elements are hardly what was meant.
    """
    if type(value) is tuple:
        return value
    refused = isinstance(value, str | bytes | Mapping | Set)
    try:
        if isinstance(value, Iterable) and not refused:
            return tuple(value)
    except TypeError:  # an array without axes, which has __iter__ all the same
        pass
    raise DescriptionError(f"{what} is {reprlib.repr(value)}, which is no sequence", fix=fix)


def replace_field(description: object, field: str, value: object) -> None:
    """Set a field of a frozen dataclass while it is being made."""
    object.__setattr__(description, field, value)
