"""A network: layers in order, each with the dataflow that maps it."""

from __future__ import annotations

import dataclasses
import reprlib
from collections.abc import Iterable, Iterator

from jaxmaestro.description.dataflow import Dataflow
from jaxmaestro.description.errors import DescriptionError
from jaxmaestro.description.fields import items, replace_field, text
from jaxmaestro.description.layer import Layer, LayerType


@dataclasses.dataclass(frozen=True)
class MappedLayer:
    """A layer and its dataflow.

    None: it takes that of the layer before, as it was written there. The
    reference does not survive such a layer (docs/reference-behaviour.md).
    """

    layer: Layer
    dataflow: Dataflow | None = None

    def __post_init__(self) -> None:
        """Raises DescriptionError for what is no Layer or no Dataflow."""
        if not isinstance(self.layer, Layer):
            raise DescriptionError(
                f"the layer of a MappedLayer is {reprlib.repr(self.layer)}, which is no Layer",
                fix="make one with Layer.of(name, type, sizes, strides)",
            )
        if not isinstance(self.dataflow, Dataflow | None):
            reads = isinstance(self.dataflow, str)
            raise DescriptionError(
                f"the dataflow of a MappedLayer is {reprlib.repr(self.dataflow)}, which is no Dataflow",
                layer=self.layer.name,
                fix="read text with parse_dataflow and a file with read_dataflow"
                if reads
                else "make one with Dataflow(directives)",
            )

    def __str__(self) -> str:
        return str(self.layer) + ("\n" + str(self.dataflow) if self.dataflow else "")


@dataclasses.dataclass(frozen=True)
class Network:
    """Mapped layers under a name (a list of them is turned into a tuple).

    ``source`` is the file they were read from ("" if none).
    """

    name: str
    layers: tuple[MappedLayer, ...]
    source: str = dataclasses.field(default="", compare=False)

    def __post_init__(self) -> None:
        """Raises DescriptionError for what is no sequence of MappedLayers."""
        text(self.name, "the name of a Network")
        text(self.source, "the source of a Network")
        fix = "give MappedLayer objects, or make the network with Network.of(name, layers, dataflow)"
        layers = items(self.layers, "layers of a Network", fix=fix)
        for index, mapped in enumerate(layers):
            if not isinstance(mapped, MappedLayer):
                raise DescriptionError(
                    f"layer {index} of a Network is {reprlib.repr(mapped)}, which is no MappedLayer", fix=fix
                )
        replace_field(self, "layers", layers)

    def __iter__(self) -> Iterator[MappedLayer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, index: int) -> MappedLayer:
        return self.layers[index]

    @classmethod
    def of(cls, name: str, layers: Iterable[Layer], dataflow: Dataflow | None = None) -> Network:
        """Every layer under one dataflow (or none: a model). Raises as the constructors."""
        found = items(layers, "layers of a Network", fix="give Layer objects")
        return cls(name, tuple(MappedLayer(layer, dataflow) for layer in found))

    @property
    def macs(self) -> int:
        """Sum of the layers' :attr:`Layer.macs`; raises DescriptionError as that does."""
        return sum(m.layer.macs for m in self.layers)

    def __str__(self) -> str:
        try:
            macs = f"{self.macs:,}"
        except DescriptionError:  # what lacks a dimension can be printed all the same
            macs = "?"
        head = f"Network {self.name or '(unnamed)'}: {len(self)} layers, {macs} MACs"
        return "\n".join([head, *(f"  {i:3d} {m.layer}" for i, m in enumerate(self.layers))])


def batched_tensors(layers: Iterable[Layer]) -> list[bool]:
    """Whether each layer's tensors have a dimension N: the first layer of its type decides for all.

    As in the reference, whose table of tensors is filled once for each type of
    a network; a TRCONV counts as a CONV.
    """
    kinds = [(layer.type.tensors, "N" in layer) for layer in layers]
    first: dict[LayerType, bool] = {}
    for kind, has_batch in kinds:
        first.setdefault(kind, has_batch)
    return [first[kind] for kind, _ in kinds]
