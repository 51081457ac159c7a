"""Keras 3 models as workloads: their JAX backend and the JAX tracer."""

from __future__ import annotations

from typing import Any

import jax

from jaxmaestro.description import DescriptionError
from jaxmaestro.frontends.describe import Padding, Products, Style, one_of
from jaxmaestro.frontends.extras import needed, one_line
from jaxmaestro.frontends.jax_shapes import abstract, shown
from jaxmaestro.frontends.jax_tracing import from_jax
from jaxmaestro.frontends.jax_walk import Branches
from jaxmaestro.frontends.workload import Workload


def from_keras(
    model: Any,
    *shapes: Any,
    training: bool = False,
    padding: Padding = "same-as-maestro",
    products: Products = "auto",
    branches: Branches = "largest",
    while_trips: int | None = None,
    name: str = "",
) -> Workload:
    """The convolutions and matrix products of a Keras 3 model or layer, and a list of all else.

    It is traced by :func:`jaxmaestro.frontends.jax_tracing.from_jax`, so Keras must run on its JAX backend
    (``KERAS_BACKEND=jax``, set before Keras is imported). A model that is not built yet is built, which
    makes its weights; they are not looked at.

    Args:
        model: a ``keras.Model`` or ``keras.layers.Layer``.
        shapes: one for each positional argument, or for each input of a model of several inputs (see
            ``from_jax`` for what is a shape). None at all: those that the model was made for, batch 1.
        training: the forward and the backward pass in training mode.
        padding: Y and X of convolutions, see ``from_jax``; so are ``products``, ``branches`` and
            ``while_trips``.
        products: how matrix products are described.
        branches: of ``cond``.
        while_trips: of every loop whose trips are not known.
        name: of the workload; the default is the model's.

    Raises:
        DescriptionError: if Keras is missing or has another backend, for what is no Keras layer, for
            bad shapes or options, or if the model cannot be traced on the shapes.
    """
    keras = needed("keras", "keras")
    Style(padding, products)
    one_of(branches, ("largest", "all"), "branches")
    if keras.backend.backend() != "jax":
        raise DescriptionError(
            f"Keras runs on its {keras.backend.backend()} backend",
            fix="set the environment variable KERAS_BACKEND=jax before Keras is imported",
        )
    if not isinstance(model, keras.layers.Layer):
        raise DescriptionError(
            f"{type(model).__name__} is no Keras model", fix="give a keras.Model or a keras.layers.Layer"
        )
    name = name or model.name
    inputs = [abstract(shape, f"shape {index} of {name}") for index, shape in enumerate(shapes)]
    inputs = inputs or _own_inputs(model, name)
    # A model of several inputs takes them as one argument.
    symbols = getattr(model, "inputs", None) or []
    several = isinstance(model, keras.Model) and len(symbols) == len(inputs) > 1
    arguments = [inputs] if several else inputs
    if not model.built:
        _build(keras, model, arguments, name)
    variables = model.trainable_variables
    # Two variables may have one path; the order of a dictionary is not kept by JAX.
    paths = [_path(variable) for variable in variables]
    paths = [f"{path}_{at}" if path in paths[:at] else path for at, path in enumerate(paths)]
    trained = {path: _shape(variable) for path, variable in zip(paths, variables, strict=True)}
    state = [_shape(variable) for variable in model.non_trainable_variables]
    options = {"training": training} if getattr(model, "_call_has_training_arg", False) else {}

    def call(parameters: Any, state: Any, *arguments: Any) -> Any:
        outputs, _ = model.stateless_call([parameters[path] for path in paths], state, *arguments, **options)
        return outputs

    call.__name__ = name
    return from_jax(
        call,
        trained,
        state,
        *arguments,
        parameters=0,
        training=training,
        padding=padding,
        products=products,
        branches=branches,
        while_trips=while_trips,
        name=name,
    )


def _own_inputs(model: Any, name: str) -> list[Any]:
    """Shapes that the model was made for, with a batch of one."""
    found = []
    for symbol in getattr(model, "inputs", None) or []:
        batch, *rest = (*symbol.shape,) or (1,)
        if None in rest:
            raise DescriptionError(
                f"input {symbol.name} of {name} has the shape {tuple(symbol.shape)}, with open sizes",
                fix="give a shape for each input",
            )
        found.append(jax.ShapeDtypeStruct((batch or 1, *rest), symbol.dtype))
    if not found:
        raise DescriptionError(f"{name} does not say the shapes of its inputs", fix="give one for each input")
    return found


def _build(keras: Any, model: Any, arguments: list[Any], name: str) -> None:
    def symbolic(struct: Any) -> Any:
        return keras.KerasTensor(struct.shape, dtype=str(struct.dtype))

    try:
        model(*jax.tree.map(symbolic, arguments))
    except Exception as error:
        shapes = ", ".join(map(shown, arguments))
        raise DescriptionError(
            f"{name} cannot be built on ({shapes}): {one_line(error)}",
            fix="give one shape for each argument that the model takes, in its order",
        ) from error


def _shape(variable: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(tuple(variable.shape), variable.dtype)


def _path(variable: Any) -> str:
    """Path of a variable; the filter of a depthwise layer is its kernel as well."""
    return str(variable.path).replace("/depthwise_kernel", "/kernel")
