"""Reuse and traffic of one iteration case (MICRO'19, reuse analysis).

The innermost loop that moved decides what is new: loops outside it kept their
tile, loops inside it started over. A tensor that does not depend on the loop
that moved stays where it is (stationary); one that does is fetched again, less
what the tile before (temporal reuse) and the neighbour (spatial reuse, multicast
and forwarding) already hold.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax.numpy as jnp

from jaxmaestro.encoding.slots import OUTPUT, SLOTS
from jaxmaestro.equations.cases import Case
from jaxmaestro.equations.factors import Factors
from jaxmaestro.equations.tiles import Tiles

Array = Any


@dataclasses.dataclass(frozen=True)
class Spread:
    """How something lies over the sub-clusters in a case; bool arrays ``[v, b]``."""

    mapped: Array  # some dimension of it is spatially mapped
    edge: Array  # ... and is at its edge
    ragged: Array  # ... and the last active sub-cluster holds a ragged tile


def tensor_spread(tiles: Tiles, case: Case, coupled: Array) -> Spread:
    """Spread of a tensor (``coupled`` bool ``[8, b]``).

    Of two spatial maps the later dimension in slot order decides raggedness.
    """
    here = (coupled & tiles.first_spatial)[:, None]
    place = jnp.where(here, jnp.arange(SLOTS)[:, None, None], -1)
    decides = (place == place.max(0)) & here
    return Spread(here.any(0), (here & case.at_edge[:SLOTS]).any(0), (decides & case.ragged[:SLOTS]).any(0))


def array_spread(tiles: Tiles, case: Case) -> Spread:
    """Spread of the work: over any spatial map; the innermost one decides raggedness."""
    spatial = tiles.spatial
    rank = jnp.where(spatial, tiles.rank, -3)
    decides = (spatial & (rank == rank.max(0)))[:, None]
    return Spread(jnp.bool_(True), (spatial[:, None] & case.at_edge).any(0), (decides & case.ragged).any(0))


def outer_spread(tiles: Tiles, case: Case) -> Spread:
    """Spread over the outermost spatial map, which decides how many sub-clusters are active."""
    rank = jnp.where(tiles.spatial, tiles.rank, SLOTS + 2)
    decides = (tiles.spatial & (rank == rank.min(0)))[:, None]
    return Spread(jnp.bool_(True), (decides & case.at_edge).any(0), (decides & case.ragged).any(0))


def over_subclusters(tiles: Tiles, spread: Spread, first: Array, following: Array, last: Array) -> Array:
    """Sum of a volume over the active sub-clusters, from its three representatives.

    ``first`` must already be the ragged volume where a single ragged one is active.
    """
    p, e = tiles.clusters.astype(first.dtype), tiles.edge_clusters.astype(first.dtype)
    ragged = spread.ragged.astype(first.dtype)
    full = jnp.maximum(e - ragged - 1, 0)
    at_edge = jnp.where(e > 1, full * following + ragged * last, 0)
    others = jnp.where(spread.edge, at_edge, (p - 1) * following)
    return first + jnp.where(spread.mapped, others, 0)


def changing_loop(tiles: Tiles, case: Case) -> Array:
    """Rank of the innermost loop that is not in its first tile, ``[v, b]``; -1: none."""
    rank = jnp.where(case.init[:SLOTS], -1, tiles.rank[:SLOTS, None])
    return rank.max(0)


def ingress_traffic(
    tiles: Tiles, case: Case, changing: Array, coupled: Array, count: Any
) -> tuple[Array, Array]:
    """Elements of an input tensor that the case brings into its sub-clusters.

    ``changing`` is :func:`changing_loop`, ``coupled`` bool ``[8, b]``. Returns the
    traffic and whether the reference terminates here (a fully unrolled dimension
    is asked for its next tile), arrays ``[v, b]``.
    """
    spread = tensor_spread(tiles, case, coupled)
    rank = tiles.rank[:, None]
    spatial = tiles.spatial[:, None]
    depends = tiles.with_ninth(coupled, False)[:, None]
    inside = rank > changing
    restarted = (depends & inside & case.init & ~case.unrolled).any(0)
    moves = depends & (rank == changing)
    everything = changing < 0
    m, me, u, ue = (a[:, None] for a in (tiles.mapped, tiles.mapped_edge, tiles.unique, tiles.unique_edge))
    single = tiles.edge_clusters == 1
    lone_ragged = spread.mapped & spread.edge & single & spread.ragged

    slides = moves & ~restarted
    # Temporal reuse: of the loop that moved, only what is new.
    held = jnp.where(case.at_edge, me, m)
    temporal = jnp.where(case.init, held, jnp.where(slides, jnp.maximum(u, 1), m))
    # Spatial reuse: a following sub-cluster gets only what its neighbour does not have.
    shares = jnp.where(case.init, inside & ~everything, slides)
    rest = jnp.where(everything, held, me)
    first = jnp.where(jnp.where(everything, case.at_edge & single, lone_ragged), me, m)
    volumes = (first, jnp.where(shares, u, m), jnp.where(shares, ue, rest))
    products = [
        jnp.prod(jnp.where(depends, jnp.where(spatial, v, temporal), 1), axis=0, dtype=count) for v in volumes
    ]
    total = over_subclusters(tiles, spread, *products)
    terminates = (slides & ~spatial & ~case.init & (u == 0)).any(0)
    return jnp.where(everything | moves.any(0), total, 0), terminates


@dataclasses.dataclass(frozen=True)
class Outputs:
    """Output traffic and work of a case, arrays ``[v, b]``."""

    egress: Array  # output elements that leave the sub-clusters
    partial_sums: Array  # MACs on the critical path: of the busiest sub-cluster
    macs: Array  # MACs of all sub-clusters


def outputs_of(tiles: Tiles, factors: Factors, case: Case, coupled: Array, count: Any) -> Outputs:
    """Egress traffic, critical-path partial sums and MACs; ``coupled`` bool ``[3, 8, b]``."""
    spread, work = tensor_spread(tiles, case, coupled[OUTPUT]), array_spread(tiles, case)
    single = tiles.edge_clusters == 1
    lone = spread.mapped & spread.edge & single & spread.ragged
    lone_work = work.edge & single & work.ragged
    plain = factors.work.product(case, count)
    ragged = factors.work_ragged.product(case, count)
    last = factors.work_last.product(case, count)
    first = jnp.where(lone, factors.egress_ragged.product(case, count), factors.egress.product(case, count))
    following = factors.egress_next.product(case, count)
    egress = over_subclusters(tiles, spread, first, following, factors.egress_last.product(case, count))
    at_edge = over_subclusters(tiles, work, jnp.where(lone_work, ragged, plain), plain, last)
    macs = jnp.where(work.edge, at_edge, tiles.clusters.astype(count) * plain)
    return Outputs(egress, jnp.where(lone, ragged, plain), macs)


def ragged_slots(tiles: Tiles, case: Case, last: bool) -> Array:
    """By slot, whether the tile handed down is the ragged one (bool ``[8, v, b]``).

    ``last``: for the ragged last sub-cluster, otherwise for the others.
    """
    if last:
        return case.at_edge[:SLOTS]
    single = tiles.edge_clusters == 1
    return case.at_edge[:SLOTS] & (~tiles.first_spatial[:, None] | single)
