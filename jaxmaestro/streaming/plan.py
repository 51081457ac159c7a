"""The order of work over a product: boxes of distinct tuples, each evaluated once, and the chunks it fills.

Nothing here is as long as the product: boxes and chunks are index arithmetic.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

import jax
import numpy as np
import numpy.typing as npt

from jaxmaestro.description import Dataflow, Hardware, Layer
from jaxmaestro.encoding.batch import assemble, check_entries
from jaxmaestro.encoding.tables import Batch
from jaxmaestro.equations.costs import Costs
from jaxmaestro.streaming.axes import Axis, Index

Span = tuple[int, int]

Entries = npt.NDArray[np.int32]


@dataclasses.dataclass(frozen=True)
class Box:
    """Distinct layers x distinct dataflows x distinct accelerators, each a range (start, stop)."""

    layers: Span
    dataflows: Span
    hardware: Span

    @property
    def shape(self) -> tuple[int, int, int]:
        """How many there are of each."""
        (a, b), (c, d), (e, f) = self.layers, self.dataflows, self.hardware
        return b - a, d - c, f - e

    def __len__(self) -> int:
        return math.prod(self.shape)


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Chunk:
    """Tuples of the product that are written (and reduced) together: all have their figures in one box."""

    number: int
    box: Box
    copies: tuple[Index, Index, Index]  # layers, dataflows and accelerators that the box stands for
    span: Span  # which tuples of the product of `copies`
    axes: tuple[Axis, Axis, Axis]

    def __len__(self) -> int:
        return self.span[1] - self.span[0]

    def entries(self) -> tuple[Entries, Entries, Entries]:
        """Positions ``[n]`` int32 of each tuple's layer, dataflow and accelerator in the product's lists."""
        layer, dataflow, point = self._along()
        return layer.astype(np.int32), dataflow.astype(np.int32), point.astype(np.int32)

    def index(self) -> Index:
        """Numbers ``[n]`` of the tuples in the product, ascending."""
        layer, dataflow, point = self._along()
        return (layer * len(self.axes[1]) + dataflow) * len(self.axes[2]) + point

    def pick(self, costs: Costs) -> Costs:
        """The costs of the chunk from those of its box."""
        if math.prod(map(len, self.copies)) == len(self.box):  # the box stands for itself alone
            start, stop = self.span
            return costs if stop - start == len(self.box) else costs[start:stop]
        starts = self.box.layers[0], self.box.dataflows[0], self.box.hardware[0]
        at = [
            axis.number[entry] - start
            for axis, entry, start in zip(self.axes, self._along(), starts, strict=True)
        ]
        _, flows, points = self.box.shape
        return costs[(at[0] * flows + at[1]) * points + at[2]]

    def _along(self) -> tuple[Index, Index, Index]:
        layers, flows, points = self.copies
        rest, point = np.divmod(np.arange(*self.span), len(points))
        layer, flow = np.divmod(rest, len(flows))
        return layers[layer], flows[flow], points[point]


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Plan:
    """A product, encoded once, and how it is cut.

    Boxes follow each other in the order of the product. The chunks of a box hold, in
    order, its tuples and all that equal them, from anywhere in the product: without
    equal entries chunk after chunk is the product in order.
    """

    tables: Batch  # of distinct entries; no tuples
    axes: tuple[Axis, Axis, Axis]  # layers, dataflows, hardware
    kinds: Index  # [distinct layers] 0, or 1 for those that take the second half of the mappings
    size: int  # tuples of a chunk at most

    @classmethod
    def of(
        cls, layers: Sequence[Layer], dataflows: Sequence[Dataflow], hardware: Sequence[Hardware], size: int
    ) -> Plan:
        """Raises as :func:`jaxmaestro.encode_product`."""
        tables, kinds = encode_tables(layers, dataflows, hardware)
        halves = [
            jax.tree.map(lambda leaf, start=start: leaf[start : start + len(dataflows)], tables.mappings)
            for start in range(0, len(tables.mappings.levels), len(dataflows))
        ]
        axes = Axis.of(tables.layers), Axis.of(*halves), Axis.of(tables.hardware)
        layer, flow, point = (axis.first for axis in axes)
        flows = np.concatenate([flow + half * len(dataflows) for half in range(len(halves))])
        distinct = dataclasses.replace(
            tables,
            layers=jax.tree.map(lambda leaf: leaf[layer], tables.layers),
            mappings=jax.tree.map(lambda leaf: leaf[flows], tables.mappings),
            hardware=jax.tree.map(lambda leaf: leaf[point], tables.hardware),
        )
        return cls(distinct, axes, kinds[layer], size)

    @property
    def tuples(self) -> int:
        """Tuples of the whole product."""
        return math.prod(len(axis) for axis in self.axes)

    @property
    def distinct(self) -> int:
        """Tuples that are evaluated."""
        return math.prod(axis.distinct for axis in self.axes)

    def boxes(self) -> Iterator[Box]:
        """Boxes of at most ``size`` tuples; whole numbers of hardware rows where one is not longer."""
        layers, flows, points = (axis.distinct for axis in self.axes)
        if flows * points <= self.size:
            for span in spans(layers, self.size // (flows * points)):
                yield Box(span, (0, flows), (0, points))
            return
        for layer in range(layers):
            one = (layer, layer + 1)
            if points <= self.size:
                for span in spans(flows, self.size // points):
                    yield Box(one, span, (0, points))
                continue
            for flow in range(flows):
                for span in spans(points, self.size):
                    yield Box(one, (flow, flow + 1), span)

    def work(self) -> Iterator[tuple[Box, list[Chunk]]]:
        """Each box and its chunks, which are numbered from 0 throughout."""
        number = 0
        layers, flows, points = self.axes
        for box in self.boxes():
            copies = layers.copies(*box.layers), flows.copies(*box.dataflows), points.copies(*box.hardware)
            cuts = _rows(len(copies[0]) * len(copies[1]), len(copies[2]), self.size)
            chunks = [Chunk(number + i, box, copies, span, self.axes) for i, span in enumerate(cuts)]
            number += len(chunks)
            yield box, chunks

    def batch(self, box: Box) -> Batch:
        """The tuples of a box, hardware varying fastest."""
        _, flows, points = box.shape
        rest, point = np.divmod(np.arange(len(box)), points)
        layer, flow = np.divmod(rest, flows)
        layer += box.layers[0]
        return dataclasses.replace(
            self.tables,
            layer=layer.astype(np.int32),
            mapping=(flow + box.dataflows[0] + self.axes[1].distinct * self.kinds[layer]).astype(np.int32),
            accelerator=(point + box.hardware[0]).astype(np.int32),
        )


def encode_tables(
    layers: Sequence[Layer], dataflows: Sequence[Dataflow], hardware: Sequence[Hardware]
) -> tuple[Batch, Index]:
    """The tables of a product as a batch without tuples, and which mappings each layer takes ``[layers]``.

    Dataflow ``d`` on layer ``l`` is row ``d + len(dataflows) * kinds[l]`` of the
    mappings, which are encoded for GEMMs and convolutions only where there are any.
    """
    check_entries(layers, dataflows, hardware)
    gemm = np.array([not each.type.is_convolution for each in layers])
    found = np.unique(gemm)
    pairs = [(dataflow, bool(kind)) for kind in found for dataflow in dataflows]
    none = np.zeros(0, np.int32)
    tables = assemble(list(layers), None, pairs, list(hardware), none, none, none)
    return tables, np.searchsorted(found, gemm).astype(np.int64)


def spans(total: int, size: int) -> Iterator[Span]:
    """Ranges of at most ``size`` that cover ``total``: as few as can be, and nearly equal."""
    pieces = -(-total // size)
    for i in range(pieces):
        yield total * i // pieces, total * (i + 1) // pieces


def _rows(rows: int, length: int, size: int) -> Iterator[Span]:
    """Ranges of at most ``size`` of ``rows`` rows: whole rows, or pieces of one where they are longer."""
    if length <= size:
        for start, stop in spans(rows, size // length):
            yield start * length, stop * length
        return
    for row in range(rows):
        for start, stop in spans(length, size):
            yield row * length + start, row * length + stop
