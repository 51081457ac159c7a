"""Elements along each dimension, by loop state: the factors of every volume of a level.

MICRO'19, reuse analysis. A volume is a product over dimensions; what a dimension
contributes depends on the state of its loop and on which sub-cluster is meant:
the first, one of those following it, or the ragged last one. Nothing here
depends on the case, so a level computes its factors once.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxmaestro.encoding.slots import OUTPUT, SLOTS
from jaxmaestro.equations.cases import Case, States
from jaxmaestro.equations.tiles import Tiles

Array = Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Factor:
    """One factor by row and state, arrays ``[r, v, b]`` (or broadcastable)."""

    init: Array
    steady: Array
    edge: Array

    def product(self, case: Case, count: Any) -> Array:
        """The volume in a case, ``[v, b]``."""
        return jnp.prod(case.pick(self.init, self.steady, self.edge), axis=0, dtype=count)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Factors:
    """Factors of work (partial sums) and of egress (outputs).

    ``work`` is of the first sub-cluster, ``work_ragged`` of a single ragged one,
    ``work_last`` of the ragged last of several; likewise for egress, where
    ``egress_next`` is a following sub-cluster's: what it does not share.
    """

    work: Factor
    work_ragged: Factor
    work_last: Factor
    egress: Factor
    egress_ragged: Factor
    egress_next: Factor
    egress_last: Factor


@jax.jit
def output_factors(tiles: Tiles, states: States, coupled: Array) -> Factors:
    """Factors of outputs and partial sums; ``coupled`` bool ``[3, 8, b]``.

    Dimensions that the output depends on count in output elements and by their
    first directive; the others are reduced: they multiply the work alone.
    """
    single = tiles.edge_clusters == 1
    outer = coupled[OUTPUT][:, None]  # [8, 1, b]
    keep = _kept(tiles, states, single)
    cut = _reduced(tiles, states, single)
    if tiles.doubled is not None:
        # The ninth row multiplies the work where its dimension is reduced.
        ninth = tiles.of_doubled(coupled[OUTPUT], True)[None, None]
        outer = jnp.concatenate([outer, ninth])
        pad = jnp.zeros((1, 1, 1), bool)
        egress_rows = jnp.concatenate([coupled[OUTPUT][:, None], jnp.broadcast_to(pad, ninth.shape)])
    else:
        egress_rows = outer

    def choose(condition: Array, then: Factor, otherwise: Factor | None) -> Factor:
        def one(name: str) -> Array:
            value = getattr(then, name)
            if tiles.doubled is not None and value.shape[0] == SLOTS:
                value = jnp.concatenate([value, jnp.ones_like(value[:1])])
            return jnp.where(condition, value, 1 if otherwise is None else getattr(otherwise, name))

        return Factor(one("init"), one("steady"), one("edge"))

    return Factors(
        work=choose(outer, keep.first, cut.first),
        work_ragged=choose(outer, keep.ragged, cut.ragged),
        work_last=choose(outer, keep.last_whole, cut.last_whole),
        egress=choose(egress_rows, keep.first, None),
        egress_ragged=choose(egress_rows, keep.ragged, None),
        egress_next=choose(egress_rows, keep.following, None),
        egress_last=choose(egress_rows, keep.last, None),
    )


@dataclasses.dataclass(frozen=True)
class _Representatives:
    first: Factor
    ragged: Factor
    following: Factor
    last: Factor
    last_whole: Factor


def _kept(tiles: Tiles, states: States, single: Array) -> _Representatives:
    """Dimensions of the output, in output elements, ``[8, v, b]``."""
    sizes = (tiles.out_mapped, tiles.out_mapped_edge, tiles.out_unique, tiles.out_unique_edge)
    # A lone sub-cluster at the edge is priced by its input tile there, not the output tile.
    alone = tiles.mapped_edge[:SLOTS]
    return _representatives(sizes, alone, tiles.first_spatial, states.init_edge[:SLOTS], single)


def _reduced(tiles: Tiles, states: States, single: Array) -> _Representatives:
    """Dimensions that are summed over, ``[r, v, b]``."""
    sizes = (tiles.mapped, tiles.mapped_edge, tiles.unique, tiles.unique_edge)
    return _representatives(sizes, tiles.mapped_edge, tiles.spatial, states.init_edge, single)


def _representatives(
    sizes: tuple[Array, Array, Array, Array], alone: Array, spatial: Array, init_edge: Array, single: Array
) -> _Representatives:
    """Factors from the sizes of a tile (whole, ragged, not shared, ragged not shared), ``[r, b]``."""
    m, me, u, ue, alone, spatial = (a[:, None] for a in (*sizes, alone, spatial))
    new = jnp.where(u != 0, u, 1)
    ragged_init = jnp.where(init_edge, me, m)

    def factor(init: Array, steady: Array, edge: Array) -> Factor:
        return Factor(
            jnp.where(spatial, init, ragged_init),
            jnp.where(spatial, steady, m),
            jnp.where(spatial, edge, me),
        )

    return _Representatives(
        first=factor(m, m, jnp.where(single, alone, m)),
        ragged=factor(ragged_init, m, alone),
        following=factor(new, new, new),
        last=factor(jnp.where(init_edge, ue, new), new, ue),
        last_whole=factor(jnp.where(init_edge, me, new), new, ue),
    )
