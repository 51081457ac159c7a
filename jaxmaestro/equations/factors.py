"""Elements along each dimension: the factors of the output volumes of a level.

MICRO'19, reuse analysis. A volume is a product over dimensions; what a dimension
contributes depends on whether its loop is in its edge state and, if it is
spatially mapped, on which sub-cluster is meant: the first, one of those following
it, or the ragged last one. Nothing here depends on the case, so a level computes
its factors once.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxmaestro.equations.cases import States
from jaxmaestro.equations.spatial import SpatialMaps, Work, of_maps

Array = Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Factor:
    """Factors by directive or map, arrays ``[r, c]``: away from the edge state, and in it."""

    whole: Array
    edge: Array

    def product(self, edge: Array, count: Any) -> Array:
        """The volume ``[c]`` where ``edge`` (bool ``[r, c]``) says which loops are in their edge state."""
        return jnp.prod(jnp.where(edge, self.edge, self.whole), axis=0, dtype=count)

    def only(self, rows: Array) -> Factor:
        """The factors of some rows, 1 for the others."""
        return Factor(jnp.where(rows, self.whole, 1), jnp.where(rows, self.edge, 1))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Factors:
    """Factors of work (partial sums) and of egress (outputs).

    ``kept`` and ``reduced`` are the temporal maps, which all sub-clusters share:
    egress is over the kept dimensions, work over both. The others are the spatial
    maps ``[2, c]``: ``work`` of the first sub-cluster, ``work_ragged`` of a single
    ragged one, ``work_last`` of the ragged last of several; likewise for egress, where
    ``egress_next`` is a following sub-cluster's: what it does not share.
    """

    kept: Factor
    reduced: Factor
    work: Factor
    work_ragged: Factor
    work_last: Factor
    egress: Factor
    egress_ragged: Factor
    egress_next: Factor
    egress_last: Factor


def output_factors(work: Work, maps: SpatialMaps, states: States, single: Array) -> Factors:
    """Factors of outputs and partial sums; ``single`` bool ``[c]``: one sub-cluster is active at the edge."""
    temporal = Factor(jnp.where(states.init_edge, work.mapped_edge, work.mapped), work.mapped_edge)
    m, me, u, ue, alone = maps.mapped, maps.mapped_edge, maps.unique, maps.unique_edge, maps.alone
    init_edge = of_maps(maps, states.init_edge)
    new = jnp.where(u != 0, u, 1)
    first = Factor(m, jnp.where(single, alone, m))
    ragged = Factor(jnp.where(init_edge, me, m), alone)
    return Factors(
        kept=temporal.only(work.kept & ~work.spatial),
        reduced=temporal.only(~work.kept & ~work.spatial),
        work=first,
        work_ragged=ragged,
        work_last=Factor(jnp.where(init_edge, me, new), ue),
        egress=first.only(maps.kept),
        egress_ragged=ragged.only(maps.kept),
        egress_next=Factor(new, new).only(maps.kept),
        egress_last=Factor(jnp.where(init_edge, ue, new), ue).only(maps.kept),
    )
