"""Mappings as arrays: what the searchers vary."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp

Array = Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Genes:
    """Mappings, int32 arrays with any leading axes, here ``[n]``; L levels, top first; 8 slots.

    Levels from ``levels[n]`` on are not there; their genes are kept, so that a level can come back.
    A tile of Y or X of a convolution counts outputs, that of any other dimension elements.
    """

    levels: Array  # [n] cluster levels that are used
    spatial: Array  # [n, L] slot of the level's spatial map
    cluster: Array  # [n, L-1] size of the Cluster that closes the level: sub-clusters (or PEs) of the next
    order: Array  # [n, L, 8] rank keys: the lowest is the outermost loop
    tile: Array  # [n, L, 8] tile by slot

    @property
    def shape(self) -> tuple[int, ...]:
        """The leading axes."""
        return tuple(self.levels.shape)

    def __getitem__(self, index: Any) -> Genes:
        """Genes indexed along the leading axes."""
        return jax.tree.map(lambda a: a[index], self)

    def flat(self) -> Genes:
        """The same with one leading axis."""
        axes = len(self.shape)
        return jax.tree.map(lambda a: a.reshape(math.prod(a.shape[:axes]), *a.shape[axes:]), self)


def where(mask: Array, left: Genes, right: Genes) -> Genes:
    """``left`` where the mask (over leading axes) holds, else ``right``."""

    def choose(a: Array, b: Array) -> Array:
        return jnp.where(mask.reshape(mask.shape + (1,) * (a.ndim - mask.ndim)), a, b)

    return jax.tree.map(choose, left, right)
