"""The layers that MAESTRO's public model files have for networks of the zoo, by shape, stride and type.

The tables here are written after the publications; docs/frontends.md says how they were compared with the
files.
"""

from __future__ import annotations

from typing import Any

from jaxmaestro.description import Layer
from tests.zoo.conftest import Zoo

PLAIN = {"padding": "same-as-maestro"}


def _sizes(layer: Layer) -> tuple[Any, ...]:
    sizes = (*(layer[name] for name in "KCRSYX"), layer.output_stride("Y"))
    return sizes if layer.type.value == "CONV" else (layer.type.value, *sizes)


def _conv(out: int, read: int, taps: int, rows: int, stride: int = 1) -> tuple[Any, ...]:
    return (out, read, taps, taps, rows, rows, stride)


def test_vgg16(traced: Zoo) -> None:
    layers = traced("vgg16", **PLAIN).layers
    expected, read = [], 3
    for out, rows, repeats in ((64, 224, 2), (128, 112, 2), (256, 56, 3), (512, 28, 3), (512, 14, 3)):
        for _ in range(repeats):
            expected.append(_conv(out, read, 3, rows))
            read = out
    assert [_sizes(layer) for layer in layers[:13]] == expected
    # The file ends here.
    fully = [(4096, 512 * 7 * 7), (4096, 4096), (1000, 4096)]
    assert [(layer["K"], layer["C"], layer["Y"]) for layer in layers[13:]] == [(*row, 1) for row in fully]


def test_mnasnet(traced: Zoo) -> None:
    layers = traced("mnasnet", **PLAIN).layers
    expected: list[tuple[Any, ...]] = [_conv(32, 3, 3, 224, 2)]
    read, rows = 32, 112
    stages: tuple[tuple[int, ...], ...]
    stages = ((1, 16, 3, 1, 1), (3, 24, 3, 2, 3), (3, 40, 5, 2, 3), (6, 80, 5, 2, 3))
    for factor, out, taps, first, repeats in (
        *stages,
        (6, 96, 3, 1, 2),
        (6, 192, 5, 2, 4),
        (6, 320, 3, 1, 1),
    ):
        for index in range(repeats):
            inner, stride = factor * read, first if index == 0 else 1
            if factor > 1:
                expected.append(_conv(inner, read, 1, rows))
            expected.append(("DSCONV", *_conv(1, inner, taps, rows, stride)))
            rows //= stride
            expected.append(_conv(out, inner, 1, rows))
            read = out
    expected += [_conv(1280, 320, 1, 7), _conv(1000, 1280, 1, 1)]
    assert [_sizes(layer) for layer in layers] == expected
    assert len(expected) == 53


def test_googlenet(traced: Zoo) -> None:
    layers = traced("googlenet", auxiliary=True, **PLAIN).layers
    expected = [_conv(64, 3, 7, 224, 2), _conv(64, 64, 1, 56), _conv(192, 64, 3, 56)]
    modules = [
        (192, 28, (64, 96, 128, 16, 32, 32)),
        (256, 28, (128, 128, 192, 32, 96, 64)),
        (480, 14, (192, 96, 208, 16, 48, 64)),
        (512, 14, (160, 112, 224, 24, 64, 64)),
        (512, 14, (128, 128, 256, 24, 64, 64)),
        (512, 14, (112, 144, 288, 32, 64, 64)),
        (528, 14, (256, 160, 320, 32, 128, 128)),
        (832, 7, (256, 160, 320, 32, 128, 128)),
        (832, 7, (384, 192, 384, 48, 128, 128)),
    ]
    for index, (read, rows, (one, to3, three, to5, five, pooled)) in enumerate(modules):
        if index in (3, 6):  # the classifiers for training
            expected += [_conv(128, read, 1, 4), _conv(1024, 2048, 1, 1), _conv(1000, 1024, 1, 1)]
        pairs = ((one, read, 1), (to3, read, 1), (three, to3, 3), (to5, read, 1), (five, to5, 3))
        expected += [_conv(out, into, taps, rows) for out, into, taps in (*pairs, (pooled, read, 1))]
    expected.append(_conv(1000, 1024, 1, 1))
    assert [_sizes(layer) for layer in layers] == expected
    assert len(expected) == 64


def test_squeezenet(traced: Zoo) -> None:
    layers = traced("squeezenet", **PLAIN).layers
    squeeze = [(16, 96, 54), (16, 128, 54), (32, 128, 54), (32, 256, 27), (48, 256, 27), (48, 384, 27)]
    squeeze += [(64, 384, 27), (64, 512, 13)]
    expected = [_conv(96, 3, 7, 224, 2)]
    for out, read, rows in squeeze:
        expected.append(_conv(out, read, 1, rows))
        expected += [_conv(4 * out, out, taps, rows) for taps in (1, 3)]
    expected.append(_conv(1000, 512, 1, 13))
    assert [_sizes(layer) for layer in layers] == expected


def test_unet(traced: Zoo) -> None:
    layers = traced("unet", **PLAIN).layers
    down = [572, 570, 284, 282, 140, 138, 68, 66, 32, 30]
    up = [28, 56, 54, 52, 104, 102, 100, 200, 198, 196, 392, 390, 388]
    assert [layer["Y"] for layer in layers] == down + up
    transposed = [layer for layer in layers if layer.type.value == "TRCONV"]
    # The file has K: 512 in the second one, whose output has 256 channels.
    assert [(layer["K"], layer["C"], layer["R"], layer["Y"]) for layer in transposed] == [
        (512, 1024, 2, 28),
        (256, 512, 2, 52),
        (128, 256, 2, 100),
        (64, 128, 2, 196),
    ]


def test_ncf(traced: Zoo) -> None:
    # The file is that of training with 2,048 pairs: layers, gradients of inputs, gradients of weights.
    layers = traced("ncf", batch=2048, training=True, products="conv", **PLAIN).layers
    expected = []
    for out, read in ((256, 256), (128, 256), (64, 128), (1, 128)):
        expected += [(out, read, 2048), (read, out, 2048), (out, 2048, read)]
    assert sorted((layer["K"], layer["C"], layer["Y"]) for layer in layers) == sorted(expected)
    assert all(layer["X"] == layer["R"] == layer["S"] == 1 for layer in layers)
