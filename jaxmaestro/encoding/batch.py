"""Batches: zipped tuples, products and networks, each description encoded once."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence
from typing import TypeVar

import numpy as np

from jaxmaestro.description import Dataflow, DescriptionError, Hardware, Layer, Network
from jaxmaestro.description.network import batched_tensors
from jaxmaestro.encoding.encode import encode_dataflows, encode_hardware, encode_layers
from jaxmaestro.encoding.tables import Batch

VARIANTS = 4
"""Sub-tiles a level that a batch provides for by default: most mappings need fewer."""

T = TypeVar("T", bound=Hashable)


def encode(
    layers: Sequence[Layer],
    dataflows: Sequence[Dataflow],
    hardware: Sequence[Hardware],
    variants: int = VARIANTS,
) -> Batch:
    """The tuples ``(layers[i], dataflows[i], hardware[i])`` as one batch of length ``len(layers)``.

    A sequence of length one is repeated. ``variants`` is how many different sub-tiles
    a level may hand down when :func:`jaxmaestro.cost` is traced: a tuple that needs
    more is flagged ``CAPACITY`` there (256 always suffices).

    Raises ValueError when lengths differ or nothing is given, DescriptionError for an
    entry that is no layer, dataflow or accelerator.
    """
    check_entries(layers, dataflows, hardware)
    n = max(len(layers), len(dataflows), len(hardware))
    for name, values in (("layers", layers), ("dataflows", dataflows), ("hardware", hardware)):
        if len(values) not in (1, n):
            raise ValueError(f"{name} has {len(values)} entries where the others have {n}; give 1 or {n}")
    unique_layers, layer = _unique(list(layers), n)
    unique_hardware, point = _unique(list(hardware), n)
    kinds = [not unique_layers[i].type.is_convolution for i in layer]
    flows = list(dataflows) * (n if len(dataflows) == 1 else 1)
    pairs, mapping = _unique(list(zip(flows, kinds, strict=True)), n)
    batch = assemble(unique_layers, None, pairs, unique_hardware, layer, mapping, point)
    return dataclasses.replace(batch, variants=(variants,) * (batch.levels - 1))


def check_entries(layers: Sequence[object], dataflows: Sequence[object], hardware: Sequence[object]) -> None:
    """Raises as :func:`encode` for what is no list of layers, dataflows, accelerators."""
    _check("layers", layers, Layer)
    _check("dataflows", dataflows, Dataflow)
    _check("hardware", hardware, Hardware)


def _check(name: str, values: Sequence[object], kind: type) -> None:
    if isinstance(values, kind) or not hasattr(values, "__len__"):
        raise DescriptionError(f"{name} must be a sequence", fix=f"give a list of {kind.__name__}")
    if len(values) == 0:
        raise ValueError(f"{name} is empty")
    for index, value in enumerate(values):
        if not isinstance(value, kind):
            raise DescriptionError(f"{name}[{index}] is {value!r}", fix=f"it must be a {kind.__name__}")


def encode_pairs(
    layers: Sequence[Layer], dataflows: Sequence[Dataflow], hardware: Sequence[Hardware]
) -> Batch:
    """Every pair ``(layers[i], dataflows[i])`` on every accelerator, which varies fastest.

    Tuple ``i * len(hardware) + h``. A sequence of length one is repeated. Raises
    ValueError when the lengths of the first two differ.
    """
    _check("hardware", hardware, Hardware)
    return _across(encode(layers, dataflows, [Hardware()]), hardware)


def encode_product(
    layers: Sequence[Layer], dataflows: Sequence[Dataflow], hardware: Sequence[Hardware]
) -> Batch:
    """Every layer under every dataflow on every accelerator, the last varying fastest.

    Tuple ``(l * len(dataflows) + d) * len(hardware) + h``; formed by index arithmetic.
    """
    check_entries(layers, dataflows, hardware)
    index = np.arange(len(layers) * len(dataflows) * len(hardware))
    layer, rest = np.divmod(index, len(dataflows) * len(hardware))
    flow, point = np.divmod(rest, len(hardware))
    gemm = np.array([not each.type.is_convolution for each in layers])
    pairs = [(d, kind) for kind in (False, True) for d in dataflows]
    mapping = flow + len(dataflows) * gemm[layer]
    return assemble(list(layers), None, pairs, list(hardware), layer, mapping, point)


def encode_network(network: Network, hardware: Sequence[Hardware]) -> Batch:
    """Every layer of a network, under its own dataflow, on every accelerator (varying fastest).

    As in the reference, whether tensors have a batch dimension is decided by the
    first layer of each type. A layer without a dataflow takes that of the layer before.

    Raises DescriptionError where the first layer has none.
    """
    layers = [m.layer for m in network]
    flows = _dataflows(network)
    kinds = [not each.type.is_convolution for each in layers]
    pairs, mapping = _unique(list(zip(flows, kinds, strict=True)), len(layers))
    batched = batched_tensors(layers)
    keyed, layer = _unique(list(zip(layers, batched, strict=True)), len(layers))
    batch = assemble(
        [k for k, _ in keyed],
        [b for _, b in keyed],
        pairs,
        [Hardware()],
        layer,
        mapping,
        np.zeros(len(layers), np.int32),
    )
    return _across(batch, hardware)


def _across(batch: Batch, hardware: Sequence[Hardware]) -> Batch:
    """Every tuple of a batch on every one of these accelerators instead of its own."""
    points = len(hardware)
    return dataclasses.replace(
        batch,
        hardware=encode_hardware(hardware),
        layer=np.repeat(batch.layer, points),
        mapping=np.repeat(batch.mapping, points),
        accelerator=np.tile(np.arange(points, dtype=np.int32), len(batch)),
    )


def _dataflows(network: Network) -> list[Dataflow]:
    """Each layer's dataflow: its own, or that of the layer before."""
    found: list[Dataflow] = []
    for mapped in network:
        dataflow = mapped.dataflow
        if dataflow is None:
            if not found:
                raise DescriptionError(
                    "it has no dataflow and there is no layer before to take one from",
                    source=network.source,
                    line=mapped.layer.line,
                    layer=mapped.layer.name,
                    fix="add a Dataflow block, or give the network a dataflow",
                )
            dataflow = found[-1]
        found.append(dataflow)
    return found


def _unique(values: list[T], length: int) -> tuple[list[T], np.ndarray]:
    """Distinct values in order of appearance, and each entry's index among them."""
    index: dict[T, int] = {}
    rows = [index.setdefault(value, len(index)) for value in values]
    if len(rows) == 1:
        rows *= length
    return list(index), np.array(rows, np.int32)


def assemble(
    layers: list[Layer],
    batched: list[bool] | None,
    pairs: Sequence[tuple[Dataflow, bool]],
    hardware: list[Hardware],
    layer: np.ndarray,
    mapping: np.ndarray,
    point: np.ndarray,
) -> Batch:
    """A batch of these descriptions. ``pairs``: a dataflow, and whether it maps GEMMs; then the indices."""
    mappings = encode_dataflows([d for d, _ in pairs], [k for _, k in pairs])
    levels = mappings.kind.shape[1]
    return Batch(
        layers=encode_layers(layers, batched),
        mappings=mappings,
        hardware=encode_hardware(hardware),
        layer=layer.astype(np.int32),
        mapping=mapping.astype(np.int32),
        accelerator=point.astype(np.int32),
        levels=levels,
        extras=bool((mappings.extra[..., 0] >= 0).any()),
        variants=(VARIANTS,) * (levels - 1),
    )
