"""One node of an ONNX graph as convolutions and products.

The meaning of inputs and attributes is that of the operators of ai.onnx, and of those of com.microsoft
that ONNX Runtime's tools put into models.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxmaestro.description import DescriptionError
from jaxmaestro.frontends.jax_walk import Loops, walk
from jaxmaestro.frontends.operators import Axis, Convolution, Operator, Product

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Read:
    """An operator in a node: its filter's index in the inputs (None: data), and how often it runs.

    ``suffix`` tells the operators of one node apart.
    """

    operator: Operator
    filter: int | None = None
    count: int = 1
    suffix: str = ""


FILTERS = {
    "Conv": (0, 1),
    "FusedConv": (0, 1),
    "NhwcFusedConv": (0, 1),
    "DeformConv": (0, 1),
    "ConvInteger": (0, 1),
    "QLinearConv": (0, 3),
    "ConvTranspose": (0, 1),
    "Gemm": (0, 1),
    "FusedGemm": (0, 1),
    "QGemm": (0, 3),
    "MatMul": (0, 1),
    "FusedMatMul": (0, 1),
    "MatMulInteger": (0, 1),
    "MatMulIntegerToFloat": (0, 1),
    "DynamicQuantizeMatMul": (0, 1),
    "QLinearMatMul": (0, 3),
    "MatMulNBits": (0, 1),
}
"""Operators of one input and one filter, with the indices of these in the node's inputs."""

_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
_ATTENTION = frozenset("Attention QAttention MultiHeadAttention GroupQueryAttention".split())
LAYERS = frozenset({*FILTERS, *_GATES, *_ATTENTION, "Einsum"})
"""All operators that have layers in them."""


def operators_of(
    kind: str,
    domain: str,
    shapes: Sequence[Shape | None],
    attributes: Mapping[str, Any],
    constant: Sequence[bool],
) -> tuple[Read, ...]:
    """The layers of a node whose operator is one of :data:`LAYERS`.

    Args:
        kind: its operator.
        domain: "" for ai.onnx.
        shapes: of its inputs, None for those that are left out.
        attributes: by name.
        constant: for each input whether it is made of initialisers alone.

    Raises:
        DescriptionError: if an input has not as many channels or columns as its filter takes.
        TypeError, IndexError, KeyError, ValueError: if a shape that is needed is not there or does not fit.
    """
    if kind in FILTERS:
        x, w = FILTERS[kind]
        first, second = _needed(shapes, x), _needed(shapes, w)
        if kind == "ConvTranspose":
            return (Read(_transposed(first, second, attributes), w),)
        if "Conv" in kind:
            if kind == "NhwcFusedConv":
                first = (first[0], first[-1], *first[1:-1])
            return (Read(_convolution(first, second, attributes), w),)
        if "Gemm" in kind:
            first = first[::-1] if attributes.get("transA") else first
            second = second[::-1] if attributes.get("transB") else second
        if kind == "FusedMatMul":
            first = _swapped(first) if attributes.get("transA") else first
            second = _swapped(second) if attributes.get("transB") else second
        if kind == "MatMulNBits":  # the filter is packed
            second = (attributes["K"], attributes["N"])
        return (_product(first, second, x, w, constant[x] and not constant[w]),)
    if kind in _GATES:
        return _recurrent(kind, _needed(shapes, 0), _needed(shapes, 1), attributes)
    if kind == "Einsum":
        sizes = [_needed(shapes, index) for index in range(len(shapes))]
        return _einsum(attributes["equation"].decode(), sizes, constant)
    if domain:
        return _microsoft_attention(kind, shapes, attributes)
    return _attention(shapes, attributes)


def _needed(shapes: Sequence[Shape | None], index: int) -> Shape:
    shape = shapes[index]
    if shape is None:
        raise TypeError(f"the shape of input {index} is not known")
    return shape


def _must_fit(what: str, given: int, taken: int) -> None:
    if given != taken:
        fix = "give inputs of the sizes that the model was made for"
        raise DescriptionError(f"its input has {given} {what} and its filter takes {taken}", fix=fix)


def _swapped(shape: Shape) -> Shape:
    return (*shape[:-2], shape[-1], shape[-2])


def _convolution(x: Shape, w: Shape, attributes: Mapping[str, Any]) -> Convolution:
    n = len(w) - 2
    strides, dilations = (attributes.get(name) or [1] * n for name in ("strides", "dilations"))
    pads = attributes.get("pads") or [0] * (2 * n)
    same = attributes.get("auto_pad", b"NOTSET").decode()
    axes = list[Axis]()
    for axis, (size, taps) in enumerate(zip(x[2:], w[2:], strict=True)):
        before, after, stride, dilation = pads[axis], pads[axis + n], strides[axis], dilations[axis]
        if same.startswith("SAME"):
            total = max(0, (-(-size // stride) - 1) * stride + (taps - 1) * dilation + 1 - size)
            before, after = _halves(total, same)
        elif same == "VALID":
            before = after = 0
        axes.append(Axis(size, taps, stride, before, after, 1, dilation))
    groups = attributes.get("group", 1)
    _must_fit("channels", x[1], groups * w[1])
    return Convolution(x[0], groups, w[1], w[0] // groups, tuple(axes))


def _transposed(x: Shape, w: Shape, attributes: Mapping[str, Any]) -> Convolution:
    n = len(w) - 2
    strides, dilations = (attributes.get(name) or [1] * n for name in ("strides", "dilations"))
    pads, more = attributes.get("pads") or [0] * (2 * n), attributes.get("output_padding") or [0] * n
    same = attributes.get("auto_pad", b"NOTSET").decode()
    wanted = attributes.get("output_shape")
    axes = list[Axis]()
    for axis, (size, taps) in enumerate(zip(x[2:], w[2:], strict=True)):
        stride, dilation, extra = strides[axis], dilations[axis], more[axis]
        before, after = pads[axis], pads[axis + n]
        if wanted or same.startswith("SAME"):
            output = wanted[axis - n] if wanted else size * stride
            total = stride * (size - 1) + extra + (taps - 1) * dilation + 1 - output
            before, after = _halves(total, same)
        elif same == "VALID":
            before = after = 0
        around = dilation * (taps - 1)
        axes.append(Axis(size, taps, 1, around - before, around - after + extra, stride, dilation))
    groups = attributes.get("group", 1)
    _must_fit("channels", x[1], w[0])
    return Convolution(x[0], groups, w[0] // groups, w[1], tuple(axes))


def _halves(total: int, same: str) -> tuple[int, int]:
    """Padding before and after; an odd one is after with SAME_UPPER."""
    less, more = total // 2, total - total // 2
    return (less, more) if same == "SAME_UPPER" else (more, less)


def _product(a: Shape, b: Shape, first: int, second: int, swapped: bool) -> Read:
    """NumPy's ``matmul``. An axis of the batch that one side does not have is more rows or columns."""
    a, b = (1, *a) if len(a) == 1 else a, (*b, 1) if len(b) == 1 else b
    _must_fit("columns", a[-1], b[-2])
    rows, columns, batch = a[-2], b[-1], 1
    n = max(len(a), len(b)) - 2
    left = (1,) * (n + 2 - len(a)) + a[:-2]
    right = (1,) * (n + 2 - len(b)) + b[:-2]
    for one, other in zip(left, right, strict=True):
        if other == 1:
            rows *= one
        elif one == 1:
            columns *= other
        else:
            batch *= one
    if swapped:
        return Read(Product(columns, rows, a[-1], batch), first)
    return Read(Product(rows, columns, a[-1], batch), second)


def _recurrent(kind: str, x: Shape, w: Shape, attributes: Mapping[str, Any]) -> tuple[Read, ...]:
    """All steps' inputs at once, then the state step by step; each direction has its own filters."""
    steps, batch = (x[1], x[0]) if attributes.get("layout") else (x[0], x[1])
    directions, columns, inputs = w
    hidden = columns // _GATES[kind]
    # A GRU may reset the state before the product that makes the new one, which then is a second product.
    split = [2 * hidden, hidden] if kind == "GRU" and not attributes.get("linear_before_reset") else [columns]
    found = [Read(Product(steps * batch, columns, inputs), 1, 1, "input")]
    found += [Read(Product(batch, part, hidden), 2, steps, "state") for part in split]
    return tuple(found) * directions


def _attention(shapes: Sequence[Shape | None], attributes: Mapping[str, Any]) -> tuple[Read, ...]:
    q, k, v = (_needed(shapes, index) for index in range(3))
    past = shapes[4] if len(shapes) > 4 else None
    heads, of_keys = attributes.get("q_num_heads", 0), attributes.get("kv_num_heads", 0)
    if len(q) == 3:
        q = (q[0], heads, q[1], q[2] // heads)
        k, v = (k[0], of_keys, k[1], k[2] // of_keys), (v[0], of_keys, v[1], v[2] // of_keys)
    return _scores(q[0] * q[1], q[2], k[2] + (past[2] if past else 0), q[3], v[3])


def _scores(batch: int, queries: int, keys: int, width: int, of_values: int) -> tuple[Read, ...]:
    return (
        Read(Product(queries, keys, width, batch), None, 1, "scores"),
        Read(Product(queries, of_values, keys, batch), None, 1, "values"),
    )


def _microsoft_attention(
    kind: str, shapes: Sequence[Shape | None], attributes: Mapping[str, Any]
) -> tuple[Read, ...]:
    heads = attributes["num_heads"]

    def at(index: int) -> Shape | None:
        return shapes[index] if len(shapes) > index else None

    q = _needed(shapes, 0)
    batch, queries = q[:2]
    if kind in ("Attention", "QAttention"):
        (width, columns), past = _needed(shapes, 1), at(4 if kind == "Attention" else 8)
        sizes = attributes.get("qkv_hidden_sizes") or [columns // 3] * 3
        projection = Read(Product(batch * queries, columns, width), 1, 1, "projection")
        keys = queries + (past[3] if past else 0)
        return projection, *_scores(batch * heads, queries, keys, sizes[0] // heads, sizes[2] // heads)
    k, v, past = at(1), at(2), at(6 if kind == "MultiHeadAttention" else 3)
    if kind == "GroupQueryAttention":
        of_keys = attributes["kv_num_heads"]
        packed = heads if k else heads + 2 * of_keys
        width = q[2] // packed
        own = queries if k is None else k[1]
        return _scores(batch * heads, queries, own + (past[2] if past else 0), width, width)
    if len(q) == 5:  # query, key and value side by side
        return _scores(batch * heads, queries, queries, q[4], q[4])
    width = q[2] // heads
    if k is None or len(k) == 5:
        keys, of_values = (k[1] if k else queries), width
    else:
        keys = k[2] if len(k) == 4 else k[1]
        of_values = width if v is None else v[3] if len(v) == 4 else v[2] // heads
    return _scores(batch * heads, queries, keys + (past[2] if past else 0), width, of_values)


def _einsum(equation: str, shapes: Sequence[Shape], constant: Sequence[bool]) -> tuple[Read, ...]:
    """The products that JAX makes of it, pair after pair in the order that is cheapest."""
    structs = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    jaxpr = jax.make_jaxpr(lambda *operands: jnp.einsum(equation, *operands))(*structs)
    origins = ["filter" if known else None for known in constant]
    filters = [index for index, known in enumerate(constant) if known]
    walked = walk(jaxpr.jaxpr, origins, [""] * len(jaxpr.out_avals), Loops())
    return tuple(Read(each.operator, filters[0] if filters else None, each.count) for each in walked.found)
