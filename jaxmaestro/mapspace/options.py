"""What a mapping space leaves open: cluster levels, tile sizes, spatial dimensions, cluster sizes."""

from __future__ import annotations

import dataclasses
from typing import Literal

from jaxmaestro.description import DescriptionError

MAX_DEPTH = 3
"""Cluster levels that a space may have."""

Tiles = Literal["divisors", "ragged"]
Clusters = Literal["any", "powers"]

_SPATIAL = ("N", "G", "K", "C", "Y", "X", "M")


@dataclasses.dataclass(frozen=True)
class MappingOptions:
    """The static side of a :class:`~jaxmaestro.mapspace.space.MappingSpace`.

    ``least_levels`` and ``most_levels``: cluster levels, 1 to 3. ``tiles``: a level's tile
    divides the one above it (``"divisors"``) or is any number up to it (``"ragged"``, whose
    edge tiles the reference often counts wrongly: such mappings are flagged and never count
    as found). ``spatial``: dimensions that a level may spread over its sub-clusters, by the
    names of the layer types; those that a layer lacks are passed over. ``clusters``: PEs a
    cluster may have: ``"any"`` number, ``"powers"`` of two, or a tuple of numbers.

    Raises DescriptionError for anything else.
    """

    least_levels: int = 1
    most_levels: int = 2
    tiles: Tiles = "ragged"
    spatial: tuple[str, ...] = _SPATIAL
    clusters: Clusters | tuple[int, ...] = "any"

    def __post_init__(self) -> None:
        if not 1 <= self.least_levels <= self.most_levels <= MAX_DEPTH:
            raise DescriptionError(
                f"a mapping space of {self.least_levels} to {self.most_levels} cluster levels",
                fix=f"give 1 to {MAX_DEPTH}, the least first",
            )
        if self.tiles not in ("divisors", "ragged"):
            raise DescriptionError(f"tiles are {self.tiles!r}", fix="give 'divisors' or 'ragged'")
        object.__setattr__(self, "spatial", tuple(self.spatial))
        unknown = [name for name in self.spatial if name not in (*_SPATIAL, "R", "S")]
        if unknown or not self.spatial:
            raise DescriptionError(
                f"spatial dimensions are {self.spatial}",
                fix=f"give some of {', '.join((*_SPATIAL, 'R', 'S'))}",
            )
        if isinstance(self.clusters, str):
            if self.clusters not in ("any", "powers"):
                raise DescriptionError(f"clusters are {self.clusters!r}", fix="give 'any', 'powers' or sizes")
            return
        object.__setattr__(self, "clusters", tuple(self.clusters))
        if not self.clusters or any(not isinstance(n, int) or n < 1 for n in self.clusters):
            raise DescriptionError(f"cluster sizes are {self.clusters}", fix="give numbers from 1 on")

    def cluster_sizes(self, num_pes: int) -> list[int]:
        """The sizes allowed, ascending, of at most ``num_pes`` PEs.

        Raises DescriptionError where none is left.
        """
        if self.clusters == "any":
            return list(range(1, num_pes + 1))
        if self.clusters == "powers":
            return [1 << n for n in range(num_pes.bit_length())]
        found = sorted({int(n) for n in self.clusters if int(n) <= num_pes})
        if not found and self.most_levels > 1:
            raise DescriptionError(
                f"the mapping space is empty: no cluster of {self.clusters} fits into {num_pes} PEs",
                fix="allow smaller clusters, or give the accelerator more PEs",
            )
        return found or [1]
