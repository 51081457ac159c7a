"""Layers: what is computed (MAESTRO, MICRO 2019; dimension letters as there)."""

from __future__ import annotations

import dataclasses
import enum
import math
import reprlib
from collections.abc import Iterator, Mapping
from typing import Any, cast

from jaxmaestro.description.errors import DescriptionError
from jaxmaestro.description.fields import items, replace_field, text, whole

OUTPUT_TO_INPUT = {"Y'": "Y", "X'": "X"}
"""Output (row, column) dimensions and the input dimensions that they stand for."""

SLIDING = {"Y": "R", "X": "S"}
"""Input dimensions and the filter dimension that slides over each."""


class LayerType(enum.Enum):
    """The operators that the cost model knows. ``TRCONV`` is priced as ``CONV``."""

    CONV = "CONV"
    DSCONV = "DSCONV"
    NGCONV = "NGCONV"
    TRCONV = "TRCONV"
    GEMM = "GEMM"

    @property
    def is_convolution(self) -> bool:
        """Whether a filter slides over Y and X: every type but GEMM."""
        return self is not LayerType.GEMM

    @property
    def tensors(self) -> LayerType:
        """The type whose tensors a layer of this type has: those of a TRCONV are a CONV's."""
        return LayerType.CONV if self is LayerType.TRCONV else self

    @property
    def dimension_names(self) -> tuple[str, ...]:
        """Every dimension name that a layer of this type may declare."""
        if self is LayerType.GEMM:
            return ("M", "N", "K")
        return ("N", "G", "K", "C", "R", "S", "Y", "X", "Y'", "X'")

    @property
    def required(self) -> tuple[str, ...]:
        """Dimensions that must be there (``Y'`` may stand for ``Y``, ``X'`` for ``X``)."""
        match self:
            case LayerType.GEMM:
                return ("M", "N", "K")
            case LayerType.DSCONV:
                return ("C", "R", "S", "Y", "X")
            case LayerType.NGCONV:
                return ("G", "K", "C", "R", "S", "Y", "X")
            case _:
                return ("K", "C", "R", "S", "Y", "X")


ALL_DIMENSIONS = (*LayerType.CONV.dimension_names, "M")
"""Every dimension name that some layer type has."""


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer: a type, sizes by dimension name, strides by dimension name.

    ``type`` may be given by its name. ``dimensions`` and ``strides`` are tuples
    of ``(name, value)`` in the order of their declaration; lists of pairs and
    mappings are turned into them. Strides have an effect along Y and X (also
    written Y' and X') of convolutions; those of other dimensions, such as K or
    C, are allowed and have none, as in the reference.
    ``line`` is where the layer stands in the file it was read from (0: none).

    Sizes below one can be described: the cost function flags the tuple
    (``Reason.NONPOSITIVE``), so that a batch is not lost by it.
    """

    name: str
    type: LayerType
    dimensions: tuple[tuple[str, int], ...]
    strides: tuple[tuple[str, int], ...] = ()
    line: int = dataclasses.field(default=0, compare=False)

    def __post_init__(self) -> None:
        """Raises DescriptionError for a field of the wrong type, an unknown layer type, a stride
        below one or along what is no dimension, and anything beyond 32 bits.
        """
        text(self.name, "the name of a Layer")
        replace_field(self, "line", whole(self.line, "the line of a Layer", least=0))
        try:
            replace_field(self, "type", _layer_type(self.type))
            replace_field(self, "dimensions", _sizes(self.dimensions))
            replace_field(self, "strides", _strides(self.strides))
        except DescriptionError as error:
            raise DescriptionError(error.message, layer=self.name, line=self.line, fix=error.fix) from None

    @classmethod
    def of(
        cls,
        name: str,
        type: LayerType | str,
        dimensions: Mapping[str, int],
        strides: Mapping[str, int] | None = None,
    ) -> Layer:
        """A layer from plain mappings; ``type`` may be its name. Raises as the constructor."""
        # The constructor turns names and mappings into what the fields hold.
        return cls(name, cast("Any", type), cast("Any", dimensions), cast("Any", strides or ()))

    def __getitem__(self, dimension: str) -> int:
        """Size of a declared dimension; KeyError when it is not declared."""
        return dict(reversed(self.dimensions))[dimension]

    def __contains__(self, dimension: str) -> bool:
        return any(name == dimension for name, _ in self.dimensions)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.dimensions)

    def stride(self, dimension: str) -> int:
        """Stride along a dimension, 1 when none was given."""
        return dict(self.strides).get(dimension, 1)

    @property
    def shape(self) -> tuple[Any, ...]:
        """All that its cost depends on: layers of one shape differ in their names alone."""
        return self.type, self.dimensions, self.strides

    @property
    def input_sizes(self) -> dict[str, int]:
        """Sizes with Y and X, derived from Y' and X' where those were declared.

        An output dimension is turned into ``size + filter - 1`` whatever the
        stride, as the reference does.
        """
        sizes = dict(reversed(self.dimensions))
        for out, inp in OUTPUT_TO_INPUT.items():
            if out in sizes and inp not in sizes:
                sizes[inp] = sizes[out] + sizes.get(SLIDING[inp], 1) - 1
        return {k: v for k, v in sizes.items() if k not in OUTPUT_TO_INPUT}

    @property
    def macs(self) -> int:
        """Multiply-accumulates that the layer has, without padding (Y and X as declared).

        A filter is applied ``(Y - R) // stride + 1`` times along Y, or Y' times
        where the layer states its outputs, whatever the stride; X alike. A
        TRCONV counts as the CONV of the same sizes, as which the reference prices it.

        Raises:
            DescriptionError: for a layer that lacks a dimension of its type.
        """
        for name in self.type.required:
            if name not in self and not (name in SLIDING and name + "'" in self):
                raise DescriptionError(
                    f"without dimension {name} its MACs are not known",
                    layer=self.name,
                    line=self.line,
                    fix=f"{self.type.value} needs {', '.join(self.type.required)}",
                )
        sizes = self.input_sizes
        if self.type is LayerType.GEMM:
            return sizes["M"] * sizes["N"] * sizes["K"]
        total = math.prod(sizes.get(d, 1) for d in ("N", "G", "C", "R", "S"))
        if self.type is not LayerType.DSCONV:
            total *= sizes["K"]
        for axis, window in SLIDING.items():
            if axis in self:
                windows = (sizes[axis] - sizes[window]) // self.output_stride(axis) + 1
            else:
                windows = self[axis + "'"]
            total *= max(0, windows)
        return total

    def output_stride(self, axis: str) -> int:
        """Stride along Y or X, wherever it was declared (``Stride { Y' 2 }`` counts too)."""
        declared = dict(self.strides)
        return declared.get(axis, declared.get(axis + "'", 1))

    def __str__(self) -> str:
        dims = ", ".join(f"{n}: {s}" for n, s in self.dimensions)
        stride = ", ".join(f"{n}: {s}" for n, s in self.strides)
        return f"{self.name} {self.type.value}({dims}" + (f"; stride {stride})" if stride else ")")


def check_stride(dimension: object, stride: object) -> int:
    """A stride as ``int``; raises DescriptionError for one that no layer can have."""
    name = text(dimension, "the dimension of a stride", fix='give a name such as "Y"')
    if name not in ALL_DIMENSIONS:
        raise DescriptionError(
            f"a stride of {name}, which is no dimension", fix="strides are those of X and Y"
        )
    return whole(stride, f"the stride of {name}", least=1)


def _layer_type(value: object) -> LayerType:
    try:
        return LayerType(value)
    except ValueError:
        known = ", ".join(each.value for each in LayerType)
        raise DescriptionError(
            f"the type of a Layer is {reprlib.repr(value)}, which is no layer type", fix=f"types are {known}"
        ) from None


def _sizes(value: object) -> tuple[tuple[str, int], ...]:
    fix = 'give a name such as "K"'
    return tuple(
        (text(name, "the name of a dimension", fix=fix), whole(size, f"dimension {name}"))
        for name, size in _pairs(value, "dimensions")
    )


def _strides(value: object) -> tuple[tuple[str, int], ...]:
    return tuple((name, check_stride(name, stride)) for name, stride in _pairs(value, "strides"))


def _pairs(value: object, field: str) -> tuple[tuple[Any, Any], ...]:
    """Names and values from pairs or a mapping, whatever their types."""
    if isinstance(value, Mapping):
        return tuple(value.items())
    fix = 'give pairs such as ("K", 64), or a mapping'
    pairs = items(value, f"{field} of a Layer", fix=fix)
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise DescriptionError(f"{field} of a Layer hold {reprlib.repr(pair)}, which is no pair", fix=fix)
    return pairs
