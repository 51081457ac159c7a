"""From descriptions to tables: plain NumPy, nothing traced, nothing on a device."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from jaxmaestro.description import (
    MAX_LEVELS,
    UNLIMITED,
    Cluster,
    Dataflow,
    DescriptionError,
    Hardware,
    Layer,
    LayerType,
    Size,
    SpatialMap,
    Sz,
    TemporalMap,
)
from jaxmaestro.description.reasons import Reason
from jaxmaestro.encoding import slots
from jaxmaestro.encoding.tables import HardwareTable, LayerTable, MappingTable

_OUTPUTS = {"Y'": slots.Y, "X'": slots.X}


def encode_layers(layers: Sequence[Layer], batched: Sequence[bool] | None = None) -> LayerTable:
    """Rows for layers; ``batched[i]`` says whether layer i's tensors have a dimension N.

    The default takes each layer by itself. In a network the first layer of a
    type decides for all of them (see :func:`jaxmaestro.description.network.batched_tensors`).
    """
    n = len(layers)
    table = LayerTable(
        sizes=np.ones((n, slots.SLOTS), np.int32),
        references=np.zeros((n, slots.SLOTS + 2), np.int32),
        strides=np.ones((n, slots.SLOTS), np.int32),
        output_strides=np.ones((n, 2), np.int32),
        present=np.zeros((n, slots.SLOTS), bool),
        coupled=np.zeros((n, 3, slots.SLOTS), bool),
        printed=np.zeros((n, 2, slots.SLOTS), bool),
        sliding=np.zeros(n, bool),
        depthwise=np.zeros(n, bool),
        flags=np.zeros(n, np.uint32),
    )
    for row, layer in enumerate(layers):
        has_n = ("N" in layer) if batched is None else batched[row]
        _encode_layer(table, row, layer, has_n)
    return table


def _encode_layer(table: LayerTable, row: int, layer: Layer, batch: bool) -> None:
    names = slots.slots_of(layer.type)
    coupled = slots.coupling(layer.type, batch)
    flags = Reason(0)
    for name, size in layer.dimensions:
        if name in _OUTPUTS and layer.type.is_convolution:
            table.references[row, slots.OUT_Y if name == "Y'" else slots.OUT_X] = size
        elif name in names:
            table.references[row, names[name]] = size
        else:
            raise DescriptionError(
                f"{layer.type.value} has no dimension {name}",
                layer=layer.name,
                line=layer.line,
                fix=f"its dimensions are {' '.join(layer.type.dimension_names)}",
            )
        if not 1 <= size <= UNLIMITED:
            flags |= Reason.NONPOSITIVE
    sizes = layer.input_sizes
    for name, slot in names.items():
        if name in sizes:
            table.present[row, slot] = True
            table.sizes[row, slot] = min(max(sizes[name], 1), UNLIMITED)
            table.strides[row, slot] = layer.stride(name)
    if layer.type.is_convolution:
        flags |= _output_strides(table, row, layer)
    if np.any(coupled.any(0) & ~table.present[row]):
        flags |= Reason.MISSING_DIMENSION
    declared = table.references[row, : slots.SLOTS] > 0
    table.coupled[row] = coupled
    table.printed[row] = coupled[:2] & declared
    table.sliding[row] = layer.type.is_convolution
    table.depthwise[row] = layer.type is LayerType.DSCONV
    table.flags[row] = int(flags)


def _output_strides(table: LayerTable, row: int, layer: Layer) -> Reason:
    """Strides of a layer declared over Y' and X'.

    The reference crosses them (X takes the stride of Y', Y that of X'), and
    reads an uninitialised one where only one of the two is an output dimension.
    """
    table.output_strides[row] = [layer.output_stride("Y"), layer.output_stride("X")]
    rows, columns = "Y'" in layer, "X'" in layer
    if rows and columns:
        table.strides[row, slots.Y] = layer.stride("X'")
        table.strides[row, slots.X] = layer.stride("Y'")
    elif rows or columns:
        axis, slot = ("Y", slots.Y) if rows else ("X", slots.X)
        table.strides[row, slot] = layer.output_stride(axis)
        return Reason.UNDEFINED
    return Reason(0)


def encode_dataflows(dataflows: Sequence[Dataflow], gemm: Sequence[bool], levels: int = 0) -> MappingTable:
    """Rows for dataflows; ``gemm[i]`` says whether dataflow i maps GEMMs (over M, N, K).

    ``levels`` is how many levels the arrays hold (0: as many as needed).
    """
    n = len(dataflows)
    depth = max([levels, 1, *(min(len(d.levels), MAX_LEVELS) for d in dataflows)])
    shape = (n, depth, slots.SLOTS)
    table = MappingTable(
        kind=np.zeros(shape, np.int32),
        size=np.ones(shape, np.int32),
        size_sz=np.full(shape, -1, np.int32),
        offset=np.ones(shape, np.int32),
        offset_sz=np.full(shape, -1, np.int32),
        position=np.zeros(shape, np.int32),
        output_centric=np.zeros(shape, bool),
        extra=np.tile(np.array([-1, 0, 1, -1, 1, -1, 0], np.int32), (n, depth, 1)),
        cluster=np.ones((n, depth), np.int32),
        cluster_sz=np.full((n, depth), -1, np.int32),
        levels=np.ones(n, np.int32),
        gemm=np.asarray(gemm, bool),
        flags=np.zeros(n, np.uint32),
    )
    for row, dataflow in enumerate(dataflows):
        _encode_dataflow(table, row, dataflow, slots.GEMM_SLOT if gemm[row] else slots.CONVOLUTION_SLOT)
    return table


def _encode_dataflow(table: MappingTable, row: int, dataflow: Dataflow, names: dict[str, int]) -> None:
    flags = Reason(0)
    maps = dataflow.levels
    if len(maps) > MAX_LEVELS:
        flags |= Reason.ILLEGAL_CLUSTER
    table.levels[row] = min(len(maps), MAX_LEVELS)
    for level, cluster in enumerate(dataflow.clusters[: MAX_LEVELS - 1]):
        value, reference = _size(cluster.size, names)
        table.cluster[row, level], table.cluster_sz[row, level] = value, reference
        flags |= _positive(cluster)
    for level, directives in enumerate(maps[:MAX_LEVELS]):
        for position, directive in enumerate(directives):
            flags |= _encode_directive(table, row, level, position, directive, names)
        spatial = sum(isinstance(d, SpatialMap) for d in directives)
        if not 1 <= spatial <= 2:
            flags |= Reason.ILLEGAL_SPATIAL
    table.flags[row] = int(flags)


def _encode_directive(
    table: MappingTable,
    row: int,
    level: int,
    position: int,
    directive: TemporalMap | SpatialMap,
    names: dict[str, int],
) -> Reason:
    output = directive.dimension in _OUTPUTS and names is slots.CONVOLUTION_SLOT
    slot = _OUTPUTS[directive.dimension] if output else names.get(directive.dimension, -1)
    if slot < 0:
        return Reason.MISSING_DIMENSION
    flags = _positive(directive)
    kind = 2 if isinstance(directive, SpatialMap) else 1
    size, size_sz = _size(directive.size, names)
    offset, offset_sz = _size(directive.offset, names)
    known = {*names, *_OUTPUTS}
    if any(isinstance(v, Sz) and v.dimension not in known for v in (directive.size, directive.offset)):
        flags |= Reason.MISSING_DIMENSION
    at = (row, level, slot)
    if table.kind[at]:
        # Two directives over one dimension: the first one moves to `extra`.
        if table.extra[row, level, 0] >= 0 or slot in (slots.Y, slots.X):
            return flags | Reason.DUPLICATE
        first = (table.kind, table.size, table.size_sz, table.offset, table.offset_sz, table.position)
        table.extra[row, level] = [slot, *(field[at] for field in first)]
    table.kind[at], table.position[at] = kind, position
    table.size[at], table.size_sz[at] = size, size_sz
    table.offset[at], table.offset_sz[at] = offset, offset_sz
    table.output_centric[at] = output
    return flags


def _size(size: Size, names: dict[str, int]) -> tuple[int, int]:
    """A size as (number, reference index); the reference is -1 for a plain number."""
    if isinstance(size, Sz):
        if size.dimension in _OUTPUTS:
            return 1, slots.OUT_Y if size.dimension == "Y'" else slots.OUT_X
        if size.dimension in names:
            return 1, names[size.dimension]
        return 1, -1  # no such dimension: flagged where it is used
    return min(max(size, 0), UNLIMITED), -1


def _positive(directive: TemporalMap | SpatialMap | Cluster) -> Reason:
    values = [directive.size] if isinstance(directive, Cluster) else [directive.size, directive.offset]
    bad = any(not isinstance(v, Sz) and not 1 <= v <= UNLIMITED for v in values)
    return Reason.NONPOSITIVE if bad else Reason(0)


def encode_hardware(points: Iterable[Hardware]) -> HardwareTable:
    """Rows for accelerators."""
    points = list(points)

    def column(values: list[Any]) -> np.ndarray:
        return np.clip(np.array(values, np.int64), -1, UNLIMITED).astype(np.int32)

    return HardwareTable(
        num_pes=column([p.num_pes for p in points]),
        l1_size=column([p.l1_size for p in points]),
        l2_size=column([p.l2_size for p in points]),
        noc_bandwidth=column([p.noc_bandwidths for p in points]),
        noc_latency=column([p.noc_latencies for p in points]),
        offchip_bandwidth=column([p.offchip_bandwidth for p in points]),
        simd_lanes=column([p.simd_lanes for p in points]),
    )
