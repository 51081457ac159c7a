"""Geometry of convolutions, against brute force and against what JAX says of the same one."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxmaestro.description import DescriptionError, LayerType
from jaxmaestro.frontends.describe import Style, describe
from jaxmaestro.frontends.operators import Axis, Convolution, Product

AXES = st.builds(
    Axis,
    size=st.integers(1, 12),
    filter=st.integers(1, 7),
    stride=st.integers(1, 4),
    before=st.integers(-3, 6),
    after=st.integers(-3, 6),
    input_dilation=st.integers(1, 4),
    filter_dilation=st.integers(1, 3),
).filter(lambda axis: axis.before + axis.after + (axis.size - 1) * axis.input_dilation >= 0)
CONVOLUTIONS = st.builds(
    Convolution,
    batch=st.integers(1, 3),
    groups=st.sampled_from([1, 1, 4]),
    channels=st.integers(1, 3),
    filters=st.integers(1, 3),
    axes=st.lists(AXES, max_size=3).map(tuple),
).filter(lambda convolution: convolution.macs > 0)


def _in_jax(convolution: Convolution) -> tuple[tuple[int, ...], float]:
    """Shape of the result and half of the flops that XLA counts."""
    axes = convolution.axes
    x = (convolution.batch, convolution.groups * convolution.channels, *(a.size for a in axes))
    w = (convolution.groups * convolution.filters, convolution.channels, *(a.filter for a in axes))

    def run(x: jax.Array, w: jax.Array) -> jax.Array:
        return jax.lax.conv_general_dilated(
            x,
            w,
            [a.stride for a in axes],
            [(a.before, a.after) for a in axes],
            [a.input_dilation for a in axes],
            [a.filter_dilation for a in axes],
            feature_group_count=convolution.groups,
        )

    shapes = [jax.ShapeDtypeStruct(s, jnp.float32) for s in (x, w)]
    flops = jax.jit(run).lower(*shapes).cost_analysis().get("flops", 0.0)
    return jax.eval_shape(run, *shapes).shape[2:], flops / 2


@given(AXES)
def test_pairs_by_brute_force(axis: Axis) -> None:
    last = (axis.size - 1) * axis.input_dilation
    positions = [
        o * axis.stride + r * axis.filter_dilation - axis.before
        for o in range(axis.output)
        for r in range(axis.filter)
    ]
    assert axis.pairs == sum(0 <= p <= last and p % axis.input_dilation == 0 for p in positions)
    assert axis.pairs <= math.prod(axis.applied)


@given(CONVOLUTIONS)
def test_a_convolution_has_the_size_and_the_macs_that_xla_says(convolution: Convolution) -> None:
    outputs, macs = _in_jax(convolution)
    assert tuple(axis.output for axis in convolution.axes) == outputs
    assert convolution.effective_macs == macs
    assert convolution.effective_macs <= convolution.macs


@given(CONVOLUTIONS)
def test_exact_padding_keeps_the_macs(convolution: Convolution) -> None:
    described = describe("c", convolution, Style(padding="exact"))
    assert described.layer.macs * described.count == convolution.macs


@given(CONVOLUTIONS)
def test_without_padding_a_layer_has_as_many_outputs_as_the_convolution_without_its_padding(
    convolution: Convolution,
) -> None:
    layer = describe("c", convolution, Style()).layer
    axes = convolution.axes[-2:]
    for name, taps, axis in zip(*(names[2 - len(axes) :] for names in ("YX", "RS")), axes, strict=True):
        if axis.transposed:
            continue
        bare = Axis(
            axis.size,
            axis.filter,
            axis.stride,
            min(axis.before, 0),
            min(axis.after, 0),
            axis.input_dilation,
            axis.filter_dilation,
        )
        windows = (layer[name] - layer[taps]) // layer.output_stride(name) + 1
        assert windows == (bare.output or axis.output)  # exact where nothing would be left


def _convolution(*axes: Axis, groups: int = 1, channels: int = 8, filters: int = 16) -> Convolution:
    return Convolution(1, groups, channels, filters, axes)


def test_a_padded_convolution_in_both_styles() -> None:
    convolution = _convolution(Axis(56, 3, 2, 1, 1), Axis(56, 3, 2, 1, 1))
    own, exact = (describe("c", convolution, Style(padding=p)).layer for p in ("same-as-maestro", "exact"))
    assert (own["Y"], own["X"], own.stride("Y")) == (56, 56, 2)
    assert (exact["Y"], exact["X"], exact.stride("X")) == (57, 57, 2)


@pytest.mark.parametrize(
    ("convolution", "kind", "sizes"),
    [
        (_convolution(Axis(9, 3), Axis(9, 3)), "CONV", {"K": 16, "C": 8}),
        (_convolution(Axis(9, 3), Axis(9, 3), groups=4), "NGCONV", {"G": 4, "K": 16, "C": 8}),
        (_convolution(Axis(9, 3), Axis(9, 3), groups=4, channels=1, filters=1), "DSCONV", {"K": 1, "C": 4}),
        (
            _convolution(Axis(9, 3), Axis(9, 3), groups=4, channels=1, filters=2),
            "NGCONV",
            {"G": 4, "K": 2, "C": 1},
        ),
        (
            _convolution(Axis(28, 2, 1, 1, 1, 2), Axis(28, 2, 1, 1, 1, 2)),
            "TRCONV",
            {"R": 2, "Y": 28, "K": 16, "C": 8},
        ),
        (_convolution(Axis(50, 5)), "CONV", {"R": 1, "S": 5, "Y": 1, "X": 50}),
        (_convolution(Axis(6, 3), Axis(9, 3), Axis(9, 3)), "CONV", {"N": 4, "C": 24}),
    ],
)
def test_kinds_of_layers(convolution: Convolution, kind: str, sizes: dict[str, int]) -> None:
    layer = describe("c", convolution, Style()).layer
    assert layer.type is LayerType(kind)
    assert {name: layer[name] for name in sizes} == sizes


def test_a_filter_larger_than_its_input_is_described_exactly() -> None:
    described = describe("c", _convolution(Axis(2, 5, 1, 2, 2), Axis(9, 5, 1, 2, 2)), Style())
    assert (described.layer["Y"], described.layer["X"]) == (6, 9)
    assert "larger than the input" in described.notes[0]


def test_products_in_all_styles() -> None:
    rows, single = Product(128, 64, 32, 4), Product(1, 64, 32)
    assert describe("p", rows, Style()).layer.dimensions == (("M", 128), ("N", 64), ("K", 32))
    assert describe("p", rows, Style()).count == 4
    connected = describe("p", single, Style()).layer
    assert connected.type is LayerType.CONV
    assert dict(connected.dimensions) == {"K": 64, "C": 32, "R": 1, "S": 1, "Y": 1, "X": 1}
    assert describe("p", single, Style(products="gemm")).layer.type is LayerType.GEMM
    as_conv = describe("p", rows, Style(products="conv"))
    assert (as_conv.layer["Y"], as_conv.layer["C"], as_conv.layer["K"]) == (128, 32, 64)
    assert as_conv.layer.macs * as_conv.count == rows.macs


def test_an_option_that_is_not_there_is_refused() -> None:
    with pytest.raises(DescriptionError, match="choose one of same-as-maestro, exact"):
        Style(padding="valid")  # type: ignore[arg-type]
