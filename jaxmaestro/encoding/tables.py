"""The batch as a struct of arrays: three tables and, for each tuple, a row of each.

A product of layers, dataflows and hardware points is index arithmetic on the
three index arrays; the tables hold each description once. All arrays are int32,
uint32 or bool, so that a batch is the same whether 64-bit types are enabled or not.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np

Array = Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LayerTable:
    """``[layers, ...]``: what the layers are."""

    sizes: Array  # [l, 8] input-centric sizes, 1 where the layer has no such dimension
    references: Array  # [l, 10] what Sz(D) stands for: slots, then Y', X'; 0: not declared
    strides: Array  # [l, 8]
    output_strides: Array  # [l, 2] strides along Y and X for counting the layer's MACs
    present: Array  # [l, 8] bool: the layer has the dimension
    coupled: Array  # [l, 3, 8] bool: tensor depends on dimension
    printed: Array  # [l, 2, 8] bool: declared dimensions of input and filter (element counts)
    sliding: Array  # [l] bool: filters slide over Y and X (all but GEMM)
    depthwise: Array  # [l] bool: K does not multiply the layer's MACs
    flags: Array  # [l] uint32 reasons known from the description alone


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class MappingTable:
    """``[mappings, levels, ...]``: the directives, top level first.

    A level's directive over slot d is ``kind[d]`` (0 none, 1 temporal, 2 spatial)
    with a size and an offset, each a number or, where ``*_sz`` is not -1, the
    layer's reference size of that index. ``position`` orders them. The ``extra``
    fields hold the first of two directives over one slot in one level.
    """

    kind: Array  # [m, L, 8]
    size: Array  # [m, L, 8]
    size_sz: Array  # [m, L, 8]
    offset: Array  # [m, L, 8]
    offset_sz: Array  # [m, L, 8]
    position: Array  # [m, L, 8]
    output_centric: Array  # [m, L, 8] bool: written over Y' or X'
    extra: Array  # [m, L, 7] slot (-1 none), kind, size, size_sz, offset, offset_sz, position
    cluster: Array  # [m, L] size of the Cluster that closes the level
    cluster_sz: Array  # [m, L]
    levels: Array  # [m] number of cluster levels
    gemm: Array  # [m] bool: written over M, N, K
    flags: Array  # [m] uint32 reasons known from the description alone


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class HardwareTable:
    """``[hardware, ...]``: accelerators."""

    num_pes: Array  # [h]
    l1_size: Array  # [h]
    l2_size: Array  # [h]
    noc_bandwidth: Array  # [h, 4] innermost level first
    noc_latency: Array  # [h, 4]
    offchip_bandwidth: Array  # [h]
    simd_lanes: Array  # [h]


MEMORY = ("l1_size", "l2_size", "offchip_bandwidth")
"""Fields of hardware that only the runtime, and whether a tuple fits, depend on."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Rows:
    """The descriptions of every tuple, laid out side by side: what the equations read.

    Layers and mappings have arrays ``[b, ...]``, hardware ``[b, p, q, ...]``: for each pair
    of layer and mapping p times q hardware points, with an axis of length 1 where a field
    does not vary. The first is that of the NoC (bandwidths, latencies, lanes), the second,
    if it is used, that of the memories (off-chip bandwidth, capacities), which fewer figures
    depend on. ``levels``, ``extras`` and ``variants`` are those of the :class:`Batch`.
    """

    layers: LayerTable
    mappings: MappingTable
    hardware: HardwareTable
    levels: int = dataclasses.field(metadata={"static": True})
    extras: bool = dataclasses.field(metadata={"static": True})
    variants: tuple[int, ...] = dataclasses.field(metadata={"static": True})

    def __len__(self) -> int:
        return int(self.layers.sizes.shape[0])


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, repr=False)
class Batch:
    """Tuples ``(layer[i], mapping[i], hardware[i])`` of rows of the three tables.

    ``accelerator`` may also be ``[b, p]``: p hardware points for each pair of layer and
    mapping, all with the same number of PEs, which then share all that does not depend
    on bandwidths, latencies, lanes and capacities. Costs are ``[b, p]`` accordingly.

    ``levels`` and ``extras`` are static: the number of cluster levels that the
    arrays hold, and whether any level names one dimension twice. ``variants`` is
    static too: how many different sub-tiles a level may hand down, on average over
    the batch; a tuple whose sub-tiles do not fit is flagged ``CAPACITY``, never wrong.
    """

    layers: LayerTable
    mappings: MappingTable
    hardware: HardwareTable
    layer: Array  # [b] int32
    mapping: Array  # [b] int32
    accelerator: Array  # [b] or [b, p] int32
    levels: int = dataclasses.field(metadata={"static": True})
    extras: bool = dataclasses.field(metadata={"static": True})
    variants: tuple[int, ...] = dataclasses.field(metadata={"static": True})

    def __len__(self) -> int:
        return int(self.layer.shape[0])

    def flat(self) -> Batch:
        """The same tuples with one accelerator each: tuple ``i * p + k`` is point k of pair i."""
        points = self.accelerator.reshape(self.layer.shape[0], -1).shape[1]
        return dataclasses.replace(
            self,
            layer=np.repeat(self.layer, points),
            mapping=np.repeat(self.mapping, points),
            accelerator=self.accelerator.reshape(-1),
        )

    def rows(self) -> Rows:
        """The descriptions that the tuples refer to."""
        accelerator = self.accelerator.reshape(self.layer.shape[0], -1, 1)
        return Rows(
            layers=jax.tree.map(lambda field: field[self.layer], self.layers),
            mappings=jax.tree.map(lambda field: field[self.mapping], self.mappings),
            hardware=jax.tree.map(lambda field: field[accelerator], self.hardware),
            levels=self.levels,
            extras=self.extras,
            variants=self.variants,
        )

    def __repr__(self) -> str:
        tables = {
            "layers": self.layers.sizes,
            "mappings": self.mappings.kind,
            "accelerators": self.hardware.num_pes,
        }
        rows = " x ".join(f"{table.shape[0]} {name}" for name, table in tables.items())
        return f"Batch of {self.layer.shape[0]:,} tuples of {rows}, {self.levels} cluster levels"

    def take(self, rows: Array) -> Batch:
        """The tuples of these rows, over the same tables."""
        return dataclasses.replace(
            self, layer=self.layer[rows], mapping=self.mapping[rows], accelerator=self.accelerator[rows]
        )
