"""A network: layers in order, each with the dataflow that maps it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from jaxmaestro.description.dataflow import Dataflow
from jaxmaestro.description.layer import Layer


@dataclasses.dataclass(frozen=True)
class MappedLayer:
    """A layer and its dataflow (None: it takes that of the layer before, as the reference does)."""

    layer: Layer
    dataflow: Dataflow | None = None

    def __str__(self) -> str:
        return str(self.layer) + ("\n" + str(self.dataflow) if self.dataflow else "")


@dataclasses.dataclass(frozen=True)
class Network:
    """Mapped layers under a name. ``source`` is the file they were read from ("" if none)."""

    name: str
    layers: tuple[MappedLayer, ...]
    source: str = dataclasses.field(default="", compare=False)

    def __iter__(self) -> Iterator[MappedLayer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, index: int) -> MappedLayer:
        return self.layers[index]

    @classmethod
    def of(cls, name: str, layers: Iterable[Layer], dataflow: Dataflow | None = None) -> Network:
        """Every layer under one dataflow (or none: a model)."""
        return cls(name, tuple(MappedLayer(layer, dataflow) for layer in layers))

    @property
    def macs(self) -> int:
        return sum(m.layer.macs for m in self.layers)

    def __str__(self) -> str:
        head = f"Network {self.name or '(unnamed)'}: {len(self)} layers, {self.macs:,} MACs"
        return "\n".join([head, *(f"  {i:3d} {m.layer}" for i, m in enumerate(self.layers))])
