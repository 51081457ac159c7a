"""From operators to layers in MAESTRO's terms: padding, grouped, transposed and batched operators."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal, get_args

from jaxmaestro.description import DescriptionError, Layer, LayerType
from jaxmaestro.frontends.operators import Axis, Convolution, Operator, Product

Padding = Literal["same-as-maestro", "exact"]
"""Y and X of a convolution: the input's own sizes, or as many as give the true number of outputs."""

Products = Literal["auto", "gemm", "conv"]
"""Matrix products: GEMM but for single rows, always GEMM, or always 1x1 convolutions."""


@dataclasses.dataclass(frozen=True)
class Style:
    """How operators are put into layers. The defaults reproduce the reference's public model files."""

    padding: Padding = "same-as-maestro"
    products: Products = "auto"

    def __post_init__(self) -> None:
        """Raises DescriptionError for an option that is not there."""
        for field, known in (("padding", get_args(Padding)), ("products", get_args(Products))):
            one_of(getattr(self, field), known, field)


def one_of(value: object, known: tuple[str, ...], what: str) -> None:
    """Raises DescriptionError if ``value`` is none of the names."""
    if value not in known:
        raise DescriptionError(f"{what} is {value!r}", fix=f"choose one of {', '.join(known)}")


@dataclasses.dataclass(frozen=True)
class Described:
    """A layer, how often it runs for one occurrence of its operator, and what does not fit exactly."""

    layer: Layer
    count: int = 1
    notes: tuple[str, ...] = ()


def describe(name: str, operator: Operator, style: Style) -> Described:
    """The layer of an operator; ``operator.macs`` must not be 0.

    With ``padding="exact"`` the layer's MACs times its count are the operator's.

    Raises:
        DescriptionError: for a size beyond 32 bits.
    """
    if isinstance(operator, Product):
        return _product(name, operator, style)
    return _convolution(name, operator, style)


def _product(name: str, product: Product, style: Style) -> Described:
    single = product.rows == 1
    if style.products == "conv" or (single and style.products == "auto"):
        sizes = {"K": product.columns, "C": product.inner, "R": 1, "S": 1, "Y": product.rows, "X": 1}
        return Described(Layer.of(name, LayerType.CONV, sizes), product.batch)
    sizes = {"M": product.rows, "N": product.columns, "K": product.inner}
    return Described(Layer.of(name, LayerType.GEMM, sizes), product.batch)


def _convolution(name: str, convolution: Convolution, style: Style) -> Described:
    # MAESTRO has two spatial axes. Along the others every output is an image of its own (N), and
    # the filter's taps add to what is summed up (C).
    leading, axes = convolution.axes[:-2], convolution.axes[-2:]
    rows, columns = (Axis(1, 1), Axis(1, 1), *axes)[-2:]
    batch = convolution.batch * math.prod(axis.applied[0] for axis in leading)
    channels = convolution.channels * math.prod(axis.applied[1] for axis in leading)
    notes = [f"{len(convolution.axes)}-D: leading axes are unrolled into N and C"] if leading else []
    sizes: dict[str, int] = {"N": batch} if batch > 1 else {}
    kind = LayerType.CONV
    if convolution.groups > 1:
        depthwise = channels == convolution.filters == 1
        kind = LayerType.DSCONV if depthwise else LayerType.NGCONV
        sizes |= {} if depthwise else {"G": convolution.groups}
        channels = convolution.groups if depthwise else channels
    elif any(axis.transposed for axis in axes):
        kind = LayerType.TRCONV
    (r, y, y_note), (s, x, x_note) = (_extent(axis, style.padding) for axis in (rows, columns))
    sizes |= {"K": convolution.filters, "C": channels, "R": r, "S": s, "Y": y, "X": x}
    strides = {"X": columns.stride, "Y": rows.stride}
    notes += dict.fromkeys(note for note in (y_note, x_note) if note)
    return Described(Layer.of(name, kind, sizes, strides), 1, tuple(notes))


def _extent(axis: Axis, padding: Padding) -> tuple[int, int, str]:
    """R and Y (or S and X) of a layer, and a remark if they are not what ``padding`` says."""
    windows, taps = axis.applied
    exact = (windows - 1) * axis.stride + taps
    note = ""
    if axis.input_dilation > 1 and axis.stride > 1:
        note = "products with zeros between inputs are counted"
    if axis.filter_dilation > 1 and taps > 1:
        note = "a dilated filter is described by its taps alone"
    if padding == "exact":
        return taps, exact, note
    if taps != axis.filter:
        return taps, exact, "only the taps that meet inputs are in R and S; Y and X are exact"
    own = axis.size
    if not axis.transposed:
        # Cropped inputs are not there. What a dilated filter spans beyond its taps is taken off, so
        # that the outputs are those without padding.
        own = (axis.size - 1) * axis.input_dilation + 1 + min(axis.before, 0) + min(axis.after, 0)
        own -= axis.span - axis.filter
    if own < taps:
        return taps, exact, "the filter is larger than the input without padding: Y and X are exact"
    return taps, own, note
