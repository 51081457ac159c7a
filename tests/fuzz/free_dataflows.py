"""Random dataflows without a pattern: any order, any tiles, one to four levels; GAMMA's; GEMM's."""

from __future__ import annotations

from random import Random

from tests.fuzz.dataflows import WINDOW, Level, join, plain, sliding, spatial, temporal, tile, whole
from tests.fuzz.layers import RandomLayer

PAIRS = (("Y", "R"), ("X", "S"), ("Y", "X"), ("K", "C"), ("R", "S"))
"""Dimensions that are often mapped over PEs together."""


def cluster_sizes(rng: Random, count: int, pes: int, preferred: list[int]) -> list[object]:
    """Sizes for ``count`` Cluster directives; their product is above ``pes`` only now and then."""
    left = pes if rng.random() < 0.98 else 4 * pes
    found: list[object] = []
    for _ in range(count):
        options = [1, 2, 3, 4, 8, 16, rng.randint(1, 32), rng.randint(1, max(1, left)), *preferred]
        size = rng.choice([o for o in options if o <= left] or [1])
        found.append(size)
        left = max(1, left // size)
    return found


def _spatial_dimensions(rng: Random, names: list[str], pair: float) -> set[str]:
    if rng.random() < pair and len(names) > 1:
        pairs = [p for p in PAIRS if set(p) <= set(names)]
        if pairs and rng.random() < 0.7:
            return set(rng.choice(pairs))
        return set(rng.sample(names, 2))
    return {rng.choice(names)}


def _level(
    rng: Random,
    layer: RandomLayer,
    sizes: dict[str, int],
    *,
    kept: float,
    pair: float,
    odd: float,
    unset: bool,
) -> Level:
    names = list(sizes)
    over_pes = _spatial_dimensions(rng, names, pair)
    chosen = [d for d in names if d in over_pes or rng.random() < kept]
    level: Level = []
    for d in chosen:
        mapper = spatial if d in over_pes else temporal
        if d in WINDOW:
            outputs = WINDOW[d] in chosen or unset
            level.append(sliding(rng, layer, d, mapper, outputs=outputs))
        elif d in "RS":
            if mapper is temporal:
                full = layer.sizes[d]
                level.append(whole(d) if rng.random() < 0.85 else temporal(full, full, d))
            else:
                level.append(rng.choice((spatial(1, 1, d), plain(rng, sizes[d], d, spatial))))
        else:
            level.append(plain(rng, sizes[d], d, mapper, odd=odd))
    rng.shuffle(level)
    return level


def _usable(layer: RandomLayer, rng: Random) -> dict[str, int]:
    """Dimensions to map: a depth-wise layer's K hardly ever."""
    sizes = layer.input_sizes
    if layer.type == "DSCONV" and rng.random() < 0.93:
        sizes.pop("K", None)
    return sizes


def free(
    rng: Random,
    layer: RandomLayer,
    pes: int,
    levels: int,
    *,
    pair: float = 0.15,
    odd: float = 0.02,
    unset: bool = False,
) -> list[str]:
    """Any directives in any order at every level; later levels may leave more of them out.

    ``pair``: how often a level maps two dimensions over PEs. ``odd``: how often
    tiles of dimensions that do not slide overlap or leave gaps. ``unset``: maps
    over Y' and X' may stand in a level without R and S, where the reference reads
    memory that nobody wrote.
    """
    sizes = _usable(layer, rng)
    found: list[Level] = []
    for depth in range(levels):
        kept = rng.choice((0.95, 0.8, 0.5)) if depth else rng.choice((1.0, 0.9, 0.7))
        found.append(_level(rng, layer, sizes, kept=kept, pair=pair, odd=odd, unset=unset))
        if rng.random() < 0.7:
            sizes = {d: n if d in "RSYX" else tile(rng, n) for d, n in sizes.items()}
    sizes = layer.input_sizes
    preferred = [sizes[d] for d in ("R", "S", "C", "K") if sizes.get(d, 0) > 1]
    return join(rng, found, cluster_sizes(rng, levels - 1, pes, preferred))


def gamma(rng: Random, layer: RandomLayer, pes: int, levels: int) -> list[str]:
    """As the GAMMA searcher writes: every level names every dimension, one of them over PEs."""
    left = _usable(layer, rng)
    style = rng.choice(("output", "output", "input"))
    found: list[Level] = []
    for depth in range(levels):
        over_pes = rng.choice([d for d in left if d not in "RS" or rng.random() < 0.25])
        level: Level = []
        for d in left:
            mapper = spatial if d == over_pes else temporal
            if d in "RS" and mapper is temporal:
                level.append(whole(d) if rng.random() < 0.6 else temporal(layer.sizes[d], layer.sizes[d], d))
                continue
            limit = left[d]
            if d in WINDOW:
                limit = max(1, limit - layer.sizes[WINDOW[d]] + 1) if style == "output" else limit
            count = 1 if depth == levels - 1 and rng.random() < 0.4 else tile(rng, limit)
            name = d + "'" if d in WINDOW and style == "output" else d
            level.append(mapper(count, count, name))
            if rng.random() < 0.9 and d not in "RS":
                left = {**left, d: max(1, min(left[d], count + layer.sizes.get(WINDOW.get(d, ""), 1) - 1))}
        rng.shuffle(level)
        found.append(level)
    return join(rng, found, cluster_sizes(rng, levels - 1, pes, []))


def gemm(rng: Random, layer: RandomLayer, pes: int, levels: int) -> list[str]:
    """A matrix product: M, N and K tiled, one of them (seldom two) over PEs at every level."""
    left = dict(layer.sizes)
    found: list[Level] = []
    clusters = cluster_sizes(rng, levels - 1, pes, [])
    for depth in range(levels):
        over_pes = set(rng.sample(sorted(left), 2 if rng.random() < 0.06 else 1))
        level = []
        for d in sorted(left):
            if d not in over_pes and rng.random() < (0.12 if depth else 0.05):
                continue
            mapper = spatial if d in over_pes else temporal
            tied = depth < levels - 1 and d not in over_pes and rng.random() < 0.25
            text = mapper(clusters[depth], clusters[depth], d) if tied else plain(rng, left[d], d, mapper)
            level.append(text)
        rng.shuffle(level)
        found.append(level)
        left = {d: max(1, tile(rng, n)) if rng.random() < 0.5 else n for d, n in left.items()}
    return join(rng, found, clusters)
