"""One call of an ATen operator as convolutions and products.

The signatures are those of PyTorch's ``native_functions.yaml``. Of tensors only shapes and strides are
looked at, so nothing here imports PyTorch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from jaxmaestro.frontends.operators import Axis, Convolution, Operator, Product

Role = Literal["", "input", "weight"]
"""What an operator of a backward pass is the gradient of; "" in a forward pass, or if it is not known."""


class Read(NamedTuple):
    """An operator, the index of its filter in the call's arguments (None: unknown), and its role."""

    operator: Operator
    filter: int | None
    role: Role = ""


def operators_of(name: str, args: Sequence[Any], filters: Sequence[bool]) -> tuple[Read, ...] | None:
    """What a call of ``aten::name`` computes, or None if it is no convolution or product.

    Args:
        name: of the operator, without its overload.
        args: the call's positional arguments.
        filters: for each of them whether it is made of parameters alone.
    """
    match name:
        case "convolution" | "_convolution" | "convolution_overrideable":
            return (Read(_convolution(_shape(args[0]), _shape(args[1]), *args[3:9]), 1),)
        case "convolution_backward":
            return _convolution_backward(args)
        case "mm" | "_int_mm" | "_scaled_mm":
            return (_product(args, 0, 1, filters),)
        case "addmm":
            return (_product(args, 1, 2, filters),)
        case "bmm":
            return (_batched(args, 0, 1, filters),)
        case "baddbmm" | "addbmm":
            return (_batched(args, 1, 2, filters),)
        case "mv" | "addmv":
            matrix = len(args) - 2 if name == "mv" else 1
            rows, inner = _shape(args[matrix])
            # The vector is one row of inputs, the matrix its filter.
            return (Read(Product(1, rows, inner), matrix),)
        case "dot" | "vdot":
            return (Read(Product(1, 1, _shape(args[0])[0]), None),)
        case "linear" | "_weight_int8pack_mm":
            *leading, inner = _shape(args[0])
            out = _shape(args[1])[0]
            return (Read(Product(_prod(leading), out, inner), 1),)
        case _:
            return None


def _shape(tensor: Any) -> tuple[int, ...]:
    return tuple(int(size) for size in tensor.shape)


def _prod(sizes: Sequence[int]) -> int:
    product = 1
    for size in sizes:
        product *= size
    return product


def _product(args: Sequence[Any], first: int, second: int, filters: Sequence[bool]) -> Read:
    (rows, inner), (_, columns) = _shape(args[first]), _shape(args[second])
    if filters[first] and not filters[second]:
        return Read(Product(columns, rows, inner), first)
    return Read(Product(rows, columns, inner), second if filters[second] else None)


def _batched(args: Sequence[Any], first: int, second: int, filters: Sequence[bool]) -> Read:
    (batch, rows, inner), (_, _, columns) = _shape(args[first]), _shape(args[second])
    # A matrix that all of the batch share has been expanded to it: the batch is more rows (or columns).
    if batch > 1 and args[second].stride(0) == 0:
        rows, batch = rows * batch, 1
    elif batch > 1 and args[first].stride(0) == 0:
        columns, batch = columns * batch, 1
    if filters[first] and not filters[second]:
        return Read(Product(columns, rows, inner, batch), first)
    return Read(Product(rows, columns, inner, batch), second if filters[second] else None)


def _each(value: Any, axes: int) -> list[int]:
    """A value for each axis: PyTorch takes one number, or a list of one, for all."""
    values = [int(v) for v in value] if isinstance(value, list | tuple) else [int(value)]
    return values * axes if len(values) == 1 else values


def _convolution(
    x: tuple[int, ...],
    weight: tuple[int, ...],
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
) -> Convolution:
    n = len(weight) - 2
    lists = (_each(value, n) for value in (stride, padding, dilation, output_padding))
    axes = list[Axis]()
    for size, taps, step, pad, spread, more in zip(x[2:], weight[2:], *lists, strict=True):
        if transposed:
            around = spread * (taps - 1) - pad
            axes.append(Axis(size, taps, 1, around, around + more, step, spread))
        else:
            axes.append(Axis(size, taps, step, pad, pad, 1, spread))
    channels = weight[0] // groups if transposed else weight[1]
    filters = weight[1] if transposed else weight[0] // groups
    return Convolution(x[0], groups, channels, filters, tuple(axes))


def _convolution_backward(args: Sequence[Any]) -> tuple[Read, ...]:
    """Gradients of a convolution are convolutions: those that ``jax.grad`` of it has."""
    out, x, weight = (_shape(tensor) for tensor in args[:3])
    _, stride, padding, dilation, transposed, _, groups, wanted = args[3:11]
    n = len(weight) - 2
    stride, padding, dilation = (_each(value, n) for value in (stride, padding, dilation))
    # A transposed convolution is the gradient of a plain one: what it reads and writes change places.
    wide, narrow = (out, x) if transposed else (x, out)
    spatial = list(zip(wide[2:], narrow[2:], weight[2:], stride, padding, dilation, strict=True))
    to_wide, to_narrow, to_weight = list[Axis](), list[Axis](), list[Axis]()
    for large, small, taps, step, pad, spread in spatial:
        span, spaced = spread * (taps - 1) + 1, (small - 1) * step + 1
        before = span - 1 - pad
        to_wide.append(Axis(small, taps, 1, before, large - 1 + span - spaced - before, step, spread))
        to_narrow.append(Axis(large, taps, step, pad, pad, 1, spread))
        after = spread * (taps - 1) + spaced - large - pad
        to_weight.append(Axis(large, small, spread, pad, after, 1, step))
    wide_channels, narrow_channels = wide[1] // groups, narrow[1] // groups
    found = []
    if wanted[0]:
        read, written = (wide_channels, narrow_channels) if transposed else (narrow_channels, wide_channels)
        axes = tuple(to_narrow if transposed else to_wide)
        found.append(Read(Convolution(x[0], groups, read, written, axes), 2, "input"))
    if wanted[1]:
        gradient = Convolution(wide_channels, groups, x[0], narrow_channels, tuple(to_weight))
        found.append(Read(gradient, 2, "weight"))
    return tuple(found)
