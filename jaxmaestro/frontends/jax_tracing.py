"""Any JAX function as a workload: traced on shapes, without weights and without computing."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
from jax.interpreters import partial_eval

from jaxmaestro.description import DescriptionError
from jaxmaestro.description.fields import whole
from jaxmaestro.frontends.assemble import assemble
from jaxmaestro.frontends.describe import Padding, Products, Style, one_of
from jaxmaestro.frontends.jax_modules import Model, floating, model_of
from jaxmaestro.frontends.jax_shapes import abstract, shown
from jaxmaestro.frontends.jax_walk import Branches, Loops, walk
from jaxmaestro.frontends.workload import Workload


def from_jax(
    fn: Any,
    *shapes: Any,
    parameters: int | Sequence[int] = (),
    static: Mapping[str, Any] | None = None,
    training: bool = False,
    padding: Padding = "same-as-maestro",
    products: Products = "auto",
    branches: Branches = "largest",
    while_trips: int | None = None,
    name: str = "",
) -> Workload:
    """The convolutions and matrix products of a JAX function as layers, and a list of all else.

    ``fn`` is traced with :func:`jax.make_jaxpr` on shapes alone: nothing is computed and no array
    is made, so a model may be larger than the machine. Work whose result is not used is left out,
    as XLA does.

    Args:
        fn: a function, a flax linen or nnx module, or any callable pytree whose leaves are arrays
            or shapes (an Equinox module). The parameters of modules are not given in ``shapes``.
        shapes: one for each argument of ``fn``: a sequence of integers (a float32 array of that
            shape), a text such as ``"int32[1,128]"``, an array or ``jax.ShapeDtypeStruct`` (its
            shape and type are taken), a Python number, or a pytree of these.
        parameters: which of ``shapes`` are parameters, if ``fn`` is a function. Known parameters
            name layers, tell filters from inputs and are counted.
        static: keyword arguments for ``fn`` that are not traced, such as ``{"train": False}``.
        training: the forward and the backward pass: gradients of the parameters for a given
            gradient of the outputs. A function that has gradients in it (``jax.grad(f)``) is read
            as it is, without this.
        padding: Y and X of convolutions: ``"same-as-maestro"`` takes the input's rows and columns
            without padding, as the reference's model files do; ``"exact"`` takes as many as give
            the true number of outputs.
        products: matrix products: ``"auto"`` makes those with one row a fully connected CONV and
            all others GEMM; ``"gemm"`` or ``"conv"`` (1x1, rows along Y) makes all alike.
        branches: of ``lax.cond`` and ``lax.switch``: ``"largest"`` or ``"all"``.
        while_trips: trips of every ``lax.while_loop``; None counts one and marks its layers.
        name: of the workload; the default is the function's.

    Raises:
        DescriptionError: for bad shapes or options, or if ``fn`` cannot be traced on the shapes
            (its own error is the cause).
    """
    style = Style(padding, products)
    one_of(branches, ("largest", "all"), "branches")
    if while_trips is not None:
        while_trips = whole(while_trips, "while_trips", least=0)
    name = name or _name(fn)
    inputs = [abstract(shape, f"shape {index} of {name}") for index, shape in enumerate(shapes)]
    text = ", ".join(map(shown, inputs))
    model = _traced(name, text, lambda: model_of(fn, inputs, parameters, dict(static or {})))
    if training:
        plain = model
        model = _traced(name, text, lambda: _with_gradients(name, plain))
    closed = _traced(name, text, lambda: jax.make_jaxpr(model.call)(model.parameters, model.inputs))
    jaxpr, _ = partial_eval.dce_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.outvars), instantiate=True)
    paths = _paths(model.parameters)
    origins = [*paths, *(None for _ in jaxpr.invars[len(paths) :])]
    # The last outputs in training are the gradients, one for each parameter that has one.
    differs = floating(model.parameters) if training else [False] * len(paths)
    gradients = [path for path, differ in zip(paths, differs, strict=True) if differ]
    sinks = [""] * (len(jaxpr.outvars) - len(gradients)) + gradients
    walked = walk(jaxpr, origins, sinks, Loops(branches, while_trips))
    return assemble(
        name,
        walked.found,
        walked.unmapped,
        parameters=model.count,
        style=style,
        notes=tuple(dict.fromkeys(walked.notes)),
    )


def _with_gradients(name: str, model: Model) -> Model:
    """The model's outputs and the gradients of its parameters, from one more input: those of the outputs."""
    leaves, tree = jax.tree.flatten(model.parameters)
    differs = floating(leaves)
    if not any(differs):
        raise DescriptionError(
            f"training of {name}: no parameters are known that have gradients",
            fix="say which shapes are parameters (parameters=0), or give jax.grad of the function",
        )

    def outputs_of(parameters: Any, inputs: Any) -> tuple[list[Any], Any]:
        outputs, state = model.call(parameters, inputs)
        leaves = jax.tree.leaves(outputs)
        return [out for out, differ in zip(leaves, floating(leaves), strict=True) if differ], state

    def call(parameters: Any, inputs: Any) -> tuple[Any, Any]:
        inputs, gradients = inputs
        leaves = jax.tree.leaves(parameters)

        def of_some(some: list[Any]) -> tuple[list[Any], Any]:
            new = iter(some)
            filled = [next(new) if differ else leaf for leaf, differ in zip(leaves, differs, strict=True)]
            return outputs_of(jax.tree.unflatten(tree, filled), inputs)

        some = [leaf for leaf, differ in zip(leaves, differs, strict=True) if differ]
        outputs, pull, state = jax.vjp(of_some, some, has_aux=True)
        return (outputs, state), pull(gradients)[0]

    outputs, _ = jax.eval_shape(outputs_of, model.parameters, model.inputs)
    return Model(call, model.parameters, (model.inputs, outputs), model.count)


def _traced(name: str, shapes: str, step: Callable[[], Any]) -> Any:
    """What ``step`` gives; whatever the user's function raises becomes one line."""
    try:
        return step()
    except DescriptionError:
        raise
    except Exception as error:
        message = " ".join(str(error).split("\n\n")[0].split()) or type(error).__name__
        raise DescriptionError(
            f"{name} cannot be traced on ({shapes}): {type(error).__name__}: {message[:300]}",
            fix=_fix(error),
        ) from error


def _fix(error: Exception) -> str:
    if isinstance(error, jax.errors.ConcretizationTypeError | jax.errors.TracerArrayConversionError):
        return 'give what Python decides on as static={"name": value}, or bind it with functools.partial'
    return "give one shape for each argument that the function takes, in its order"


def _paths(tree: Any) -> list[str]:
    """Paths of the leaves, such as ``layer/kernel``."""
    return [
        jax.tree_util.keystr(path, simple=True, separator="/") or "parameters"
        for path, _ in jax.tree_util.tree_leaves_with_path(tree)
    ]


def _name(fn: Any) -> str:
    while isinstance(fn, functools.partial):
        fn = fn.func
    names = (getattr(fn, "name", None), getattr(fn, "__name__", None), type(fn).__name__)
    return next(name for name in names if isinstance(name, str) and name)
