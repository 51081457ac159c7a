"""Reuse and traffic of one iteration case (MICRO'19, section 4.2, figure 9).

Every volume is a product over dimensions of how many elements a sub-cluster
needs along each: the whole tile, only what is new since the tile before
(temporal reuse), only what its neighbour does not have (spatial reuse), or the
ragged rest. The reference prices an array of sub-clusters by three
representatives: the first, the following, and the ragged last one.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax.numpy as jnp

from jaxmaestro.encoding.slots import MAY_COUPLE, OUTPUT, SLOTS
from jaxmaestro.equations.cases import Case
from jaxmaestro.equations.tiles import BySlot, Tiles

Array = Any


@dataclasses.dataclass(frozen=True)
class Spread:
    """How a tensor lies over the sub-clusters in a case; bool arrays ``[v, b]``."""

    mapped: Array  # some dimension of it is spatially mapped
    edge: Array  # ... and is at its edge
    ragged: Array  # ... and the last active sub-cluster holds a ragged tile


def spread_of(tiles: Tiles, case: Case, coupled: BySlot, tensor: int) -> Spread:
    """Spread of one tensor. Of two spatial maps the last dimension decides raggedness."""
    mapped: Array = jnp.bool_(False)
    edge: Array = jnp.bool_(False)
    ragged: Array = jnp.bool_(False)
    for d in range(SLOTS):
        if MAY_COUPLE[tensor, d]:
            here = coupled[d] & tiles.first_spatial[d]
            mapped = mapped | here
            edge = edge | (here & case.at_edge[d])
            ragged = jnp.where(here, case.ragged[d], ragged)
    return Spread(mapped, edge, ragged)


def array_spread(tiles: Tiles, case: Case) -> Spread:
    """Spread of the work: over any spatial map; the innermost one decides raggedness."""
    edge: Array = jnp.bool_(False)
    ragged: Array = jnp.bool_(False)
    rank: Array = jnp.full_like(tiles.rank[0], -1)
    for d in range(SLOTS):
        edge = edge | (tiles.spatial[d] & case.at_edge[d])
        inner = tiles.spatial[d] & (tiles.rank[d] > rank)
        ragged = jnp.where(inner, case.ragged[d], ragged)
        rank = jnp.where(inner, tiles.rank[d], rank)
    if tiles.extra is not None:
        at_edge, is_ragged = _of_extra(tiles, case.at_edge), _of_extra(tiles, case.ragged)
        edge = edge | (tiles.extra.spatial & at_edge)
        ragged = jnp.where(tiles.extra.spatial & (tiles.extra.rank > rank), is_ragged, ragged)
    return Spread(jnp.bool_(True), edge, ragged)


def outer_spread(tiles: Tiles, case: Case) -> Spread:
    """Spread over the outermost spatial map, which decides how many sub-clusters are active."""
    edge: Array = jnp.bool_(False)
    ragged: Array = jnp.bool_(False)
    rank: Array = jnp.full_like(tiles.rank[0], SLOTS + 2)
    for d in range(SLOTS):
        outer = tiles.spatial[d] & (tiles.rank[d] < rank)
        edge = jnp.where(outer, case.at_edge[d], edge)
        ragged = jnp.where(outer, case.ragged[d], ragged)
        rank = jnp.where(outer, tiles.rank[d], rank)
    if tiles.extra is not None:
        outer = tiles.extra.spatial & (tiles.extra.rank < rank)
        edge = jnp.where(outer, _of_extra(tiles, case.at_edge), edge)
        ragged = jnp.where(outer, _of_extra(tiles, case.ragged), ragged)
    return Spread(jnp.bool_(True), edge, ragged)


def _of_extra(tiles: Tiles, values: BySlot) -> Array:
    """The value of the doubly mapped slot (False or 0 where there is none)."""
    assert tiles.extra is not None
    picked = jnp.zeros_like(values[0])
    for d in range(SLOTS):
        picked = jnp.where(tiles.extra.is_slot[d], values[d], picked)
    return picked


def over_subclusters(
    tiles: Tiles, spread: Spread, first: Array, following: Array, last: Array
) -> Array:
    """Sum of a volume over active sub-clusters from its three representatives.

    ``first`` must already be the ragged volume where a single ragged one is active.
    """
    p, e = tiles.clusters, tiles.edge_clusters
    ragged = spread.ragged.astype(e.dtype)
    full = jnp.maximum(e - ragged - 1, 0)
    at_edge = jnp.where(e > 1, full * following + ragged * last, 0)
    others = jnp.where(spread.edge, at_edge, (p - 1) * following)
    return first + jnp.where(spread.mapped, others, 0)


@dataclasses.dataclass(frozen=True)
class Changing:
    """The innermost loop that is not in its first tile: all loops inside it start over."""

    rank: Array  # -1: all loops are in their first tile


def changing_loop(tiles: Tiles, case: Case) -> Changing:
    rank: Array = jnp.full_like(tiles.rank[0], -1)
    for d in range(SLOTS):
        rank = jnp.where(case.init[d], rank, jnp.maximum(rank, tiles.rank[d]))
    return Changing(rank)


def ingress_traffic(
    tiles: Tiles, case: Case, changing: Changing, coupled: BySlot, tensor: int
) -> tuple[Array, Array]:
    """Elements of an input tensor that the case brings into its sub-clusters.

    Returns the traffic and whether the reference terminates here (a fully
    unrolled dimension is asked for its next tile), arrays ``[v, b]``.
    """
    spread = spread_of(tiles, case, coupled, tensor)
    restarted: Array = jnp.bool_(False)
    moved: Array = jnp.bool_(False)
    for d in range(SLOTS):
        if MAY_COUPLE[tensor, d]:
            inside = tiles.rank[d] > changing.rank
            restarted = restarted | (coupled[d] & inside & case.init[d] & ~case.unrolled[d])
            moved = moved | (coupled[d] & (tiles.rank[d] == changing.rank))
    everything = changing.rank < 0
    single = tiles.edge_clusters == 1
    lone_ragged = spread.mapped & spread.edge & single & spread.ragged
    first = following = last = jnp.ones_like(tiles.mapped[0])
    terminates: Array = jnp.bool_(False)
    for d in range(SLOTS):
        if not MAY_COUPLE[tensor, d]:
            continue
        m, me = tiles.mapped[d], tiles.mapped_edge[d]
        u, ue = tiles.unique[d], tiles.unique_edge[d]
        sliding_in = (tiles.rank[d] == changing.rank) & ~restarted & ~case.init[d]
        held = jnp.where(case.at_edge[d], me, m)
        terminates = terminates | (coupled[d] & ~tiles.spatial[d] & sliding_in & (u == 0))
        temporal = jnp.where(case.init[d], held, jnp.where(sliding_in, jnp.maximum(u, 1), m))
        # A neighbour's tile overlaps where this loop starts over or moves on by itself.
        shares = jnp.where(case.init[d], tiles.rank[d] > changing.rank, sliding_in)
        edge_first = jnp.where(case.at_edge[d] & single, me, m)
        whole = everything & case.at_edge[d]
        sp_first = jnp.where(lone_ragged, jnp.where(~everything | case.at_edge[d], me, m),
                             jnp.where(everything, edge_first, m))
        sp_following = jnp.where(everything, jnp.where(whole & single, 1, m), jnp.where(shares, u, m))
        sp_last = jnp.where(everything, jnp.where(case.at_edge[d], me, m), jnp.where(shares, ue, me))
        is_spatial = tiles.spatial[d]
        first = first * _factor(coupled[d], jnp.where(is_spatial, sp_first, temporal))
        following = following * _factor(coupled[d], jnp.where(is_spatial, sp_following, temporal))
        last = last * _factor(coupled[d], jnp.where(is_spatial, sp_last, temporal))
        if tiles.extra is not None:
            here = coupled[d] & tiles.extra.is_slot[d]
            resets = tiles.extra.rank > changing.rank
            x_temporal = jnp.where(case.init[d], held, m)
            x_shares = case.init[d] & resets
            x_following = jnp.where(everything, jnp.where(whole & single, 1, m), jnp.where(x_shares, u, m))
            x_last = jnp.where(everything, jnp.where(case.at_edge[d], me, m), jnp.where(x_shares, ue, me))
            x_spatial = tiles.extra.spatial
            first = first * _factor(here, jnp.where(x_spatial, sp_first, x_temporal))
            following = following * _factor(here, jnp.where(x_spatial, x_following, x_temporal))
            last = last * _factor(here, jnp.where(x_spatial, x_last, x_temporal))
    total = over_subclusters(tiles, spread, first, following, last)
    return jnp.where(everything | moved, total, 0), terminates


def _factor(applies: Array, value: Array) -> Array:
    return jnp.where(applies, value, 1)


@dataclasses.dataclass(frozen=True)
class Outputs:
    """Output traffic and work of a case, arrays ``[v, b]``."""

    egress: Array  # output elements that leave the sub-clusters
    partial_sums: Array  # MACs on the critical path: of the busiest sub-cluster
    macs: Array  # MACs of all sub-clusters


def outputs_of(tiles: Tiles, case: Case, coupled: BySlot, work: Spread) -> Outputs:
    """Egress traffic, critical-path partial sums and MACs of a case.

    ``work`` is :func:`array_spread`. Dimensions that the output does not depend
    on are reduced: they multiply the partial sums only.
    """
    spread = spread_of(tiles, case, coupled, OUTPUT)
    single = tiles.edge_clusters == 1
    lone_out = spread.mapped & spread.edge & single & spread.ragged
    lone_work = work.edge & single & work.ragged
    one = jnp.ones_like(tiles.mapped[0])
    e_first = e_following = e_last = c_first = w_first = w_follow = w_last = one
    for d in range(SLOTS):
        directives = [(tiles.spatial[d], tiles.first_spatial[d], None)]
        if tiles.extra is not None:
            directives.append((tiles.extra.spatial, tiles.extra.spatial, tiles.extra.is_slot[d]))
        reduced = _reduced_factors(tiles, case, d, single)
        for is_spatial, _, here in directives:
            applies = ~coupled[d] if here is None else ~coupled[d] & here
            temporal = reduced.temporal
            plain = jnp.where(is_spatial, reduced.first, temporal)
            ragged = jnp.where(is_spatial, reduced.first_ragged, temporal)
            rest = jnp.where(is_spatial, reduced.last, temporal)
            c_first = c_first * _factor(applies, jnp.where(lone_out, ragged, plain))
            w_first = w_first * _factor(applies, jnp.where(lone_work, ragged, plain))
            w_follow = w_follow * _factor(applies, plain)
            w_last = w_last * _factor(applies, rest)
        if MAY_COUPLE[OUTPUT, d]:
            out = _output_factors(tiles, case, d, single)
            is_spatial = tiles.first_spatial[d]
            applies = coupled[d]
            plain = _factor(applies, jnp.where(is_spatial, out.first, out.temporal))
            ragged = _factor(applies, jnp.where(is_spatial, out.first_ragged, out.temporal))
            e_first = e_first * jnp.where(lone_out, ragged, plain)
            e_following = e_following * _factor(applies, jnp.where(is_spatial, out.following, out.temporal))
            e_last = e_last * _factor(applies, jnp.where(is_spatial, out.last, out.temporal))
            c_first = c_first * jnp.where(lone_out, ragged, plain)
            w_first = w_first * jnp.where(lone_work, ragged, plain)
            w_follow = w_follow * plain
            w_last = w_last * _factor(applies, jnp.where(is_spatial, out.last_whole, out.temporal))
    return Outputs(
        egress=over_subclusters(tiles, spread, e_first, e_following, e_last),
        partial_sums=c_first,
        macs=_macs(tiles, work, w_first, w_follow, w_last),
    )


def _macs(tiles: Tiles, work: Spread, first: Array, following: Array, last: Array) -> Array:
    spread_sum = over_subclusters(tiles, work, first, following, last)
    return jnp.where(work.edge, spread_sum, tiles.clusters * following)


@dataclasses.dataclass(frozen=True)
class _Factors:
    """Elements along one dimension, for the representatives of an array of sub-clusters."""

    temporal: Array
    first: Array
    first_ragged: Array
    following: Array
    last: Array
    last_whole: Array


def _reduced_factors(tiles: Tiles, case: Case, d: int, single: Array) -> _Factors:
    m, me = tiles.mapped[d], tiles.mapped_edge[d]
    new = jnp.where(tiles.unique[d] != 0, tiles.unique[d], 1)
    edge, init_ragged = case.edge[d], case.init[d] & case.at_edge[d]
    rest = jnp.where(single, me, tiles.unique_edge[d])
    first_ragged = jnp.where(init_ragged, me, jnp.where(edge, rest, m))
    last = jnp.where(init_ragged, me, jnp.where(edge, rest, new))
    return _Factors(
        temporal=jnp.where(case.at_edge[d], me, m),
        first=jnp.where(edge & single, me, m),
        first_ragged=first_ragged,
        following=new,
        last=last,
        last_whole=last,
    )


def _output_factors(tiles: Tiles, case: Case, d: int, single: Array) -> _Factors:
    m, me = tiles.out_mapped[d], tiles.out_mapped_edge[d]
    ue = tiles.out_unique_edge[d]
    new = jnp.where(tiles.out_unique[d] != 0, tiles.out_unique[d], 1)
    edge, init_ragged = case.edge[d], case.init[d] & case.at_edge[d]
    # A lone sub-cluster at the edge is priced by the input tile there, not the output tile.
    alone = tiles.mapped_edge[d]
    at_edge = jnp.where(single, alone, ue)
    return _Factors(
        temporal=jnp.where(case.at_edge[d], me, m),
        first=jnp.where(edge & single, alone, m),
        first_ragged=jnp.where(init_ragged, jnp.where(single, me, ue), jnp.where(edge, at_edge, m)),
        following=jnp.where(edge & single, 1, new),
        last=jnp.where(init_ragged, jnp.where(single, me, ue), jnp.where(edge, at_edge, new)),
        last_whole=jnp.where(init_ragged, me, jnp.where(edge, at_edge, new)),
    )


def ragged_slots(tiles: Tiles, case: Case, last: bool) -> BySlot:
    """By slot, whether the tile handed down is the ragged one (bool ``[v, b]``).

    ``last``: for the ragged last sub-cluster, otherwise for the others.
    """
    single = tiles.edge_clusters == 1
    takes = jnp.bool_(True) if last else single
    return [
        case.at_edge[d] & (~tiles.first_spatial[d] | takes) for d in range(SLOTS)
    ]
