"""Single ONNX operators, against ONNX's own inference of shapes and by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from jaxmaestro.frontends.operators import Axis

onnx = pytest.importorskip("onnx", reason="the extra [onnx] is not installed")

from onnx import TensorProto, helper  # noqa: E402

from jaxmaestro.frontends.onnx_models import from_onnx  # noqa: E402
from jaxmaestro.frontends.onnx_operators import operators_of  # noqa: E402
from jaxmaestro.frontends.workload import Workload  # noqa: E402
from tests.frontends.onnx_networks import Builder  # noqa: E402

MICROSOFT = [("com.microsoft", 1)]


def _products(workload: Workload) -> list[tuple[int, ...]]:
    """Rows, columns, inner size and runs of all products."""
    found = []
    for entry in workload.entries:
        layer = entry.layer
        names = "MNK" if layer.type.value == "GEMM" else "YKC"
        found.append((*(layer[name] for name in names), entry.count))
    return found


def _outputs(kind: str, size: int, taps: int, attributes: dict[str, Any]) -> int:
    """Outputs of a one-dimensional convolution that ONNX's shape inference says."""
    model = Builder(x=(1, 2, size))
    end = model.node(kind, "x", model.weight(2, 2, taps), **attributes)
    inferred = onnx.shape_inference.infer_shapes(model.model(end), strict_mode=True)
    return inferred.graph.output[0].type.tensor_type.shape.dim[2].dim_value


@given(
    st.sampled_from(["Conv", "ConvTranspose"]),
    st.integers(1, 12),
    st.integers(1, 6),
    st.integers(1, 4),
    st.integers(1, 3),
    st.sampled_from(["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]),
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
    st.integers(0, 2),
)
def test_convolutions_have_as_many_outputs_as_onnx_says(
    kind: str,
    size: int,
    taps: int,
    stride: int,
    dilation: int,
    auto: str,
    pads: tuple[int, int],
    more: int,
) -> None:
    attributes: dict[str, Any] = {"strides": [stride], "dilations": [dilation], "auto_pad": auto}
    span = dilation * (taps - 1) + 1
    if auto == "NOTSET":
        attributes["pads"] = list(pads)
    if kind == "ConvTranspose":
        assume(auto in ("NOTSET", "VALID") or span >= stride)
        assume(auto == "NOTSET" or not more)
        added = min(more, stride - 1)
        attributes["output_padding"] = [added]
        assume((size - 1) * stride + span + added - sum(attributes.get("pads", (0, 0))) > 0)
    else:
        assume(auto.startswith("SAME") or size + sum(attributes.get("pads", (0, 0))) >= span)
    given_as = {k: v.encode() if isinstance(v, str) else v for k, v in attributes.items()}
    (read,) = operators_of(kind, "", [(1, 2, size), (2, 2, taps)], given_as, [False, True])
    (axis,) = read.operator.axes  # type: ignore[union-attr]
    assert axis.output == _outputs(kind, size, taps, attributes)


def test_padding_that_is_odd_is_where_the_name_says() -> None:
    upper, lower = (
        operators_of("Conv", "", [(1, 1, 4), (1, 1, 2)], {"auto_pad": name}, [False, True])[0].operator.axes  # type: ignore[union-attr]
        for name in (b"SAME_UPPER", b"SAME_LOWER")
    )
    assert upper == (Axis(4, 2, 1, 0, 1),) and lower == (Axis(4, 2, 1, 1, 0),)


def test_a_transposed_convolution_with_the_size_of_its_output() -> None:
    model = Builder(x=(1, 6, 9, 9))
    end = model.node(
        "ConvTranspose", "x", model.weight(6, 4, 3, 3), strides=[2, 2], output_shape=[18, 18], group=2
    )
    (entry,) = from_onnx(model.model(end)).entries
    assert entry.layer.type.value == "NGCONV"
    assert (entry.layer["G"], entry.layer["C"], entry.layer["K"]) == (2, 3, 4)
    assert entry.macs == 9 * 9 * 9 * 6 * 4


@pytest.mark.parametrize(
    ("a", "b", "rows", "columns", "runs"),
    [
        ((5, 7), (7, 3), 5, 3, 1),
        ((2, 5, 7), (7, 3), 10, 3, 1),
        ((2, 4, 5, 7), (2, 4, 7, 3), 5, 3, 8),
        ((2, 1, 5, 7), (1, 4, 7, 3), 10, 12, 1),
        ((5, 7), (4, 7, 3), 5, 12, 1),
        ((7,), (7, 3), 1, 3, 1),
        ((5, 7), (7,), 5, 1, 1),
    ],
)
def test_products_of_any_rank(
    a: tuple[int, ...], b: tuple[int, ...], rows: int, columns: int, runs: int
) -> None:
    model = Builder(a=a, b=b)
    workload = from_onnx(model.model(model.node("MatMul", "a", "b")), products="gemm")
    assert _products(workload) == [(rows, columns, 7, runs)]


def test_the_filter_of_a_product_is_what_is_constant() -> None:
    model = Builder(x=(16, 100))
    turned = model.node("Transpose", model.weight(16, 4, name="fc.weight"), perm=[1, 0])
    workload = from_onnx(model.model(model.node("MatMul", turned, "x")))
    assert _products(workload) == [(100, 4, 16, 1)]
    assert workload.layers[0].name == "fc"
    # Work on constants is done before the model runs.
    assert not workload.unmapped


@pytest.mark.parametrize(("turn_a", "turn_b"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_gemm_with_transposed_operands(turn_a: int, turn_b: int) -> None:
    model = Builder(a=(7, 5) if turn_a else (5, 7))
    weight = model.weight(*((3, 7) if turn_b else (7, 3)))
    end = model.node("Gemm", "a", weight, model.weight(3), transA=turn_a, transB=turn_b)
    workload = from_onnx(model.model(end))
    assert _products(workload) == [(5, 3, 7, 1)]
    assert [(each.name, each.operations) for each in workload.unmapped] == [("bias", 15)]


def _quantized(kind: str) -> Workload:
    model = Builder(x=(2, 8, 10, 10) if "Conv" in kind else (2, 6, 8))
    for value in model.inputs:
        value.type.tensor_type.elem_type = TensorProto.UINT8
    wide = (16, 8, 3, 3) if "Conv" in kind else (8, 5)
    weight = model.weight(*wide, kind=TensorProto.INT8)
    scale = [model.weight(1) for _ in range(3)]
    zero = [model.weight(1, kind=TensorProto.UINT8), model.weight(1, kind=TensorProto.INT8)]
    if kind.startswith("QLinear"):
        names = ["x", scale[0], zero[0], weight, scale[1], zero[1], scale[2], zero[0]]
        return from_onnx(model.model(model.node(kind, *names)))
    return from_onnx(model.model(model.node(kind, "x", weight, zero[0], zero[1])))


@pytest.mark.parametrize("kind", ["QLinearConv", "ConvInteger", "QLinearMatMul", "MatMulInteger"])
def test_quantized_operators(kind: str) -> None:
    workload = _quantized(kind)
    (entry,) = workload.entries
    if "Conv" in kind:
        assert dict(entry.layer.dimensions) == {"N": 2, "K": 16, "C": 8, "R": 3, "S": 3, "Y": 10, "X": 10}
    else:
        assert _products(workload) == [(12, 5, 8, 1)]


@pytest.mark.parametrize(
    ("kind", "gates", "more", "states"),
    [
        ("LSTM", 4, {}, [(3, 64, 16)]),
        ("GRU", 3, {"linear_before_reset": 1}, [(3, 48, 16)]),
        ("GRU", 3, {}, [(3, 32, 16), (3, 16, 16)]),
        ("RNN", 1, {}, [(3, 16, 16)]),
    ],
)
@pytest.mark.parametrize("directions", [1, 2])
def test_recurrent_layers(
    kind: str, gates: int, more: dict[str, int], states: list[tuple[int, ...]], directions: int
) -> None:
    model = Builder(x=(7, 3, 8))
    weights = [model.weight(directions, gates * 16, width) for width in (8, 16)]
    way = "bidirectional" if directions == 2 else "forward"
    end = model.node(kind, "x", *weights, hidden_size=16, direction=way, name="rnn", **more)
    workload = from_onnx(model.model(end))
    each = [(21, gates * 16, 8, 1), *((*state, 7) for state in states)]
    assert _products(workload) == each * directions
    assert workload.macs == directions * 7 * 3 * gates * 16 * (8 + 16)
    assert workload.layers[0].name == "rnn.input" and workload.layers[1].name == "rnn.state"
    assert workload.unmapped[0].name == f"{kind} cell" and workload.operations > 0


def test_attention_of_onnx_with_fewer_heads_of_keys_and_a_past() -> None:
    model = Builder(
        q=(2, 5, 8 * 16), k=(2, 6, 2 * 16), v=(2, 6, 2 * 24), pk=(2, 2, 10, 16), pv=(2, 2, 10, 24)
    )
    node = helper.make_node("Attention", ["q", "k", "v", "", "pk", "pv"], ["y", "", ""], "attention")
    node.attribute.extend([helper.make_attribute("q_num_heads", 8), helper.make_attribute("kv_num_heads", 2)])
    model.nodes.append(node)
    workload = from_onnx(model.model("y", opset=23))
    assert _products(workload) == [(5, 16, 16, 16), (5, 24, 16, 16)]
    assert [layer.name for layer in workload.layers] == ["attention.scores", "attention.values"]
    assert workload.unmapped[0].name == "Attention softmax"


def test_attention_of_onnx_runtime_and_what_follows_it() -> None:
    model = Builder(x=(2, 5, 64))
    attended = model.node(
        "Attention", "x", model.weight(64, 192), model.weight(192), domain="com.microsoft", num_heads=4
    )
    normed = model.node(
        "SkipLayerNormalization", attended, "x", model.weight(64), model.weight(64), domain="com.microsoft"
    )
    end = model.node("FusedMatMul", normed, model.weight(9, 64), domain="com.microsoft", transB=1)
    workload = from_onnx(model.model(end, more=MICROSOFT))
    assert _products(workload) == [(10, 192, 64, 1), (5, 5, 16, 8), (5, 16, 5, 8), (10, 9, 64, 1)]


@pytest.mark.parametrize(
    ("equation", "shapes", "products"),
    [
        ("bij,bkj->bik", ((4, 5, 7), (4, 3, 7)), [(5, 3, 7, 4)]),
        ("...ij,jk", ((2, 4, 5, 7), (7, 3)), [(40, 3, 7, 1)]),
        ("bi,bi->b", ((4, 7), (4, 7)), [(1, 1, 7, 4)]),
    ],
)
def test_einsum(equation: str, shapes: Any, products: list[tuple[int, ...]]) -> None:
    model = Builder(**{f"x{index}": shape for index, shape in enumerate(shapes)})
    names = [f"x{index}" for index in range(len(shapes))]
    workload = from_onnx(model.model(model.node("Einsum", *names, equation=equation)), products="gemm")
    assert _products(workload) == products
    assert workload.macs == sum(math.prod(product) for product in products)


def test_einsum_of_three_takes_the_cheaper_pair_first() -> None:
    model = Builder(x=(3, 50), y=(50, 4), z=(4, 60))
    workload = from_onnx(model.model(model.node("Einsum", "x", "y", "z", equation="ij,jk,kl->il")))
    # Which of two inputs is called the filter makes no difference.
    products = [(*sorted(product[:2]), *product[2:]) for product in _products(workload)]
    assert products == [(3, 4, 50, 1), (3, 60, 4, 1)]


def test_names_are_those_of_modules() -> None:
    model = Builder(x=(1, 3, 8, 8))
    x = model.node("Conv", "x", model.weight(4, 3, 3, 3, name="stem.weight"), name="node_conv_7")
    x = model.node("Conv", x, model.weight(4, 4, 1, 1), name="/layer1/layer1.0/layer1.0.conv2/Conv")
    x = model.node("Conv", x, model.weight(4, 4, 1, 1), name="/features/0/Conv_3")
    x = model.node("Conv", x, model.weight(4, 4, 1, 1), name="last")
    names = [layer.name for layer in from_onnx(model.model(x)).layers]
    assert names == ["stem", "layer1.0.conv2", "features.0", "last"]
