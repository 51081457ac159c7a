"""Layers of many architectures as arrays: square shapes as one whole number each, and a grid of them."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np

from jaxmaestro.description import DescriptionError, Layer, LayerType
from jaxmaestro.spaces.workloads import Workloads

Array = Any

Rule = Literal["fork", "exact"]
"""How a convolution becomes a layer of the cost model.

``fork``: Y and X are the input as the module receives it, without its padding; dilation is
ignored. What the seed's scripts write.
``exact``: Y and X are the rows and columns that an undilated filter touches for as many
outputs as the convolution has, ``(output - 1) * stride + filter``. Outputs and MACs are
those of the network, padding and dilation included. The cost model has no dilation: the
few rows that a dilated filter reads beyond that are not counted.
"""

RULES: tuple[Rule, ...] = ("fork", "exact")

FIELDS = ("depthwise", "K", "C", "R", "Y", "stride")
"""Columns of a table of shapes. Layers are square: S = R, X = Y, one stride for both axes."""

_BITS = (1, 13, 13, 5, 11, 3)
_SHIFTS = tuple(int(sum(_BITS[i + 1 :])) for i in range(len(_BITS)))


def check_rule(rule: object) -> None:
    """Raises DescriptionError for what is no :data:`Rule`."""
    if rule not in RULES:
        raise DescriptionError(f"the rule of layers is {rule!r}", fix='give "fork" or "exact"')


def convolution(
    rule: Rule, outputs: Array, inputs: Array, filter_size: Array, size: Array, stride: Array, result: Array
) -> Array:
    """Packed shape of a convolution (``inputs`` to ``outputs`` channels, bias or not), int64.

    Args:
        rule: how ``Y`` follows from the sizes.
        outputs: output channels, K.
        inputs: input channels, C.
        filter_size: rows of the filter, R.
        size: rows of the input without padding.
        stride: along both axes.
        result: rows of the output.

    All but ``rule`` are whole numbers or arrays of them that broadcast.
    """
    rows = size if rule == "fork" else (result - 1) * stride + filter_size
    return pack(0, outputs, inputs, filter_size, rows, stride)


def depthwise(
    rule: Rule, channels: Array, filter_size: Array, size: Array, stride: Array, result: Array
) -> Array:
    """Packed shape of a depthwise convolution, K = 1; arguments as in :func:`convolution`."""
    rows = size if rule == "fork" else (result - 1) * stride + filter_size
    return pack(1, 1, channels, filter_size, rows, stride)


def linear(outputs: Array, inputs: Array) -> Array:
    """Packed shape of a linear layer: a CONV of one pixel."""
    return pack(0, outputs, inputs, 1, 1, 1)


def pack(*fields: Array) -> Array:
    """:data:`FIELDS` in one int64 above zero, the same for the same shape.

    Raises DescriptionError for a field that is below zero or does not fit: 8,191 channels, a
    filter of 31, 2,047 rows, a stride of 7.
    """
    key: Array = np.int64(0)
    for name, value, bits, shift in zip(FIELDS, fields, _BITS, _SHIFTS, strict=True):
        number = np.asarray(value, np.int64)
        if (number >> bits).any():
            raise DescriptionError(
                f"a layer has {name} {number.max()}", fix=f"it goes from 0 to {2**bits - 1}"
            )
        key = key | (number << shift)
    return key


def unpack(keys: np.ndarray) -> np.ndarray:
    """:data:`FIELDS` of packed shapes ``[u]``, int32 ``[u, 6]``."""
    columns = [(keys >> shift) & ((1 << bits) - 1) for bits, shift in zip(_BITS, _SHIFTS, strict=True)]
    return np.stack(columns, -1).astype(np.int32)


@dataclasses.dataclass(frozen=True, eq=False)
class LayerGrid:
    """The layers of n architectures in the order in which they run, on a fixed number of slots.

    A slot is a place of the network that an architecture may fill (the first convolution of
    an edge, the squeeze of block 7 of a stage); what it fills it with is a row of ``shapes``.
    """

    shapes: np.ndarray  # [u, 6] int32, FIELDS of the distinct shapes, sorted
    slots: np.ndarray  # [n, slots] int16 or int32, row of shapes, -1: the slot is empty

    @classmethod
    def of(cls, keys: np.ndarray) -> LayerGrid:
        """The grid of packed shapes ``[n, slots]`` int64, 0 where a slot is empty."""
        unique = np.unique(keys)
        unique = unique[unique > 0]
        # An empty slot sorts before all others and gets -1.
        number = np.searchsorted(unique, keys.ravel(), side="right") - 1
        kind = np.int16 if len(unique) < 2**15 else np.int32
        return cls(unpack(unique), number.astype(kind).reshape(keys.shape))

    @property
    def present(self) -> np.ndarray:
        """Which slots are filled, bool ``[n, slots]``."""
        return self.slots >= 0

    @property
    def fields(self) -> np.ndarray:
        """:data:`FIELDS` of every slot, int32 ``[n, slots, 6]``, 0 where it is empty."""
        return self.spread(self.shapes)

    def spread(self, figures: np.ndarray) -> np.ndarray:
        """Figures of the shapes ``[u, ...]`` put into the slots ``[n, slots, ...]``, 0 where empty."""
        padded = np.concatenate([figures, np.zeros((1, *figures.shape[1:]), figures.dtype)])
        return padded[self.slots]

    @property
    def counts(self) -> np.ndarray:
        """How often each architecture has each shape, int32 ``[n, u]``."""
        n, u = len(self.slots), len(self.shapes) + 1
        places = np.arange(n, dtype=np.int64)[:, None] * u + (self.slots + 1)
        return np.bincount(places.ravel(), minlength=n * u).reshape(n, u)[:, 1:].astype(np.int32)

    @property
    def macs(self) -> np.ndarray:
        """MACs of each shape, int64 ``[u]``: as :attr:`Layer.macs` of it."""
        deep, k, c, r, y, stride = self.shapes.astype(np.int64).T
        outputs = np.maximum(0, (y - r) // stride + 1)
        return np.where(deep, 1, k) * c * (r * outputs) ** 2

    @property
    def weights(self) -> np.ndarray:
        """Weights of each shape, int64 ``[u]``, without biases."""
        _, k, c, r, _, _ = self.shapes.astype(np.int64).T
        return k * c * r * r

    @property
    def outputs(self) -> np.ndarray:
        """Output channels of each shape, int64 ``[u]``."""
        deep, k, c, *_ = self.shapes.astype(np.int64).T
        return np.where(deep, c, k)

    def workloads(self) -> Workloads:
        """The architectures as counts of the shapes."""
        return Workloads(tuple(layer(shape) for shape in self.shapes), self.counts)


def layer(shape: np.ndarray, prefix: str = "") -> Layer:
    """One shape (a row of :attr:`LayerGrid.shapes`) as a Layer, named after its sizes.

    ``DSCONV_1x64x3x3x56x56_s1``: the type, K, C, R, S, Y, X and the stride. Files can hold the name.
    """
    deep, k, c, r, y, stride = (int(value) for value in shape)
    kind = LayerType.DSCONV if deep else LayerType.CONV
    sizes = {"K": k, "C": c, "R": r, "S": r, "Y": y, "X": y}
    name = f"{prefix}{kind.value}_{'x'.join(map(str, sizes.values()))}_s{stride}"
    return Layer.of(name, kind, sizes, {"X": stride, "Y": stride})
