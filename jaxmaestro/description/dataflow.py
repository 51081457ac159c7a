"""Dataflows as directives (MICRO'19, data-centric directives): temporal and spatial maps, clusters."""

from __future__ import annotations

import dataclasses
import reprlib
from collections.abc import Iterator

from jaxmaestro.description.errors import DescriptionError
from jaxmaestro.description.fields import items, replace_field, text, whole


@dataclasses.dataclass(frozen=True)
class Sz:
    """``Sz(D)``: the size of dimension D of whichever layer the dataflow is put on."""

    dimension: str

    def __post_init__(self) -> None:
        """Raises DescriptionError for a dimension that is no str."""
        text(self.dimension, "the dimension of a Sz", fix='give a name such as "K"')

    def __str__(self) -> str:
        return f"Sz({self.dimension})"


Size = int | Sz


def _size(value: object, what: str) -> Size:
    """A size or an offset. Those below one are left to the cost function, which flags the tuple."""
    if isinstance(value, Sz):
        return value
    return whole(value, what, fix='give an integer or Sz("K")')


@dataclasses.dataclass(frozen=True)
class _Map:
    size: Size
    offset: Size
    dimension: str
    line: int = dataclasses.field(default=0, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Raises DescriptionError for a field of the wrong type or a number beyond 32 bits."""
        kind = type(self).__name__
        replace_field(self, "line", whole(self.line, f"the line of a {kind}", least=0))
        replace_field(self, "size", _size(self.size, f"the size of a {kind}"))
        replace_field(self, "offset", _size(self.offset, f"the offset of a {kind}"))
        text(self.dimension, f"the dimension of a {kind}", fix='give a name such as "K"')

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

    def __post_init__(self) -> None:
        """Raises DescriptionError for a field of the wrong type or a number beyond 32 bits."""
        replace_field(self, "line", whole(self.line, "the line of a Cluster", least=0))
        replace_field(self, "size", _size(self.size, "the size of a Cluster"))
        text(self.kind, "the kind of a Cluster", fix='give "P" (physical) or "L" (logical)')

    def __str__(self) -> str:
        return f"Cluster({self.size},{self.kind})"


Directive = TemporalMap | SpatialMap | Cluster


@dataclasses.dataclass(frozen=True)
class Dataflow:
    """An ordered list of directives, outermost loop first (a list is turned into a tuple)."""

    directives: tuple[Directive, ...]
    name: str = dataclasses.field(default="", compare=False)

    def __post_init__(self) -> None:
        """Raises DescriptionError for what is no sequence of directives."""
        fix = "give TemporalMap, SpatialMap and Cluster objects"
        read = "read text with parse_dataflow and a file with read_dataflow"
        given: object = self.directives
        fix_all = read if isinstance(given, str) else fix
        directives = items(given, "directives of a Dataflow", fix=fix_all)
        for index, directive in enumerate(directives):
            if not isinstance(directive, _Map | Cluster):
                raise DescriptionError(
                    f"directive {index} of a Dataflow is {reprlib.repr(directive)}, which is no directive",
                    fix=read if isinstance(directive, str) else fix,
                )
        replace_field(self, "directives", directives)
        text(self.name, "the name of a Dataflow")

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
        """The Cluster directives, outermost first: one fewer than there are levels."""
        return tuple(d for d in self.directives if isinstance(d, Cluster))

    def __str__(self) -> str:
        return "\n".join(f"{d};" for d in self.directives)
