"""Whether two objects, of two processes, would do the same: their types and all that they hold."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import inspect
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np


def identity(value: object) -> str | None:
    """Hex digits that are equal for objects of the same types and contents; None where that cannot be told.

    It can be told for numbers, text, arrays, containers, classes, functions of a module, and
    objects made of these. It cannot for other functions, such as those that hold variables.
    """
    try:
        return hashlib.sha256(_written(value).encode()).hexdigest()
    except (_UnknownError, RecursionError):
        return None


class _UnknownError(Exception):
    """Of this object it cannot be told."""


def _written(value: Any) -> str:
    if value is None or isinstance(value, bool | int | float | str | bytes | np.generic | enum.Enum):
        return f"{type(value).__qualname__} {value!r}"
    if isinstance(value, np.ndarray | jax.Array):
        array = np.ascontiguousarray(value)
        if array.dtype.hasobject:
            raise _UnknownError
        return f"array {array.dtype} {np.shape(value)} {hashlib.sha256(array.tobytes()).hexdigest()}"
    if isinstance(value, Mapping):
        return f"{_name(type(value))} {[(_written(k), _written(v)) for k, v in value.items()]}"
    if isinstance(value, list | tuple):
        return f"{_name(type(value))} {[_written(each) for each in value]}"
    if inspect.isclass(value) or inspect.isfunction(value):
        if "<" in value.__qualname__:  # a lambda, or made inside a function
            raise _UnknownError
        return _name(value)
    if callable(value):
        raise _UnknownError
    if dataclasses.is_dataclass(value):
        held = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    elif hasattr(value, "__dict__"):
        held = vars(value)
    else:
        raise _UnknownError
    return f"{_name(type(value))} {_written(held)}"


def _name(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"
