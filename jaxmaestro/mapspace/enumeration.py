"""Counting and listing the mappings of small spaces (NumPy, on the host).

Loops over a dimension of size 1, and over a filter that is never spread, have one tile and do not
turn: wherever they stand, the mapping costs the same. Orders that differ in them alone count once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from jaxmaestro.description import DescriptionError
from jaxmaestro.encoding.slots import SLOTS
from jaxmaestro.mapspace.genes import Genes

if TYPE_CHECKING:
    from jaxmaestro.mapspace.space import MappingSpace

LIMIT = 2_000_000
"""Mappings that are listed at most, unless more are asked for."""

Chain = tuple[int, ...]


def size(space: MappingSpace) -> int:
    """How many mappings the space of one layer has."""
    return sum(
        math.prod(len_tiles(space, slot, spatial) for slot in range(SLOTS))
        * math.factorial(len(_turning(space))) ** levels
        * len(_cluster_chains(space, levels - 1))
        for levels, spatial in _skeletons(space)
    )


def check_size(space: MappingSpace, limit: int = LIMIT) -> None:
    """Raises DescriptionError where the space of one layer has more than ``limit`` mappings."""
    if (count := size(space)) > limit:
        raise DescriptionError(
            f"the mapping space has {count:,} mappings, too many to be listed",
            fix=f"search it instead, or narrow it to {limit:,} (fewer levels, divisors, fewer clusters)",
        )


def everything(space: MappingSpace, limit: int = LIMIT) -> Genes:
    """Every mapping of the space of one layer, NumPy arrays ``[size]``. Raises as :func:`check_size`."""
    check_size(space, limit)
    parts = [_of_skeleton(space, levels, spatial) for levels, spatial in _skeletons(space)]
    fields = ("levels", "spatial", "cluster", "order", "tile")
    return Genes(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in fields})


def _skeletons(space: MappingSpace) -> Iterator[tuple[int, Chain]]:
    """Numbers of levels, each with every choice of a spatial dimension a level."""
    allowed = np.flatnonzero(space.spatial).tolist()
    for levels in range(space.options.least_levels, space.depth + 1):
        for spatial in itertools.product(allowed, repeat=levels):
            yield levels, spatial


def _turning(space: MappingSpace) -> list[int]:
    """Slots whose loops may have more than one tile."""
    return np.flatnonzero((np.asarray(space.extent) > 1) & (~space.whole | space.spatial)).tolist()


def _free(space: MappingSpace, slot: int, spatial: Chain) -> list[bool]:
    """At which levels the tile of a slot may differ from the one above."""
    return [not space.whole[slot] or chosen == slot for chosen in spatial]


def len_tiles(space: MappingSpace, slot: int, spatial: Chain) -> int:
    """How many chains of tiles a dimension has over the levels."""
    largest, free = int(space.largest[slot]), sum(_free(space, slot, spatial))
    if not space.even[slot]:
        return math.comb(largest + free - 1, free)
    below = sorted(set(np.asarray(space.divisors)[slot].tolist()))
    ways = dict.fromkeys(below, 1)
    for _ in range(free):
        ways = {n: sum(ways[m] for m in below if n % m == 0) for n in below}
    return ways[largest]


def _tile_chains(space: MappingSpace, slot: int, spatial: Chain) -> np.ndarray:
    """Chains of tiles ``[n, levels]`` of a dimension."""
    divide = space.even[slot]
    chains: list[Chain] = [()]
    for free in _free(space, slot, spatial):
        grown: list[Chain] = []
        for chain in chains:
            above = chain[-1] if chain else int(space.largest[slot])
            tiles = [n for n in range(1, above + 1) if not divide or above % n == 0] if free else [above]
            grown += [(*chain, tile) for tile in tiles]
        chains = grown
    return np.array(chains, np.int32)


def _cluster_chains(space: MappingSpace, clusters: int) -> np.ndarray:
    """Cluster sizes ``[n, clusters]`` that multiply to at most the PEs."""
    sizes = np.asarray(space.cluster_sizes).tolist()
    chains: list[Chain] = [()]
    for _ in range(clusters):
        chains = [
            (*chain, size) for chain in chains for size in sizes if math.prod(chain) * size <= space.num_pes
        ]
    return np.array(chains, np.int32).reshape(len(chains), clusters)


def _of_skeleton(space: MappingSpace, levels: int, spatial: Chain) -> Genes:
    """All mappings of so many levels with these spatial dimensions."""
    depth, turning = space.depth, _turning(space)
    rest = [slot for slot in range(SLOTS) if slot not in turning]
    # Rank keys: what does not turn is innermost, in the order of its slots.
    permutations = [[*some, *rest] for some in itertools.permutations(turning)]
    orders = np.argsort(np.array(permutations), axis=1).astype(np.int32)
    tiles = [_tile_chains(space, slot, spatial) for slot in range(SLOTS)]
    clusters = _cluster_chains(space, levels - 1)
    lengths = [*map(len, tiles), len(clusters), *[len(orders)] * levels]
    index = np.unravel_index(np.arange(math.prod(lengths)), lengths)
    count = len(index[0])

    tile = np.stack([chains[i] for chains, i in zip(tiles, index, strict=False)], -1)
    order = np.stack([orders[i] for i in index[SLOTS + 1 :]], 1)
    # Levels that are not there hold what a repaired mapping has in them.
    absent = depth - levels
    cluster = np.full((count, depth - 1), space.cluster_sizes[0], np.int32)
    cluster[:, : levels - 1] = clusters[index[SLOTS]]
    slots = np.array([*spatial, *[int(np.argmax(space.spatial))] * absent], np.int32)
    return Genes(
        levels=np.full(count, levels, np.int32),
        spatial=np.tile(slots, (count, 1)),
        cluster=cluster,
        order=np.concatenate([order, np.repeat(order[:, -1:], absent, 1)], 1),
        tile=np.concatenate([tile, np.repeat(tile[:, -1:], absent, 1)], 1),
    )
