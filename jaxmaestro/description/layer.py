"""Layers: what is computed (MAESTRO, MICRO 2019; dimension letters as there)."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Iterator, Mapping

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
        return self is not LayerType.GEMM

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


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer: a type, sizes by dimension name, strides by dimension name.

    ``dimensions`` and ``strides`` are tuples of ``(name, value)`` in the order
    of their declaration (a mapping is accepted by :meth:`of`). Strides of
    dimensions other than Y and X have no effect, as in the reference.
    ``line`` is where the layer stands in the file it was read from (0: none).
    """

    name: str
    type: LayerType
    dimensions: tuple[tuple[str, int], ...]
    strides: tuple[tuple[str, int], ...] = ()
    line: int = dataclasses.field(default=0, compare=False)

    @classmethod
    def of(
        cls,
        name: str,
        type: LayerType | str,
        dimensions: Mapping[str, int],
        strides: Mapping[str, int] | None = None,
    ) -> Layer:
        """A layer from plain mappings; ``type`` may be its name."""
        kind = LayerType(type) if isinstance(type, str) else type
        return cls(name, kind, tuple(dimensions.items()), tuple((strides or {}).items()))

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
        """Multiply-accumulates that the layer has, without padding (Y and X as declared)."""
        sizes = self.input_sizes
        if self.type is LayerType.GEMM:
            return sizes["M"] * sizes["N"] * sizes["K"]
        total = math.prod(sizes.get(d, 1) for d in ("N", "G", "C", "R", "S"))
        if self.type is not LayerType.DSCONV:
            total *= sizes["K"]
        for axis, window in SLIDING.items():
            total *= max(0, (sizes[axis] - sizes[window]) // self.output_stride(axis) + 1)
        return total

    def output_stride(self, axis: str) -> int:
        """Stride along Y or X, wherever it was declared (``Stride { Y' 2 }`` counts too)."""
        declared = dict(self.strides)
        return declared.get(axis, declared.get(axis + "'", 1))

    def __str__(self) -> str:
        dims = ", ".join(f"{n}: {s}" for n, s in self.dimensions)
        stride = ", ".join(f"{n}: {s}" for n, s in self.strides)
        return f"{self.name} {self.type.value}({dims}" + (f"; stride {stride})" if stride else ")")
