"""Operators on mappings: GAMMA's (Kao and Krishna, ICCAD 2020), as array programs over a population.

Each works on the genes ``[p]`` of one layer and numbers in [0, 1) drawn beforehand, changes some of
them at a rate, and leaves repairing to the end.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax.numpy as jnp

from jaxmaestro.encoding.slots import SLOTS
from jaxmaestro.mapspace import Genes, MappingSpace
from jaxmaestro.mapspace.choices import uniform

Array = Any


@dataclasses.dataclass(frozen=True)
class Rates:
    """How often a child is changed in each way, 0 to 1; the defaults are GAMMA's where it has them."""

    crossover: float = 0.57  # the tiles of a dimension, at every level, from the other parent
    exchange: float = 0.0  # a level's order, spatial dimension and cluster from the other parent
    order: float = 0.47  # two loops of a level change places
    tile: float = 0.53  # a tile changes; tried `tiles` times
    tiles: int = 3
    spatial: float = 0.08  # a level gets another spatial dimension
    swap: float = 0.1  # two levels exchange their spatial dimensions
    cluster: float = 0.08  # a cluster grows or shrinks
    fit: float = 0.0  # the spatial tile of a level is set so that its sub-clusters are used evenly
    grow: float = 0.1  # a level is added
    shrink: float = 0.1  # a level is taken away
    uniform: float = 1.0  # share of new tiles drawn from all; the others divide evenly or are next to the old


TUNED = Rates(
    crossover=0.8,
    exchange=0.1,
    order=0.35,
    tile=0.6,
    tiles=3,
    spatial=0.2,
    swap=0.05,
    cluster=0.3,
    fit=0.4,
    grow=0.05,
    shrink=0.05,
    uniform=0.5,
)
"""Rates that find better mappings with as many evaluations (docs/search.md)."""


def beginners(space: MappingSpace, key: Array, count: int) -> Genes:
    """Mappings to begin with: random, every second with tiles of 1 innermost, every eighth at all levels.

    Small tiles fit into small buffers, which few mappings drawn from the whole space do.
    """
    genes = space.sample(key, count)
    number = jnp.arange(count, dtype=jnp.int32)[:, None]
    level = jnp.arange(space.depth, dtype=jnp.int32)
    small = (number % 2 == 1) & (level >= genes.levels[:, None] - 1)
    small |= number % 8 == 1
    return space.repair(dataclasses.replace(genes, tile=jnp.where(small[..., None], 1, genes.tile)))


def vary(space: MappingSpace, genes: Genes, mates: Genes, key: Array, rates: Rates) -> Genes:
    """Children ``[p]`` of parents and mates ``[p]``, repaired."""
    draws = _Draws(uniform(key, (_COUNT + 5 * rates.tiles, *genes.shape)))
    tiled = jnp.asarray(space.largest) > 1
    genes = _crossover(genes, mates, draws, rates, tiled)
    genes = _order(genes, draws, rates, jnp.asarray(space.extent) > 1)
    genes = _spatial(space, genes, draws, rates)
    genes = _cluster(space, genes, draws, rates)
    genes = _levels(space, genes, draws, rates)
    genes = _fit(space, genes, draws, rates)
    for _ in range(rates.tiles):
        genes = _tile(space, genes, draws, rates, tiled)
    return space.repair(genes)


_COUNT = 26


class _Draws:
    """Rows of numbers in [0, 1), each handed out once."""

    def __init__(self, numbers: Array) -> None:
        self._numbers, self._next = numbers, 0

    def __call__(self) -> Array:
        self._next += 1
        return self._numbers[self._next - 1]

    def below(self, count: Array | int) -> Array:
        """Whole numbers from 0 to ``count - 1``, int32."""
        return _scaled(self(), count)

    def level(self, genes: Genes) -> Array:
        """One of the levels in use, as a mask ``[p, L]``."""
        return _one_hot(self.below(genes.levels), genes.spatial.shape[1])

    def slot(self, mask: Array) -> Array:
        """One of the slots of ``mask [8]``, int32 ``[p]``."""
        ordered = jnp.argsort(~mask, stable=True).astype(jnp.int32)
        return ordered[self.below(mask.sum(dtype=jnp.int32))]


def _scaled(uniform: Array, count: Array | int) -> Array:
    number = (uniform * jnp.asarray(count, jnp.float32)).astype(jnp.int32)
    return jnp.clip(number, 0, jnp.maximum(jnp.asarray(count, jnp.int32) - 1, 0))


def _one_hot(index: Array, size: int) -> Array:
    return index[:, None] == jnp.arange(size, dtype=jnp.int32)


def _crossover(genes: Genes, mates: Genes, draws: _Draws, rates: Rates, tiled: Array) -> Genes:
    taken = (draws() < rates.crossover)[:, None] & _one_hot(draws.slot(tiled), SLOTS)
    tile = jnp.where(taken[:, None, :], mates.tile, genes.tile)
    level = (draws() < rates.exchange)[:, None] & draws.level(genes)
    closing = level[:, : genes.cluster.shape[1]]
    return dataclasses.replace(
        genes,
        tile=tile,
        spatial=jnp.where(level, mates.spatial, genes.spatial),
        order=jnp.where(level[..., None], mates.order, genes.order),
        cluster=jnp.where(closing, mates.cluster, genes.cluster),
    )


def _order(genes: Genes, draws: _Draws, rates: Rates, turning: Array) -> Genes:
    level = ((draws() < rates.order)[:, None] & draws.level(genes))[..., None]
    one, other = (_one_hot(draws.slot(turning), SLOTS)[:, None, :] for _ in range(2))
    key_one, key_other = ((genes.order * mask).sum(-1, keepdims=True) for mask in (one, other))
    swapped = jnp.where(one, key_other, jnp.where(other, key_one, genes.order))
    return dataclasses.replace(genes, order=jnp.where(level, swapped, genes.order).astype(jnp.int32))


def _spatial(space: MappingSpace, genes: Genes, draws: _Draws, rates: Rates) -> Genes:
    level = (draws() < rates.spatial)[:, None] & draws.level(genes)
    spatial = jnp.where(level, draws.slot(jnp.asarray(space.spatial))[:, None], genes.spatial)
    # The top level and the one below change places.
    swap = (draws() < rates.swap)[:, None]
    if space.depth > 1:
        rolled = jnp.concatenate([spatial[:, 1::-1], spatial[:, 2:]], 1)
        spatial = jnp.where(swap, rolled, spatial)
    return dataclasses.replace(genes, spatial=spatial)


def _cluster(space: MappingSpace, genes: Genes, draws: _Draws, rates: Rates) -> Genes:
    """A cluster gets any size, twice or half its own, as many as it has tiles for, or a share of all PEs."""
    closings = genes.cluster.shape[1]
    if closings == 0:
        return genes
    chosen = _one_hot(draws.below(jnp.maximum(genes.levels - 1, 1)), closings)
    chosen &= (draws() < rates.cluster)[:, None]
    sizes = jnp.asarray(space.cluster_sizes)
    anything = sizes[draws.below(len(sizes))]
    own = jnp.where(chosen, genes.cluster, 0).sum(1)
    other = jnp.where(draws() < 0.5, own * 2, own // 2)
    # Tiles of the spatial dimension of the level below, in one of this level's.
    spread = genes.spatial[:, 1:, None] == jnp.arange(SLOTS, dtype=jnp.int32)
    above, below = (jnp.where(spread, tile, 0).sum(-1) for tile in (genes.tile[:, :-1], genes.tile[:, 1:]))
    needed = jnp.where(chosen, -(-above // jnp.maximum(below, 1)), 0).sum(1)
    share = space.num_pes // (1 + draws.below(jnp.minimum(space.num_pes, 32)))
    kind = draws.below(4)
    size = jnp.select([kind == 0, kind == 1, kind == 2], [anything, other, needed], share)
    return dataclasses.replace(
        genes, cluster=jnp.where(chosen, size[:, None], genes.cluster).astype(jnp.int32)
    )


def _levels(space: MappingSpace, genes: Genes, draws: _Draws, rates: Rates) -> Genes:
    number = draws()
    change = (number < rates.grow).astype(jnp.int32)
    change -= ((number >= rates.grow) & (number < rates.grow + rates.shrink)).astype(jnp.int32)
    levels = jnp.clip(genes.levels + change, space.options.least_levels, space.depth)
    return dataclasses.replace(genes, levels=levels.astype(jnp.int32))


def _fit(space: MappingSpace, genes: Genes, draws: _Draws, rates: Rates) -> Genes:
    """The spatial tile of a level becomes its dimension over a whole number of rounds of its sub-clusters."""
    level = draws.level(genes)
    closings = genes.cluster.shape[1]
    used = jnp.arange(closings, dtype=jnp.int32) < genes.levels[:, None] - 1
    sizes = jnp.where(used, genes.cluster, 1)
    units = jnp.concatenate([(space.num_pes // jnp.maximum(sizes.prod(1), 1))[:, None], sizes], 1)
    at = level[..., None] & (genes.spatial[..., None] == jnp.arange(SLOTS, dtype=jnp.int32))
    above = jnp.where(at, _above(space, genes), 0).sum((1, 2))
    # Few rounds are likelier.
    rounds = jnp.exp(draws() * jnp.log(above.astype(jnp.float32))).astype(jnp.int32)
    at_once = jnp.where(level, units, 0).sum(1) * jnp.maximum(rounds, 1)
    tile = jnp.where(at, (-(-above // jnp.maximum(at_once, 1)))[:, None, None], genes.tile)
    chosen = (draws() < rates.fit)[:, None, None]
    return dataclasses.replace(genes, tile=jnp.where(chosen, tile, genes.tile).astype(jnp.int32))


def _above(space: MappingSpace, genes: Genes) -> Array:
    """What each level tiles: the tile of the level above."""
    whole = jnp.broadcast_to(jnp.asarray(space.largest), genes.tile[:, :1].shape)
    return jnp.concatenate([whole, genes.tile[:, :-1]], 1)


def _tile(space: MappingSpace, genes: Genes, draws: _Draws, rates: Rates, tiled: Array) -> Genes:
    slot = draws.slot(tiled)
    level = draws.level(genes)
    chosen = ((draws() < rates.tile)[:, None] & level)[..., None] & _one_hot(slot, SLOTS)[:, None, :]
    at = level[..., None] & _one_hot(slot, SLOTS)[:, None, :]
    above = jnp.where(at, _above(space, genes), 0).sum((1, 2))
    own = jnp.where(at, genes.tile, 0).sum((1, 2))
    uniform, kind = draws(), draws()
    rest = (kind - rates.uniform) / max(1 - rates.uniform, 1e-6)
    # Even tiles: any divisor, or the next one up or down.
    table = jnp.asarray(space.divisors)[slot]
    new = jnp.concatenate([jnp.ones_like(table[:, :1], bool), jnp.diff(table) > 0], 1)
    fits = new & (above[:, None] % table == 0)
    place = jnp.cumsum(fits, 1, dtype=jnp.int32) - 1
    here = jnp.where(fits & (table <= own[:, None]), place, 0).max(1)
    beside = jnp.clip(here + jnp.where(uniform < 0.5, -1, 1), 0, place[:, -1])
    number = jnp.where(kind < rates.uniform, _scaled(uniform, place[:, -1] + 1), beside)
    even = jnp.where(fits & (place == number[:, None]), table, 0).sum(1)
    # Others: any; so many pieces of like size, few being likelier; a divisor of the whole; one more or less.
    anything = 1 + _scaled(uniform, above)
    pieces = jnp.exp(uniform * jnp.log(above.astype(jnp.float32))).astype(jnp.int32)
    parted = -(-above // jnp.maximum(pieces, 1))
    small = _scaled(uniform, (new & (table <= above[:, None])).sum(1, dtype=jnp.int32))
    divisor = jnp.take_along_axis(table, small[:, None], 1)[:, 0]
    next_to = own + jnp.where(uniform < 0.5, -1, 1)
    ragged = jnp.select([kind < rates.uniform, rest < 0.35, rest < 0.8], [anything, parted, divisor], next_to)
    new_tile = jnp.where(jnp.asarray(space.even)[slot], even, ragged)
    tile = jnp.where(chosen, new_tile[:, None, None], genes.tile)
    return dataclasses.replace(genes, tile=tile.astype(jnp.int32))
