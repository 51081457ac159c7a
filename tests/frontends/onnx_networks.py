"""ONNX models for the tests of the frontend, node by node, without weights' values."""

from __future__ import annotations

import math
from collections.abc import Sequence

import onnx
from onnx import TensorProto, helper


class Builder:
    """Collects nodes and initialisers; methods give the name of a node's output."""

    def __init__(self, **inputs: Sequence[int | str]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.inputs = [helper.make_tensor_value_info(k, TensorProto.FLOAT, v) for k, v in inputs.items()]

    def node(self, kind: str, *inputs: str, name: str = "", domain: str = "", **attributes: object) -> str:
        """A node with one output."""
        output = f"v{len(self.nodes)}"
        node = helper.make_node(kind, inputs, [output], name or f"{kind}_{len(self.nodes)}", domain=domain)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        self.nodes.append(node)
        return output

    def weight(self, *shape: int, name: str = "", kind: int = TensorProto.FLOAT) -> str:
        """An initialiser of a shape, without values."""
        name = name or f"w{len(self.weights)}"
        self.weights.append(TensorProto(name=name, dims=shape, data_type=kind))
        return name

    def numbers(self, *values: int) -> str:
        """An initialiser of integers."""
        name = f"n{len(self.weights)}"
        self.weights.append(helper.make_tensor(name, TensorProto.INT64, [len(values)], values))
        return name

    def conv(
        self, x: str, read: int, filters: int, size: int, stride: int = 1, pad: int = 0, groups: int = 1
    ) -> str:
        """A convolution with a bias."""
        weight, bias = self.weight(filters, read // groups, size, size), self.weight(filters)
        more = {"strides": [stride] * 2, "pads": [pad] * 4, "group": groups}
        return self.node("Conv", x, weight, bias, **more)

    def linear(self, x: str, read: int, columns: int) -> str:
        """A product with a weight, and a bias."""
        product = self.node("MatMul", x, self.weight(read, columns))
        return self.node("Add", product, self.weight(columns))

    def model(self, *outputs: str, opset: int = 20, more: Sequence[tuple[str, int]] = ()) -> onnx.ModelProto:
        """The model; types of its outputs are left open."""
        ends = [helper.make_value_info(name, onnx.TypeProto()) for name in outputs]
        graph = helper.make_graph(self.nodes, "net", self.inputs, ends, self.weights)
        imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(*each) for each in more)]
        return helper.make_model(graph, opset_imports=imports)


def resnet50(groups: int = 1, base: int = 64) -> onnx.ModelProto:
    """ResNet50 v1.5, or ResNeXt50 32x4d with ``groups=32, base=128``."""
    b = Builder(x=("batch", 3, 224, 224))
    x = b.node("Relu", b.conv("x", 3, 64, 7, 2, 3))
    x = b.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    read = 64
    for stage, blocks in enumerate((3, 4, 6, 3)):
        inner, out = base * 2**stage, 256 * 2**stage
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            y = b.node("Relu", b.conv(x, read, inner, 1))
            y = b.node("Relu", b.conv(y, inner, inner, 3, stride, 1, groups))
            y = b.conv(y, inner, out, 1)
            x = x if block else b.conv(x, read, out, 1, stride)
            x, read = b.node("Relu", b.node("Add", x, y)), out
    x = b.node("Flatten", b.node("GlobalAveragePool", x))
    return b.model(b.node("Gemm", x, b.weight(1000, 2048), b.weight(1000), transB=1))


def mobilenet_v2() -> onnx.ModelProto:
    """MobileNetV2 of width 1."""
    b = Builder(x=("batch", 3, 224, 224))

    def clipped(x: str) -> str:
        return b.node("Clip", x)

    x, read = clipped(b.conv("x", 3, 32, 3, 2, 1)), 32
    rows = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2))
    for expand, filters, repeat, first in (*rows, (6, 320, 1, 1)):
        for index in range(repeat):
            stride, inner = (1 if index else first), expand * read
            y = x if expand == 1 else clipped(b.conv(x, read, inner, 1))
            y = b.conv(clipped(b.conv(y, inner, inner, 3, stride, 1, inner)), inner, filters, 1)
            x = b.node("Add", x, y) if stride == 1 and read == filters else y
            read = filters
    x = b.node("ReduceMean", clipped(b.conv(x, read, 1280, 1)), b.numbers(2, 3), keepdims=0)
    return b.model(b.linear(x, 1280, 1000))


def squeezenet() -> onnx.ModelProto:
    """SqueezeNet 1.0 with pooling that rounds up."""
    b = Builder(x=("batch", 3, 224, 224))

    def pool(x: str) -> str:
        return b.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)

    x, read = pool(b.node("Relu", b.conv("x", 3, 96, 7, 2))), 96
    for index, width in enumerate((16, 16, 32, 32, 48, 48, 64, 64)):
        x = pool(x) if index in (3, 7) else x
        y = b.node("Relu", b.conv(x, read, width, 1))
        x = b.node("Concat", b.conv(y, width, 4 * width, 1), b.conv(y, width, 4 * width, 3, 1, 1), axis=1)
        x, read = b.node("Relu", x), 8 * width
    return b.model(b.node("GlobalAveragePool", b.conv(x, read, 1000, 1)))


def unet() -> onnx.ModelProto:
    """UNet without padding; what is skipped is cropped by slices whose bounds come from shapes."""
    b = Builder(x=("batch", 1, 572, 572))
    x, read, left = "x", 1, []
    for width in (64, 128, 256, 512, 1024):
        if read > 1:
            left.append((x, read))
            x = b.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
        x, read = b.conv(b.conv(x, read, width, 3), width, width, 3), width
    for skip, width in reversed(left):
        x = b.node("ConvTranspose", x, b.weight(read, width, 2, 2), b.weight(width), strides=[2, 2])
        wide = b.node("Shape", skip, start=2)
        narrow = b.node("Shape", x, start=2)
        start = b.node("Div", b.node("Sub", wide, narrow), b.numbers(2))
        skip = b.node("Slice", skip, start, b.node("Add", start, narrow), b.numbers(2, 3))
        x = b.node("Concat", skip, x, axis=1)
        x, read = b.conv(b.conv(x, 2 * width, width, 3), width, width, 3), width
    return b.model(b.conv(x, read, 2, 1))


def encoder(width: int = 768, heads: int = 12, hidden: int = 3072) -> onnx.ModelProto:
    """A transformer encoder block; heads are split by shapes that are computed in the graph."""
    b = Builder(x=("batch", "tokens", width))

    def split(x: str) -> str:
        start = b.node("Shape", x, end=2)
        shape = b.node("Concat", start, b.numbers(heads, width // heads), axis=0)
        return b.node("Transpose", b.node("Reshape", x, shape), perm=[0, 2, 1, 3])

    def norm(x: str) -> str:
        return b.node("LayerNormalization", x, b.weight(width), b.weight(width))

    query, key, value = (split(b.linear("x", width, width)) for _ in range(3))
    scores = b.node("MatMul", query, b.node("Transpose", key, perm=[0, 1, 3, 2]))
    mixed = b.node("Transpose", b.node("MatMul", b.node("Softmax", scores), value), perm=[0, 2, 1, 3])
    mixed = b.node("Reshape", mixed, b.node("Shape", "x"))
    x = norm(b.node("Add", "x", b.linear(mixed, width, width)))
    y = b.linear(b.node("Gelu", b.linear(x, width, hidden)), hidden, width)
    return b.model(norm(b.node("Add", x, y)))


def elements(model: onnx.ModelProto) -> int:
    """Numbers in the float initialisers."""
    floats = [each for each in model.graph.initializer if each.data_type == TensorProto.FLOAT]
    return sum(math.prod(each.dims) for each in floats)
