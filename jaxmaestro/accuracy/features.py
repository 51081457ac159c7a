"""Architectures as numbers for the predictors: pure functions of structs of arrays.

Both are made so that networks which are the same have the same features.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmaestro.spaces.alphanet import Configurations
from jaxmaestro.spaces.nasbench301 import NODES, OPERATIONS, Genotypes

Array = Any

RESOLUTIONS = (192, 224, 256, 288)
KERNELS = (3, 5, 7)
EXPANSIONS = (4, 5, 6)
DEPTHS = ((3, 4, 5), (3, 4, 6), (3, 4, 6), (3, 4, 6), (3, 4, 6))
"""Values of the table that the AlphaNet predictor learned from; mb2 has five blocks at the most.

Stages mb2 to mb6 are free there; all widths and the stages mb1 and mb7 are fixed.
"""

FIXED_WIDTHS = (16, 16, 24, 32, 64, 112, 192, 216, 1792)
_FREE = slice(1, 6)
_EDGES = sum(node + 2 for node in range(NODES))


def alphanet(config: Configurations) -> Array:
    """Features of AlphaNet configurations, float32 ``[n, 33]``.

    A choice of k values has k - 1 features: how far it is on the way from each value of the
    table to the next, -1 to 1. So values in between are interpolated, those beyond count as the
    last, and what the table holds fixed has no feature. They are centred because a network
    learned from 0 to 1 was wrong by up to a point where all are 0, a corner that a random table
    hardly has and a search for cheap networks ends in.
    """
    parts = [_steps(jnp.asarray(config.resolution)[:, None], RESOLUTIONS)]
    for field, values in ((config.kernel, KERNELS), (config.expansion, EXPANSIONS)):
        parts.append(_steps(jnp.asarray(field)[:, _FREE], values))
    depth = jnp.asarray(config.depth)[:, _FREE]
    parts += [_steps(depth[:, stage : stage + 1], values) for stage, values in enumerate(DEPTHS)]
    return jnp.concatenate(parts, 1)


def in_alphanet_table(config: Configurations) -> np.ndarray:
    """Which configurations have only values that the table has, bool ``[n]``."""
    known = np.isin(config.resolution, RESOLUTIONS)
    known &= (np.asarray(config.width) == FIXED_WIDTHS).all(1)
    for field, values, ends in ((config.kernel, KERNELS, (3, 3)), (config.expansion, EXPANSIONS, (1, 6))):
        field = np.asarray(field)
        known &= np.isin(field[:, _FREE], values).all(1) & (field[:, [0, -1]] == ends).all(1)
    depth = np.asarray(config.depth)
    known &= (depth[:, [0, -1]] == 1).all(1)
    for stage, values in enumerate(DEPTHS, start=1):
        known &= np.isin(depth[:, stage], (*values, 6))
    return known


def nasbench301(genotypes: Genotypes) -> Array:
    """Features of DARTS genotypes, float32 ``[n, 196]``: which operation is on which edge.

    One for each cell, pair of node and input, and operation. The order of a node's two
    edges, which does not change the network, does not change them.
    """
    first = jnp.array([node * (node + 3) // 2 for node in range(NODES)])
    edge = jax.nn.one_hot(first[:, None] + jnp.asarray(genotypes.inputs), _EDGES)
    operation = jax.nn.one_hot(jnp.asarray(genotypes.operations), len(OPERATIONS))
    found = jnp.einsum("ncjke,ncjko->nceo", edge, operation)
    return found.reshape(len(found), 2 * _EDGES * len(OPERATIONS))


def _steps(values: Array, known: tuple[int, ...]) -> Array:
    """``[n, m]`` to ``[n, m * (k - 1)]``, see :func:`alphanet`."""
    points, values = jnp.array(known, jnp.float32), values.astype(jnp.float32)
    way = (values[..., None] - points[:-1]) / (points[1:] - points[:-1])
    return (2 * jnp.clip(way, 0, 1) - 1).reshape(len(values), values.shape[1] * (len(known) - 1))
