"""ONNX models, from files or in memory, as workloads."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from jaxmaestro.description import DescriptionError
from jaxmaestro.description.fields import whole
from jaxmaestro.frontends.assemble import assemble
from jaxmaestro.frontends.describe import Padding, Products, Style, one_of
from jaxmaestro.frontends.extras import needed, one_line
from jaxmaestro.frontends.jax_shapes import abstract
from jaxmaestro.frontends.jax_walk import Branches, Loops
from jaxmaestro.frontends.workload import Workload


def from_onnx(
    model: Any,
    *shapes: Any,
    sizes: Mapping[str, int] | None = None,
    padding: Padding = "same-as-maestro",
    products: Products = "auto",
    branches: Branches = "largest",
    while_trips: int | None = None,
    name: str = "",
) -> Workload:
    """The convolutions and matrix products of an ONNX model as layers, and a list of all else.

    Weights are not looked at, so files with external data may be without it. What is computed of
    constants alone is left out.

    Args:
        model: the path of a file, its bytes, or an ``onnx.ModelProto``.
        shapes: of the model's inputs in their order; those that are left out are as the model says.
            None is the same for one of them.
        sizes: of named dimensions, such as ``{"batch": 1}``.
        padding: Y and X of convolutions, see :func:`jaxmaestro.frontends.jax_tracing.from_jax`.
        products: how matrix products are described, see there.
        branches: of ``If``: ``"largest"`` or ``"all"``.
        while_trips: trips of every ``Loop`` that does not say them; None counts one and marks its layers.
        name: of the workload; the default is the graph's, or the file's.

    Raises:
        DescriptionError: if onnx is missing, if there is no such file or it is no model, for bad
            shapes or options, and if sizes of inputs are open.
    """
    needed("onnx", "onnx")
    from jaxmaestro.frontends.onnx_walk import Setting, walk

    style = Style(padding, products)
    one_of(branches, ("largest", "all"), "branches")
    if while_trips is not None:
        while_trips = whole(while_trips, "while_trips", least=0)
    source = os.fspath(model) if isinstance(model, str | os.PathLike) else ""
    proto = _slim(_loaded(model, source))
    graph = proto.graph
    if not graph.node:
        raise DescriptionError("the model has no nodes", source=source, fix="give a model with a graph")
    name = name or os.path.splitext(os.path.basename(source))[0] or graph.name or "onnx"
    inputs = _inputs(graph, shapes, dict(sizes or {}), source)
    opsets = {each.domain: each.version for each in proto.opset_import}
    opsets = {"": opsets.get("", opsets.get("ai.onnx", 1)), **opsets}
    walked = walk(graph, inputs, Setting(opsets, _declared(graph), Loops(branches, while_trips)))
    return assemble(
        name,
        walked.found,
        walked.unmapped,
        parameters=_parameters(graph),
        style=style,
        notes=tuple(dict.fromkeys(walked.notes)),
    )


def _loaded(model: Any, source: str) -> Any:
    import onnx

    if isinstance(model, onnx.ModelProto):
        return model
    fix = "give the path of an .onnx file, its bytes, or an onnx.ModelProto"
    try:
        if isinstance(model, bytes | bytearray):
            proto = onnx.load_model_from_string(bytes(model))
        elif source:
            proto = onnx.load(source, load_external_data=False)
        else:
            raise DescriptionError(f"{type(model).__name__} is no ONNX model", fix=fix)
    except OSError as error:
        raise DescriptionError(
            f"cannot be read: {error.strerror or error}", source=source, fix=fix
        ) from error
    except DescriptionError:
        raise
    except Exception as error:  # protobuf has several errors for what is no message
        raise DescriptionError(f"no ONNX model: {one_line(error)}", source=source, fix=fix) from error
    if not proto.opset_import and not proto.graph.node:
        raise DescriptionError("no ONNX model: it is empty", source=source, fix=fix)
    return proto


def _slim(model: Any) -> Any:
    """A copy without large weights, and with the model's own functions put in place."""
    import onnx
    from onnx import inliner

    from jaxmaestro.frontends.onnx_values import SMALL

    slim = onnx.ModelProto(ir_version=model.ir_version)
    slim.opset_import.extend(model.opset_import)
    slim.functions.extend(model.functions)
    graph, own = slim.graph, model.graph
    graph.name = own.name
    for field in ("node", "input", "output", "value_info", "sparse_initializer"):
        getattr(graph, field).extend(getattr(own, field))
    for proto in own.initializer:
        elements = 1
        for size in proto.dims:
            elements *= size
        if elements <= SMALL:
            graph.initializer.append(proto)
        else:
            graph.initializer.add(name=proto.name, data_type=proto.data_type, dims=proto.dims)
    return inliner.inline_local_functions(slim) if slim.functions else slim


def _inputs(graph: Any, shapes: tuple[Any, ...], sizes: dict[str, int], source: str) -> dict[str, Any]:
    """The graph's inputs by name, with all sizes known."""
    from jaxmaestro.frontends.onnx_values import Value, tensor

    weights = {proto.name for proto in graph.initializer}
    declared = [value for value in graph.input if value.name not in weights]
    for size in sizes.values():
        whole(size, "a size in sizes", least=1)
    if len(shapes) > len(declared):
        names = ", ".join(value.name for value in declared)
        raise DescriptionError(
            f"{len(shapes)} shapes for {len(declared)} inputs", source=source, fix=f"the inputs are {names}"
        )
    found = {}
    for index, value in enumerate(declared):
        if value.type.WhichOneof("value") != "tensor_type":
            found[value.name] = Value(value.type)
            continue
        kind = value.type.tensor_type
        dims = [
            dim.dim_value if dim.HasField("dim_value") else sizes.get(dim.dim_param, dim.dim_param or "?")
            for dim in kind.shape.dim
        ]
        ranked = kind.HasField("shape")
        given = shapes[index] if index < len(shapes) else None
        shown = f"[{', '.join(map(str, dims))}]" if ranked else "of any shape"
        if given is not None:
            lengths = abstract(given, f"shape of input {value.name}")
            if not hasattr(lengths, "shape") or (ranked and len(lengths.shape) != len(dims)):
                raise DescriptionError(
                    f"input {value.name} is {shown}, the shape given for it is {given!r}",
                    source=source,
                    fix=f"give {len(dims)} sizes" if ranked else "give its sizes",
                )
            dims = list(lengths.shape)
        elif not ranked or not all(isinstance(size, int) for size in dims):
            open_names = [size for size in dims if isinstance(size, str) and size != "?"]
            listed = ", ".join(f"{each!r}: ..." for each in open_names)
            by_name = f", or sizes={{{listed}}}" if listed else ""
            raise DescriptionError(
                f"input {value.name} is {shown}: its sizes are open",
                source=source,
                fix=f"give a shape for each input in their order{by_name}",
            )
        found[value.name] = tensor([int(size) for size in dims], kind.elem_type)
    return found


def _declared(graph: Any) -> dict[str, Any]:
    """What the file itself says of values: only whole shapes are of use."""
    from jaxmaestro.frontends.onnx_values import Value

    known = {value.name: Value(value.type) for value in (*graph.value_info, *graph.output)}
    return {name: value for name, value in known.items() if value.shape is not None}


def _parameters(graph: Any) -> int:
    """Elements of all initialisers that are numbers to compute with: no shapes, no single scales."""
    import onnx

    whole_numbers = (onnx.TensorProto.INT64, onnx.TensorProto.BOOL, onnx.TensorProto.STRING)
    total = 0
    for proto in graph.initializer:
        elements = 1
        for size in proto.dims:
            elements *= size
        total += elements if proto.dims and proto.data_type not in whole_numbers else 0
    return total
