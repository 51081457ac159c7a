"""What frontends find in a model: convolutions and matrix products, free of any framework.

A frontend (JAX, PyTorch, ONNX) reads its own operators into these two; ``describe.py`` turns
them into layers. Counts of multiply-accumulates are exact integers.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Axis:
    """One spatial axis of a convolution, all lengths in elements along it.

    ``before`` and ``after`` are padding, negative where the input is cropped. ``input_dilation``
    puts that many minus one zeros between inputs (a transposed convolution), ``filter_dilation``
    spreads the filter's taps.
    """

    size: int
    filter: int
    stride: int = 1
    before: int = 0
    after: int = 0
    input_dilation: int = 1
    filter_dilation: int = 1

    @property
    def span(self) -> int:
        """Inputs from the filter's first tap to its last."""
        return (self.filter - 1) * self.filter_dilation + 1

    @property
    def output(self) -> int:
        """Outputs along the axis, 0 if the filter does not fit."""
        dilated = (self.size - 1) * self.input_dilation + 1 if self.size else 0
        return max(0, (dilated + self.before + self.after - self.span) // self.stride + 1)

    @property
    def transposed(self) -> bool:
        """Whether zeros stand between the inputs and the filter moves by single steps."""
        return self.input_dilation > 1 and self.stride == 1

    @property
    def applied(self) -> tuple[int, int]:
        """How often a filter is applied, and how many taps it then has.

        Once an output with all taps, padding included. In a transposed convolution products with
        the zeros between inputs do not count: all taps once an input, or once an output those
        taps that meet inputs, whichever is less (the latter in gradients of filters).
        """
        if not self.output:
            return 0, self.filter
        if not self.transposed:
            return self.output, self.filter
        meeting = -(-self.filter // self.input_dilation)
        by_input, by_output = (self.size, self.filter), (self.output, meeting)
        return min(by_input, by_output, key=math.prod)

    @property
    def pairs(self) -> int:
        """Pairs of an output and a tap that meet an input, not padding and not a zero between inputs.

        Output o meets tap r at position ``o * stride + r * filter_dilation - before`` of the dilated
        input, in which every ``input_dilation``-th element is an input.
        """
        if not self.output:
            return 0
        tap = np.arange(self.filter, dtype=np.int64) * self.filter_dilation - self.before
        last = (self.size - 1) * self.input_dilation
        low = np.maximum(0, -(tap // self.stride))  # ceil(-tap / stride)
        high = np.minimum(self.output - 1, (last - tap) // self.stride)
        total = 0
        for residue in range(self.input_dilation):  # outputs of one residue meet inputs all or never
            meets = (residue * self.stride + tap) % self.input_dilation == 0
            first = low + (residue - low) % self.input_dilation
            count = np.maximum(0, (high - first) // self.input_dilation + 1)
            total += int(count[meets].sum())
        return total


@dataclasses.dataclass(frozen=True)
class Convolution:
    """A convolution: ``groups`` side by side, each from ``channels`` to ``filters`` channels.

    ``axes`` are the spatial ones, outermost first (depth, rows, columns).
    """

    batch: int
    groups: int
    channels: int
    filters: int
    axes: tuple[Axis, ...]

    @property
    def macs(self) -> int:
        """Every application of the filter times its size, padding included (as papers count)."""
        return self._macs([math.prod(axis.applied) for axis in self.axes])

    @property
    def effective_macs(self) -> int:
        """Those whose input is neither padding nor a zero between inputs (as XLA counts)."""
        return self._macs([axis.pairs for axis in self.axes])

    def _macs(self, along: Sequence[int]) -> int:
        return self.batch * self.groups * self.channels * self.filters * math.prod(along)


@dataclasses.dataclass(frozen=True)
class Product:
    """``batch`` matrix products [rows, inner] x [inner, columns]; the second matrix is the filter."""

    rows: int
    columns: int
    inner: int
    batch: int = 1

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all of the batch."""
        return self.batch * self.rows * self.columns * self.inner

    @property
    def effective_macs(self) -> int:
        """The same: a product has no padding."""
        return self.macs


Operator = Convolution | Product
