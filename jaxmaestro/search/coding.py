"""Mappings as points of a cube, for searchers of continuous spaces."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from jaxmaestro.encoding.slots import SLOTS
from jaxmaestro.mapspace import Genes, MappingSpace

Array = Any


def dimensions(space: MappingSpace) -> int:
    """How many coordinates a mapping has: levels, clusters, and three by level and slot."""
    return 1 + (space.depth - 1) + 3 * space.depth * SLOTS


def decoded(space: MappingSpace, points: Array) -> Genes:
    """The mappings ``[p]`` of points ``[p, d]``, repaired; coordinates outside [0, 1] are reflected.

    Sizes go by the logarithm of a coordinate's share, the spatial dimension is the allowed one of
    the largest coordinate, and loops are in the order of theirs.
    """
    inside = points.astype(jnp.float32) % 2
    inside = jnp.where(inside > 1, 2 - inside, inside)
    depth, rows = space.depth, points.shape[0]
    levels, cluster, rest = inside[:, 0], inside[:, 1:depth], inside[:, depth:]
    spatial, order, tile = jnp.moveaxis(rest.reshape(rows, 3, depth, SLOTS), 1, 0)
    range_of_levels = depth - space.options.least_levels + 1
    largest = jnp.asarray(space.largest).astype(jnp.float32)
    genes = Genes(
        levels=space.options.least_levels + jnp.floor(levels * range_of_levels).astype(jnp.int32),
        spatial=jnp.argmax(jnp.where(space.spatial, spatial, -1), -1).astype(jnp.int32),
        cluster=_share(cluster, jnp.asarray(space.num_pes).astype(jnp.float32)),
        order=jnp.argsort(jnp.argsort(order, -1), -1).astype(jnp.int32),
        tile=_share(tile, largest),
    )
    return space.repair(genes)


def _share(coordinate: Array, largest: Array) -> Array:
    """From 1 at 0 to ``largest`` at 1, rounded: equal steps are equal ratios."""
    return jnp.maximum(jnp.round(jnp.exp(coordinate * jnp.log(largest))), 1).astype(jnp.int32)
