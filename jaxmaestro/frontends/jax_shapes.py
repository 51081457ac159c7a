"""Shapes as users write them, as :class:`jax.ShapeDtypeStruct`; nothing is allocated."""

from __future__ import annotations

import numbers
import re
import reprlib
from typing import Any

import jax
import jax.numpy as jnp

from jaxmaestro.description import DescriptionError

_TEXT = re.compile(r"\s*(\w+)\s*\[([\d\s,]*)\]\s*")
_SHORT = {"f": "float", "i": "int", "u": "uint", "bf": "bfloat"}
_FIX = 'give a shape such as (1, 224, 224, 3), a text such as "int32[1,128]", or an array or ShapeDtypeStruct'


def abstract(value: Any, what: str) -> Any:
    """Shapes and types of one argument: a pytree of ``jax.ShapeDtypeStruct``.

    Args:
        value: a sequence of integers, a text, an array, a ``ShapeDtypeStruct``, a Python number, or a
            pytree of these (in which an empty tuple is no shape but an empty pytree).
        what: the argument, as the subject of a sentence.

    Raises:
        DescriptionError: for anything else, or a length below one.
    """
    if type(value) is tuple and not value:
        return jax.ShapeDtypeStruct((), jnp.float32)
    return jax.tree.map(lambda leaf: _leaf(leaf, what), value, is_leaf=_is_shape)


def _is_shape(value: Any) -> bool:
    return type(value) in (tuple, list) and bool(value) and all(isinstance(n, numbers.Number) for n in value)


def _leaf(value: Any, what: str) -> jax.ShapeDtypeStruct:
    if isinstance(value, str):
        return _from_text(value, what)
    if _is_shape(value):
        return _struct(value, jnp.float32, what)
    if isinstance(value, bool | int | float | complex):
        return jax.ShapeDtypeStruct((), jnp.result_type(value), weak_type=True)
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return jax.ShapeDtypeStruct(value.shape, value.dtype, weak_type=getattr(value, "weak_type", False))
    raise DescriptionError(f"{what} is {reprlib.repr(value)}, which is no shape", fix=_FIX)


def _from_text(text: str, what: str) -> jax.ShapeDtypeStruct:
    match = _TEXT.fullmatch(text)
    if match is None:
        raise DescriptionError(f"{what} is {text!r}, which is no shape", fix=_FIX)
    kind = re.sub(r"^(bf|[fiu])(\d+)$", lambda m: _SHORT[m[1]] + m[2], match[1])
    try:
        dtype = jnp.dtype(kind)
    except TypeError:
        fix = "give one such as float32, bfloat16, int32 or bool"
        raise DescriptionError(f"{what} is {text!r}: no type {match[1]}", fix=fix) from None
    return _struct([int(word) for word in re.findall(r"\d+", match[2])], dtype, what)


def _struct(lengths: Any, dtype: Any, what: str) -> jax.ShapeDtypeStruct:
    for length in lengths:
        whole = isinstance(length, numbers.Integral) and not isinstance(length, bool)
        if not whole or length < 1:
            raise DescriptionError(f"{what} has a length of {length!r}", fix="lengths are integers from 1")
    return jax.ShapeDtypeStruct(tuple(int(length) for length in lengths), dtype)


def shown(tree: Any) -> str:
    """The shapes of an argument in a few words."""
    leaves = jax.tree.leaves(tree)
    if len(leaves) > 3:
        return f"{len(leaves)} arrays"
    words = [f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]" for leaf in leaves]
    return words[0] if len(words) == 1 and leaves[0] is tree else "{" + ", ".join(words) + "}"
