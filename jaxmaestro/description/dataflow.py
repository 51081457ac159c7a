"""Dataflows as directives (MICRO'19, data-centric directives): temporal and spatial maps, clusters."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator


@dataclasses.dataclass(frozen=True)
class Sz:
    """``Sz(D)``: the size of dimension D of whichever layer the dataflow is put on."""

    dimension: str

    def __str__(self) -> str:
        return f"Sz({self.dimension})"


Size = int | Sz


@dataclasses.dataclass(frozen=True)
class _Map:
    size: Size
    offset: Size
    dimension: str
    line: int = dataclasses.field(default=0, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{type(self).__name__}({self.size},{self.offset}) {self.dimension}"


class TemporalMap(_Map):
    """``TemporalMap(size, offset) D``: a loop over tiles of D, the same tile on every sub-cluster."""


class SpatialMap(_Map):
    """``SpatialMap(size, offset) D``: neighbouring tiles of D on neighbouring sub-clusters."""


@dataclasses.dataclass(frozen=True)
class Cluster:
    """``Cluster(size, P|L)``: closes a level; what follows maps onto groups of ``size``."""

    size: Size
    kind: str = "P"
    line: int = dataclasses.field(default=0, compare=False, repr=False)

    def __str__(self) -> str:
        return f"Cluster({self.size},{self.kind})"


Directive = TemporalMap | SpatialMap | Cluster


@dataclasses.dataclass(frozen=True)
class Dataflow:
    """An ordered list of directives, outermost loop first."""

    directives: tuple[Directive, ...]
    name: str = dataclasses.field(default="", compare=False)

    def __iter__(self) -> Iterator[Directive]:
        return iter(self.directives)

    def __len__(self) -> int:
        return len(self.directives)

    @property
    def levels(self) -> tuple[tuple[TemporalMap | SpatialMap, ...], ...]:
        """The maps of each cluster level, top (global buffer side) first."""
        found: list[list[TemporalMap | SpatialMap]] = [[]]
        for directive in self.directives:
            if isinstance(directive, Cluster):
                found.append([])
            else:
                found[-1].append(directive)
        return tuple(tuple(level) for level in found)

    @property
    def clusters(self) -> tuple[Cluster, ...]:
        return tuple(d for d in self.directives if isinstance(d, Cluster))

    def __str__(self) -> str:
        return "\n".join(f"{d};" for d in self.directives)
