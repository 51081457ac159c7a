"""How much work an ONNX node is that is no layer, and shapes of operators that ONNX itself does not know."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxmaestro.frontends.onnx_values import Value, tensor
from jaxmaestro.frontends.steps import steps
from jaxmaestro.frontends.workload import Kind, Unmapped

_MOVEMENT = frozenset(
    """BitCast Cast CastLike CenterCropPad Compress Concat ConcatFromSequence Constant ConstantOfShape
    DepthToSpace Dropout Expand EyeLike Flatten Gather GatherElements GatherND Identity NonZero OneHot
    Optional OptionalGetElement OptionalHasElement Pad QLinearConcat RandomNormal RandomNormalLike
    RandomUniform RandomUniformLike Range Reshape ReverseSequence Scatter ScatterElements ScatterND SequenceAt
    SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength Shape Size Slice SpaceToDepth
    Split SplitToSequence Squeeze TensorScatter Tile Transpose Trilu Unsqueeze Upsample Where
    GatherBlockQuantized QAttentionCache""".split()
)
_REDUCTIONS = frozenset(
    """ArgMax ArgMin CumSum GlobalAveragePool GlobalLpPool GlobalMaxPool QLinearGlobalAveragePool
    NegativeLogLikelihoodLoss MaxRoiPool RoiAlign""".split()
)
_POOLS = frozenset("AveragePool MaxPool LpPool QLinearAveragePool".split())
_SORTS = frozenset("Sort TopK Unique NonMaxSuppression".split())
_CELLS = {"LSTM": 13, "GRU": 12, "RNN": 2}
"""Operations an element of the state and step beside the products: gates, activations, biases."""

_LIKE_FIRST = frozenset(
    """BiasGelu BiasSoftmax FastGelu Gelu GroupNorm GroupNormalization Imputer MeanVarianceNormalization
    Normalizer QLinearLeakyRelu QLinearSigmoid QLinearSoftmax QuickGelu RotaryEmbedding Scaler
    SimplifiedLayerNormalization SkipGroupNorm SkipLayerNormalization
    SkipSimplifiedLayerNormalization""".split()
)


def unmapped(
    kind: str,
    inputs: Sequence[Value | None],
    outputs: Sequence[Value],
    attributes: Mapping[str, Any],
    runs: int,
) -> Unmapped:
    """The entry of a node that is no layer and runs ``runs`` times."""
    written = sum(value.size for value in outputs)
    what, operations = _work(kind, [v for v in inputs if v is not None], outputs, attributes)
    return Unmapped(kind, what, runs, operations * runs, written * runs)


def beside(
    kind: str, inputs: Sequence[Value | None], outputs: Sequence[Value], scores: int, runs: int
) -> list[Unmapped]:
    """What a layer's node does beside its products: biases, gates of recurrent layers, a softmax.

    ``scores`` is the number of scores that attention has, 0 for other operators.
    """
    found, size = list[Unmapped](), outputs[0].size if outputs else 0
    bias = {"Conv": 2, "FusedConv": 2, "ConvTranspose": 2, "DeformConv": 3, "Gemm": 2, "FusedGemm": 2}.get(
        kind, 8 if kind == "QLinearConv" else None
    )
    if bias is not None and len(inputs) > bias and inputs[bias] is not None:
        found.append(Unmapped("bias", "elementwise", runs, size * runs, size * runs))
    if kind in _CELLS:
        found.append(Unmapped(f"{kind} cell", "elementwise", runs, _CELLS[kind] * size * runs, size * runs))
    if scores:
        # Scaled, and a softmax.
        operations = (steps("softmax") + 1) * scores * runs
        found.append(Unmapped(f"{kind} softmax", "elementwise", runs, operations, scores * runs))
    return found


def _work(
    kind: str, inputs: Sequence[Value], outputs: Sequence[Value], attributes: Mapping[str, Any]
) -> tuple[Kind, int]:
    written, read = (values[0].size if values else 0 for values in (outputs, inputs))
    if kind in _MOVEMENT:
        return "movement", 0
    if kind == "Resize":
        mode = attributes.get("mode", b"nearest").decode()
        return ("movement", 0) if mode == "nearest" else ("elementwise", written * steps(f"resize{mode}"))
    if kind in _POOLS:
        return "reduction", written * math.prod(attributes.get("kernel_shape", (1,)))
    if kind in _REDUCTIONS or kind.startswith("Reduce"):
        return "reduction", read
    if kind in _SORTS:
        shape = inputs[0].shape if inputs and inputs[0].shape else (1,)
        axis = attributes.get("axis", -1)
        return "other", 2 * read * max(1, math.ceil(math.log2(max(2, shape[axis]))))
    if kind == "DFT":
        return "other", math.ceil(5 * read * math.log2(max(2, read)))
    shapes = [value.shape for value in inputs if value.shape is not None]
    try:
        broadcast = np.broadcast_shapes(*shapes)
    except ValueError:
        broadcast = None
    known = steps(kind) != 1 or (broadcast is not None and all(v.shape == broadcast for v in outputs[:1]))
    return ("elementwise" if known else "other"), written * steps(kind)


def shapes_of(kind: str, inputs: Sequence[Value | None], attributes: Mapping[str, Any]) -> Value:
    """The first output of an operator of ONNX Runtime, or of ONNX where it has no rule; else unknown."""
    sizes = [value.shape if value is not None else None for value in inputs]
    first = inputs[0] if inputs else None
    if first is None or first.proto is None:
        return Value()
    dtype = first.proto.tensor_type.elem_type
    found: tuple[int, ...] | None = None
    match kind:
        case _ if kind in _LIKE_FIRST:
            found = sizes[0]
        case "QLinearAdd" | "QLinearMul" if sizes[0] is not None and sizes[3] is not None:
            found = np.broadcast_shapes(sizes[0], sizes[3])
        case "QLinearGlobalAveragePool" if sizes[0] is not None:
            last = bool(attributes.get("channels_last"))
            spatial = (1,) * (len(sizes[0]) - 2)
            found = (sizes[0][0], *spatial, sizes[0][-1]) if last else (*sizes[0][:2], *spatial)
        case "Attention" | "QAttention" if sizes[0] is not None and sizes[1] is not None:
            widths = attributes.get("qkv_hidden_sizes") or [sizes[1][1] // 3] * 3
            found = (*sizes[0][:2], widths[2])
        case "MultiHeadAttention" | "GroupQueryAttention" if sizes[0] is not None:
            found = _attended(kind, sizes, attributes)
        case "MatMulNBits" if sizes[0] is not None:
            found = (*sizes[0][:-1], attributes["N"])
        case "FusedMatMul" | "DynamicQuantizeMatMul" | "MatMulIntegerToFloat":
            if sizes[0] is not None and sizes[1] is not None:
                found = _multiplied(sizes[0], sizes[1], attributes)
        case "EmbedLayerNormalization" if sizes[0] is not None and sizes[2] is not None:
            found, dtype = (*sizes[0], sizes[2][1]), inputs[2].proto.tensor_type.elem_type  # type: ignore[union-attr]
        case _:
            found = None
    return tensor(found, dtype) if found is not None else Value()


def _attended(
    kind: str, sizes: Sequence[tuple[int, ...] | None], attributes: Mapping[str, Any]
) -> tuple[int, ...] | None:
    query, values = sizes[0], sizes[2] if len(sizes) > 2 else None
    if query is None:
        return None
    if len(query) == 5:
        return (*query[:2], query[2] * query[4])
    if kind == "GroupQueryAttention":
        heads = attributes["num_heads"]
        packed = heads if len(sizes) > 1 and sizes[1] else heads + 2 * attributes["kv_num_heads"]
        return (*query[:2], query[2] * heads // packed)
    if values is None:
        return query
    return (*query[:2], values[2] if len(values) == 3 else values[1] * values[3])


def _multiplied(a: tuple[int, ...], b: tuple[int, ...], attributes: Mapping[str, Any]) -> tuple[int, ...]:
    rows = a[-1] if attributes.get("transA") else a[-2]
    columns = b[-2] if attributes.get("transB") else b[-1]
    return (*np.broadcast_shapes(a[:-2], b[:-2]), rows, columns)
