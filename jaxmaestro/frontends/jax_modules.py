"""Functions and modules alike, as a function of parameters and inputs that are both shapes.

flax is looked at only if the program has imported it.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxmaestro.description import DescriptionError
from jaxmaestro.description.fields import whole


@dataclasses.dataclass(frozen=True)
class Model:
    """``call(parameters, inputs)``, and the shapes (pytrees) that it takes.

    It gives the outputs, and the state that the model leaves behind (running averages), which has
    no part in gradients. ``count`` is the number of parameters, None if they are not known.
    """

    call: Callable[[Any, Any], tuple[Any, Any]]
    parameters: Any
    inputs: Any
    count: int | None


def model_of(fn: Any, inputs: list[Any], parameters: int | Sequence[int], static: Mapping[str, Any]) -> Model:
    """The model of a function, a flax linen or nnx module, or a callable pytree.

    Args:
        fn: see :func:`jaxmaestro.frontends.jax_tracing.from_jax`.
        inputs: shapes of its arguments.
        parameters: which of them are parameters; for functions only.
        static: keyword arguments that are not traced.

    Raises:
        DescriptionError: for what cannot be called, and indices that no argument has.
        Exception: what ``fn`` raises while its parameters are found.
    """
    linen, nnx = sys.modules.get("flax.linen"), sys.modules.get("flax.nnx")
    indices = _indices(parameters, len(inputs))
    known = True
    if linen is not None and isinstance(fn, linen.Module):
        model = _linen(fn, inputs, static)
    elif nnx is not None and isinstance(fn, nnx.Module):
        model = _nnx(nnx, fn, inputs, static)
    elif not callable(fn):
        raise DescriptionError(f"{type(fn).__name__} is no function", fix="give a function or a module")
    elif not jax.tree_util.all_leaves([fn]):
        model = _pytree(fn, inputs, static)
    else:
        known = False
        model = _function(fn, inputs, indices, static)
    if known and indices:
        raise DescriptionError(
            f"parameters={parameters!r} for a module, which has its own",
            fix="leave it out, or give a function",
        )
    return model


def _indices(parameters: int | Sequence[int], arguments: int) -> tuple[int, ...]:
    given = tuple(parameters) if isinstance(parameters, Sequence) else (parameters,)
    found = tuple(whole(index, "an index in parameters", least=0) for index in given)
    for index in found:
        if index >= arguments:
            raise DescriptionError(
                f"parameters has the index {index}, but there are {arguments} shapes",
                fix="count the arguments of the function from 0",
            )
    return found


def _function(fn: Any, inputs: list[Any], indices: tuple[int, ...], static: Mapping[str, Any]) -> Model:
    rest = [index for index in range(len(inputs)) if index not in indices]

    def call(parameters: Any, others: Any) -> tuple[Any, Any]:
        arguments = dict(zip(indices, parameters, strict=True)) | dict(zip(rest, others, strict=True))
        return fn(*(arguments[index] for index in range(len(arguments))), **static), ()

    chosen: Any = [inputs[index] for index in indices]
    if len(indices) == 1:  # the paths of parameters then start with their own names
        chosen, several = chosen[0], call
        return Model(lambda one, others: several([one], others), chosen, _at(inputs, rest), _count(chosen))
    return Model(call, chosen, _at(inputs, rest), _count(chosen) if indices else None)


def _at(inputs: list[Any], indices: list[int]) -> list[Any]:
    return [inputs[index] for index in indices]


def _linen(module: Any, inputs: list[Any], static: Mapping[str, Any]) -> Model:
    key = jax.eval_shape(lambda: jax.random.key(0))

    def rngs(key: Any) -> dict[str, Any]:
        return {"params": key, "dropout": key}

    variables = dict(
        jax.eval_shape(lambda key, arguments: module.init(rngs(key), *arguments, **static), key, inputs)
    )
    parameters = variables.pop("params", {})

    def call(parameters: Any, others: Any) -> tuple[Any, Any]:
        key, state, arguments = others
        everything = {"params": parameters, **state}
        outputs, left = module.apply(
            everything, *arguments, rngs=rngs(key), mutable=list(variables), **static
        )
        return outputs, left

    return Model(call, parameters, (key, variables, inputs), _count(parameters))


def _nnx(nnx: Any, module: Any, inputs: list[Any], static: Mapping[str, Any]) -> Model:
    graph, parameters, state = nnx.split(module, nnx.Param, ...)
    parameters, state = jax.tree.map(_shape_of, (parameters, state))

    def call(parameters: Any, others: Any) -> tuple[Any, Any]:
        state, arguments = others
        merged = nnx.merge(graph, parameters, state)
        outputs = merged(*arguments, **static)
        return outputs, nnx.split(merged, nnx.Param, ...)[2]

    return Model(call, parameters, (state, inputs), _count(parameters))


def _pytree(fn: Any, inputs: list[Any], static: Mapping[str, Any]) -> Model:
    """A module that is a pytree: leaves with a shape are parameters, others stay as they are."""
    with_paths, tree = jax.tree_util.tree_flatten_with_path(fn)
    arrays = {
        jax.tree_util.keystr(path, simple=True, separator="/"): _shape_of(leaf)
        for path, leaf in with_paths
        if hasattr(leaf, "shape") and hasattr(leaf, "dtype")
    }
    names = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in with_paths]
    leaves = [leaf for _, leaf in with_paths]

    def call(parameters: Any, arguments: Any) -> tuple[Any, Any]:
        filled = [parameters.get(name, leaf) for name, leaf in zip(names, leaves, strict=True)]
        return jax.tree.unflatten(tree, filled)(*arguments, **static), ()

    return Model(call, arrays, inputs, _count(arrays))


def _shape_of(leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)


def _count(tree: Any) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def floating(tree: Any) -> list[bool]:
    """For each leaf whether it has gradients."""
    return [bool(jnp.issubdtype(leaf.dtype, jnp.inexact)) for leaf in jax.tree.leaves(tree)]
