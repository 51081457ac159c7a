"""From genes to directives: as the table that the cost function reads, and as words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from jaxmaestro.description import Cluster, Dataflow, Directive, SpatialMap, TemporalMap
from jaxmaestro.encoding import slots
from jaxmaestro.encoding.tables import MappingTable
from jaxmaestro.mapspace.genes import Genes

if TYPE_CHECKING:
    from jaxmaestro.mapspace.space import MappingSpace

Array = Any

_NO_EXTRA = (-1, 0, 1, -1, 1, -1, 0)


def table(space: MappingSpace, genes: Genes) -> MappingTable:
    """The directives of genes ``[n]`` of one layer; in elements, over inputs."""
    kind, size, offset = _maps(space, genes)
    like = jnp.zeros_like(kind)
    rows, depth = kind.shape[:2]
    cluster = jnp.concatenate([genes.cluster, jnp.ones((rows, 1), jnp.int32)], 1)
    return MappingTable(
        kind=kind,
        size=size,
        size_sz=like - 1,
        offset=offset,
        offset_sz=like - 1,
        position=genes.order.astype(jnp.int32),
        output_centric=like.astype(bool),
        extra=jnp.broadcast_to(jnp.array(_NO_EXTRA, jnp.int32), (rows, depth, len(_NO_EXTRA))),
        cluster=cluster.astype(jnp.int32),
        cluster_sz=jnp.full((rows, depth), -1, jnp.int32),
        levels=genes.levels.astype(jnp.int32),
        gemm=jnp.broadcast_to(~jnp.asarray(space.layers.sliding), (rows,)),
        flags=jnp.zeros(rows, jnp.uint32),
    )


def _maps(space: MappingSpace, genes: Genes) -> tuple[Array, Array, Array]:
    """Kinds (0 none, 1 temporal, 2 spatial), sizes and offsets of directives, int32 ``[n, L, 8]``."""
    spread = genes.spatial[..., None] == jnp.arange(slots.SLOTS, dtype=jnp.int32)
    # A filter that a level above has split is left unnamed: the level takes what it is given.
    named = space.named & (spread | ~space.whole | (genes.tile == space.extent))
    kind = jnp.where(named, jnp.where(spread, 2, 1), 0)
    tile = jnp.asarray(genes.tile)
    size, offset = tile, tile * space.stride
    for axis, window in slots.SLIDES_OVER.items():
        # t outputs need (t - 1) strides and a filter of inputs.
        rows = (tile[..., axis] - 1) * space.stride[axis] + tile[..., window]
        rows = jnp.where(space.layers.sliding, rows, tile[..., axis])
        size = size.at[..., axis].set(rows)
    return kind.astype(jnp.int32), size.astype(jnp.int32), offset.astype(jnp.int32)


def dataflow(space: MappingSpace, genes: Genes) -> Dataflow:
    """One mapping (genes without leading axes) in words, outermost loop first."""
    kind, size, offset = (np.asarray(a)[0] for a in _maps(space, genes[None]))
    sliding = bool(space.layers.sliding)
    names = {slot: name for name, slot in (slots.CONVOLUTION_SLOT if sliding else slots.GEMM_SLOT).items()}
    found: list[Directive] = []
    for level in range(int(genes.levels)):
        if level:
            found.append(Cluster(int(genes.cluster[level - 1])))
        for slot in np.argsort(np.asarray(genes.order)[level], kind="stable").tolist():
            if kind[level, slot]:
                directive = SpatialMap if kind[level, slot] == 2 else TemporalMap
                found.append(directive(int(size[level, slot]), int(offset[level, slot]), names[slot]))
    return Dataflow(tuple(found))
