"""Types and shapes of all values of an ONNX graph, for inputs of known sizes.

Every node is inferred by itself, with the types of its inputs and the contents of small constants. Chains
of Shape, Gather, Concat and so on that compute shapes are evaluated on the way, which inference on the
whole model does only in part.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

SMALL = 4096
"""Constants of up to so many elements are kept with their contents."""

_RANDOM = frozenset(
    "Bernoulli Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike".split()
)


@dataclasses.dataclass(frozen=True)
class Value:
    """What is known of a value in a graph.

    ``origin`` is the initialiser that it is made of, "" for other constants, None for data.
    """

    proto: Any = None
    data: np.ndarray | None = None
    origin: str | None = None

    @functools.cached_property
    def shape(self) -> tuple[int, ...] | None:
        """The sizes, None if one of them is not known, or if this is no tensor."""
        if self.proto is None or self.proto.WhichOneof("value") != "tensor_type":
            return None
        tensor = self.proto.tensor_type
        if not tensor.HasField("shape") or not all(dim.HasField("dim_value") for dim in tensor.shape.dim):
            return None
        return tuple(dim.dim_value for dim in tensor.shape.dim)

    @property
    def size(self) -> int:
        """Number of elements, 0 if it is not known."""
        return math.prod(self.shape) if self.shape is not None else 0


def tensor(shape: Sequence[int] | None, dtype: int) -> Value:
    """A value of a shape (None: unknown) and an ONNX element type."""
    return Value(helper.make_tensor_type_proto(dtype, shape))


def constant(proto: Any) -> Value:
    """The value of an initialiser; its contents only if they are few and in the model itself."""
    kind = helper.make_tensor_type_proto(proto.data_type, list(proto.dims))
    held = proto.data_location != onnx.TensorProto.EXTERNAL and math.prod(proto.dims) <= SMALL
    data = None
    if held:
        try:
            data = numpy_helper.to_array(proto)
        except (ValueError, TypeError):  # taken out of the model, or of a type that NumPy does not have
            data = None
    return Value(kind, data, proto.name)


def infer(
    node: Any, values: Mapping[str, Value], opsets: Mapping[str, int], declared: Mapping[str, Value]
) -> list[Value]:
    """The outputs of a node, of a domain that ONNX defines.

    Args:
        node: ``NodeProto``.
        values: what is known of all values before it.
        opsets: versions of the operator sets.
        declared: what the file says of values; taken where nothing can be inferred.

    Raises:
        onnx.shape_inference.InferenceError: if the node does not fit its inputs.
    """
    schema = onnx.defs.get_schema(node.op_type, opsets.get(node.domain, 1), node.domain)
    inputs = [values.get(name, Value()) if name else None for name in node.input]
    known = all(value is None or value.proto is not None for value in inputs)
    data = {
        name: numpy_helper.from_array(value.data, name)
        for name, value in zip(node.input, inputs, strict=True)
        if value is not None and value.data is not None
    }
    inferred: Mapping[str, Any] = {}
    if known:
        types = {
            name: value.proto
            for name, value in zip(node.input, inputs, strict=True)
            if value is not None and name
        }
        imports = [helper.make_opsetid(domain, version) for domain, version in opsets.items()]
        inferred = onnx.shape_inference.infer_node_outputs(schema, node, types, data, opset_imports=imports)
    outputs = [Value(inferred.get(name)) for name in node.output]
    outputs = [
        value if value.shape is not None else declared.get(name, value)
        for name, value in zip(node.output, outputs, strict=True)
    ]
    if all(value is None or value.data is not None for value in inputs) or node.op_type in ("Shape", "Size"):
        outputs = _evaluated(node, inputs, outputs, opsets)
    return outputs


def _evaluated(
    node: Any, inputs: Sequence[Value | None], outputs: Sequence[Value], opsets: Mapping[str, int]
) -> list[Value]:
    """The outputs with their contents, if they can be computed and are few."""
    given = [value for value in inputs if value is not None]
    if node.op_type in ("Shape", "Size"):
        if given[0].shape is None:
            return list(outputs)
        # Only the shape is looked at: an array without elements of its own stands for the input.
        arrays = [np.broadcast_to(np.float32(0), given[0].shape)]
    else:
        arrays = [value.data for value in given]  # type: ignore[misc]
    graphs = any(a.type == onnx.AttributeProto.GRAPH for a in node.attribute)
    if graphs or node.op_type in _RANDOM or any(value.size > SMALL for value in outputs):
        return list(outputs)
    names = [name for name in node.input if name]
    ends = [helper.make_value_info(name, onnx.TypeProto()) for name in (*dict.fromkeys(names), *node.output)]
    count = len(dict.fromkeys(names))
    graph = helper.make_graph([node], "node", ends[:count], [end for end in ends[count:] if end.name])
    imports = [helper.make_opsetid(domain, version) for domain, version in opsets.items()]
    try:
        results = ReferenceEvaluator(helper.make_model(graph, opset_imports=imports)).run(
            None, dict(zip(names, arrays, strict=True))
        )
    except Exception:  # not every operator and type has a reference; the shapes are known all the same
        return list(outputs)
    computed = dict(zip([name for name in node.output if name], results, strict=True))
    return [_with_data(value, computed.get(name)) for name, value in zip(node.output, outputs, strict=True)]


def _with_data(value: Value, data: Any) -> Value:
    if not isinstance(data, np.ndarray | np.generic) or np.size(data) > SMALL:
        return value
    array = np.asarray(data)
    proto = value.proto
    if value.shape is None and proto is not None and proto.WhichOneof("value") == "tensor_type":
        proto = helper.make_tensor_type_proto(proto.tensor_type.elem_type, array.shape)
    return Value(proto, array, "")
