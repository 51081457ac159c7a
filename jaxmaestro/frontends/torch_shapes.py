"""Inputs of a PyTorch model as users write them: tensors, shapes, texts."""

from __future__ import annotations

import numbers
import reprlib
from collections.abc import Callable
from typing import Any

import torch
from torch.utils import _pytree as pytree

from jaxmaestro.description import DescriptionError
from jaxmaestro.frontends.jax_shapes import abstract

Empty = Callable[[tuple[int, ...], torch.dtype], torch.Tensor]
"""Makes a tensor of a shape and type."""


def tensors(value: Any, what: str, empty: Empty) -> Any:
    """One argument of a model, with tensors where shapes and texts were; a nest of lists and dictionaries.

    Tensors and Python values that are no shape (None, numbers, booleans) stay as they are; the rest is
    what :func:`jaxmaestro.frontends.jax_shapes.abstract` takes.

    Args:
        value: a tensor, a sequence of integers (float32), a text, or a nest of these.
        what: the argument, as the subject of a sentence.
        empty: makes the tensors.

    Raises:
        DescriptionError: for what is no shape, a length below one, or a type that PyTorch does not have.
    """
    return pytree.tree_map(lambda leaf: _leaf(leaf, what, empty), value, is_leaf=_is_shape)


def shown(value: Any) -> str:
    """The shapes of an argument in a few words."""
    leaves = [leaf for leaf in pytree.tree_leaves(value) if isinstance(leaf, torch.Tensor)]
    if not leaves:
        return reprlib.repr(value)
    if len(leaves) > 3:
        return f"{len(leaves)} tensors"
    words = [f"{str(leaf.dtype)[6:]}[{','.join(map(str, leaf.shape))}]" for leaf in leaves]
    return words[0] if len(words) == 1 else "{" + ", ".join(words) + "}"


def _is_shape(value: Any) -> bool:
    numeric = isinstance(value, tuple | list) and all(isinstance(each, numbers.Number) for each in value)
    return numeric and bool(value)


def _leaf(leaf: Any, what: str, empty: Empty) -> Any:
    if leaf is None or isinstance(leaf, torch.Tensor | numbers.Number):
        return leaf
    struct = abstract(tuple(leaf) if _is_shape(leaf) else leaf, what)
    dtype = getattr(torch, struct.dtype.name, None)
    if not isinstance(dtype, torch.dtype):
        fix = "give one such as float32, bfloat16, int64 or bool"
        raise DescriptionError(f"{what} has the type {struct.dtype}, which PyTorch does not have", fix=fix)
    return empty(tuple(struct.shape), dtype)
