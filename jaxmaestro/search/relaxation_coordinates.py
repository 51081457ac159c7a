"""Coordinates that a descent moves in: drawn, put into the relaxation, and rounded to mappings.

Every coordinate is a real number without constraints but for a box: a tile and the cluster are
shares of what they may be at most, on a logarithmic scale; spatial dimensions have logits; loops
have rank keys. The number of cluster levels is not descended on: each start keeps its own.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmaestro.description import DescriptionError
from jaxmaestro.encoding.slots import SLOTS
from jaxmaestro.mapspace import Genes, MappingSpace
from jaxmaestro.mapspace.choices import normal, uniform
from jaxmaestro.search.relaxation import LEVELS, Relaxed

Array = Any

REAL = jnp.float32

_NEVER = -1e9
"""Logit of a dimension that may not be spread."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Coordinates:
    """Points ``[...]``, float32."""

    two: Array  # 1: two cluster levels, 0: one
    tile: Array  # [..., 2, 8] in [0, 1]: log tile over log of the tile above
    cluster: Array  # [...] in [0, 1]: log PEs of a cluster over log of the most
    spatial: Array  # [..., 2, 8] logits
    order: Array  # [..., 2, 8] rank keys: the lowest is the outermost loop

    def moved(self, step: Coordinates) -> Coordinates:
        """The point after a step, put back into the box."""
        return Coordinates(
            two=self.two,
            tile=jnp.clip(self.tile + step.tile, 0, 1),
            cluster=jnp.clip(self.cluster + step.cluster, 0, 1),
            spatial=self.spatial + step.spatial,
            order=self.order + step.order,
        )


def check_levels(space: MappingSpace) -> None:
    """Raises DescriptionError where the space has no mappings of one or two cluster levels."""
    if space.options.least_levels > LEVELS:
        raise DescriptionError(
            f"the relaxation has one or two cluster levels, the space at least {space.options.least_levels}",
            fix="give mapping options with least_levels of 1 or 2, or another searcher",
        )


def drawn(space: MappingSpace, key: Array, count: int) -> Coordinates:
    """``count`` random points in the space of one layer."""
    most, least = min(space.depth, LEVELS), space.options.least_levels
    numbers = uniform(key, (count, 2 + 3 * LEVELS * SLOTS), REAL)
    two = numbers[:, 0] < _TWO_LEVELS if least < most else jnp.full(count, most == LEVELS)
    tile, spatial, order = jnp.moveaxis(numbers[:, 2:].reshape(count, 3, LEVELS, SLOTS), 1, 0)
    return Coordinates(
        two=two.astype(REAL),
        tile=tile,
        cluster=numbers[:, 1],
        spatial=_WIDTH * (spatial - 0.5),
        order=_WIDTH * (order - 0.5),
    )


_TWO_LEVELS = 2 / 3
"""Share of the points drawn that have two cluster levels, where a mapping may have either."""
_WIDTH = 12**0.5
"""Of a uniform distribution of deviation 1."""


def near(space: MappingSpace, genes: Genes, key: Array, spread: float) -> Coordinates:
    """Points ``[n]`` about mappings ``[n]``, off by normal noise of deviation ``spread``."""
    tile, spatial, order = (_two_levels(a) for a in (genes.tile, genes.spatial, genes.order))
    above = jnp.concatenate([jnp.broadcast_to(space.largest, tile[:, :1].shape), tile[:, :1]], 1)
    share = _log(tile) / jnp.maximum(_log(above), 1e-3)
    # A tile of 1 in one of 1 is as large as it may be.
    share = jnp.where(above > 1, share, 1)
    cluster = genes.cluster[:, 0] if space.depth > 1 else jnp.ones_like(genes.levels)
    point = Coordinates(
        two=(genes.levels > 1).astype(REAL),
        tile=share,
        cluster=_log(cluster) / jnp.maximum(_most(space), 1e-3),
        spatial=2 * jax.nn.one_hot(spatial, SLOTS, dtype=REAL),
        order=(order.astype(REAL) - (SLOTS - 1) / 2) / 2.5,
    )
    leaves, tree = jax.tree.flatten(point)
    sizes = [math.prod(leaf.shape[1:]) for leaf in leaves]
    noise = spread * normal(key, (len(leaves[0]), sum(sizes)), REAL)
    parts = jnp.split(noise, np.cumsum(sizes)[:-1].tolist(), axis=1)
    steps = [part.reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)]
    return point.moved(jax.tree.unflatten(tree, steps))


def placed(space: MappingSpace, point: Coordinates, temperature: Array | float) -> Relaxed:
    """The relaxed mapping at a point (no leading axes); the choices are sharper the lower the temperature."""
    spatial = jax.nn.softmax(jnp.where(space.spatial, point.spatial / temperature, _NEVER))
    # What is never tiled in time is as large as the tile above, as far as it is not spread.
    share = jnp.where(space.whole, 1 - spatial * (1 - point.tile), point.tile)
    top = share[0] * _log(space.largest)
    later = (point.order[:, :, None] - point.order[:, None, :]) / temperature
    return Relaxed(
        two=point.two,
        spatial=spatial,
        cluster=jnp.exp(point.cluster * _most(space)),
        outside=jax.nn.sigmoid(later) * (1 - jnp.eye(SLOTS, dtype=later.dtype)),
        tile=jnp.exp(jnp.stack([top, share[1] * top])),
    )


NOISE = LEVELS * SLOTS + 1
"""Numbers that tell apart several roundings of a point."""


def rounded(space: MappingSpace, point: Coordinates, noise: Array) -> Genes:
    """The mapping nearest to a point (no leading axes): each tile divides the one above.

    ``noise`` (``[NOISE]``) is added to the logarithms of tiles and cluster before.
    """
    spatial = jnp.argmax(jnp.where(space.spatial, point.spatial, -jnp.inf), -1).astype(jnp.int32)
    spread = spatial[:, None] == jnp.arange(SLOTS, dtype=jnp.int32)
    fixed = space.whole & ~spread
    above, tiles = jnp.asarray(space.largest), []
    for level in range(LEVELS):
        wanted = point.tile[level] * _log(above) + noise[level * SLOTS : (level + 1) * SLOTS]
        fits = above[:, None] % space.divisors == 0
        far = jnp.where(fits, jnp.abs(_log(space.divisors) - wanted[:, None]), jnp.inf)
        nearest = jnp.take_along_axis(jnp.asarray(space.divisors), jnp.argmin(far, 1)[:, None], 1)[:, 0]
        above = jnp.where(fixed[level], above, nearest)
        tiles.append(above)
    logarithm = point.cluster * _most(space) + noise[-1]
    order = jnp.argsort(jnp.argsort(point.order, axis=-1), axis=-1).astype(jnp.int32)
    found = Genes(
        levels=jnp.where(point.two > 0.5, 2, 1).astype(jnp.int32),
        spatial=_levels(spatial, space.depth),
        cluster=jnp.full(space.depth - 1, jnp.round(jnp.exp(logarithm)), jnp.int32),
        order=_levels(order, space.depth),
        tile=_levels(jnp.stack(tiles), space.depth),
    )
    return space.repair(found)


def _log(whole: Array) -> Array:
    return jnp.log(jnp.asarray(whole).astype(REAL))


def _most(space: MappingSpace) -> Array:
    """Logarithm of the largest cluster."""
    return _log(jnp.minimum(jnp.asarray(space.cluster_sizes)[-1], space.num_pes))


def _two_levels(genes: Array) -> Array:
    """The first two levels of ``[n, L, ...]``, the last repeated where there is one."""
    return jnp.concatenate([genes[:, :1], genes[:, min(1, genes.shape[1] - 1)][:, None]], 1)


def _levels(two: Array, depth: int) -> Array:
    """Two levels as the space holds them, ``[L, ...]``."""
    return two[jnp.minimum(jnp.arange(depth), LEVELS - 1)]
