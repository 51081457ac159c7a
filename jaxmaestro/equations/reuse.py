"""Reuse and traffic of the iteration cases of a level (MICRO'19, reuse analysis).

The innermost loop that moved decides what is new: loops outside it kept their
tile, loops inside it started over. A tensor that does not depend on the loop
that moved stays where it is (stationary); one that does is fetched again, less
what the tile before (temporal reuse) and the neighbour (spatial reuse, multicast
and forwarding) already hold. There are as many answers as loops, so they are
worked out once (:func:`ingress_table`), and a case looks its own up.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxmaestro.encoding.slots import FILTER, INPUT, OUTPUT, SLOTS
from jaxmaestro.equations.cases import Case, States
from jaxmaestro.equations.factors import Factor, Factors
from jaxmaestro.equations.spatial import SpatialMaps, of_maps
from jaxmaestro.equations.tiles import Tiles

Array = Any

# Bits of a case, in pairs: whether the outermost map, the work or a tensor is at its spatial
# edge, and (the bit after) whether the last active sub-cluster then holds a ragged tile.
OUTERMOST, WORK, OF_INPUT, OF_FILTER, OF_OUTPUT = 0, 2, 4, 6, 8
FIRST_MAP, SECOND_MAP = 10, 11
"""Whether the spatial maps, as the output sees them, are in their edge state."""
SUBTILE, LAST_SUBTILE = 12, 20
"""Place of the numbers of the sub-tiles handed down (8 bits each: one a dimension)."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Spreads:
    """How things lie over the sub-clusters: the bits that each loop adds to a case's, int32 ``[r, c]``."""

    whole: Array
    edge: Array  # in its edge state

    def of(self, case: Case) -> Array:
        """The bits of a case, int32 ``[c]``."""
        bits = jnp.where(case.edge, self.edge, self.whole)
        return lax.reduce(bits, jnp.int32(0), lax.bitwise_or, (0,))


def has(bits: Array, place: int) -> Array:
    """Whether the bit at a place is set, bool ``[c]``."""
    return (bits >> place) & 1 != 0


def spreads(tiles: Tiles, maps: SpatialMaps, states: States, coupled: Array, weight: Array | None) -> Spreads:
    """Bits by loop; ``coupled`` bool ``[3, 8, c]``, ``weight`` int32 ``[8, c]``: of the sub-tile numbers.

    ``maps`` are the spatial maps as the output sees them.

    The outermost spatial map decides how many sub-clusters are active, the innermost
    one whether the last one's work is ragged. Of two spatial maps of a tensor, the
    later dimension in slot order decides that for it.
    """
    rank = tiles.rank
    outermost = jnp.where(tiles.spatial, rank, SLOTS + 2)
    innermost = jnp.where(tiles.spatial, rank, -3)
    led = [(OUTERMOST, tiles.spatial & (outermost == outermost.min(0)), None)]
    led.append((WORK, tiles.spatial, tiles.spatial & (innermost == innermost.max(0))))
    for place, tensor in ((OF_INPUT, INPUT), (OF_FILTER, FILTER), (OF_OUTPUT, OUTPUT)):
        here = coupled[tensor] & tiles.first_spatial
        last = jnp.where(here, jnp.arange(SLOTS, dtype=jnp.int32)[:, None], -1)
        decides = here & (last == last.max(0))
        led.append((place, tiles.padded(here, False), tiles.padded(decides, False)))

    def bits(at_edge: Array, ragged: Array) -> Array:
        word = jnp.zeros(rank.shape, jnp.int32)
        for place, counts, decides in led:
            word |= (counts & at_edge).astype(jnp.int32) << place
            word |= ((counts if decides is None else decides) & ragged).astype(jnp.int32) << (place + 1)
        if weight is not None:
            # The others than the last sub-cluster hold whole tiles, unless there is only one.
            plain = at_edge[:SLOTS] & (~tiles.first_spatial | tiles.single)
            number = jnp.where(plain, weight, 0) << SUBTILE
            number |= jnp.where(at_edge[:SLOTS], weight, 0) << LAST_SUBTILE
            word |= tiles.padded(number, 0)
        return word

    rows = jnp.arange(rank.shape[0], dtype=jnp.int32)[:, None]
    in_edge = (rows == maps.row[0]).astype(jnp.int32) << FIRST_MAP
    in_edge |= (rows == maps.row[1]).astype(jnp.int32) << SECOND_MAP
    return Spreads(
        whole=bits(states.init_edge, states.init_ragged),
        edge=bits(jnp.ones_like(states.init_edge), states.edge_ragged) | in_edge,
    )


def over_subclusters(
    tiles: Tiles, mapped: Array, edge: Array, ragged: Array, volumes: tuple[Array, Array, Array]
) -> Array:
    """Sum of a volume over the active sub-clusters, from those of the first, a following, the last one.

    ``mapped``: some dimension is spatially mapped; ``edge``, ``ragged``: see the bits above.
    The first must already be the ragged volume where a single ragged one is active.
    """
    first, following, last = volumes
    p, e = tiles.clusters.astype(first.dtype), tiles.edge_clusters.astype(first.dtype)
    tail = ragged.astype(first.dtype) if isinstance(ragged, jax.Array) else ragged
    full = jnp.maximum(e - tail - 1, 0)
    at_edge = jnp.where(e > 1, full * following + tail * last, 0)
    others = jnp.where(edge, at_edge, (p - 1) * following)
    return first + jnp.where(mapped, others, 0)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Ingress:
    """Elements that a case brings into the sub-clusters, by what moved.

    Row ``3 * k + s``: entry k is 0 for the very first case and 1 + the slot of the loop
    that moved (where one dimension is mapped twice, entries are two, by whether it is in
    its first tile); s is 0 away from the spatial edge, 1 at it, 2 where it is ragged too.
    """

    input: Array  # [rows, c]
    filter: Array
    stops: Array  # int32 [c], bit k: the reference terminates there

    def of(self, case: Case, bits: Array) -> tuple[Array, Array, Array]:
        """Input and filter elements of a case, and whether the reference terminates, ``[c]``."""
        entry = case.moved
        if case.ninth_init is not None:
            entry = 2 * entry + case.ninth_init.astype(jnp.int32)
        return (
            _row(self.input, 3 * entry + _edge_state(bits, OF_INPUT)),
            _row(self.filter, 3 * entry + _edge_state(bits, OF_FILTER)),
            has(self.stops, entry),
        )


def _edge_state(bits: Array, place: int) -> Array:
    """0 away from the edge, 1 at it, 2 where it is ragged, int32 ``[c]``."""
    edge = (bits >> place) & 1
    return edge + (edge & (bits >> (place + 1)))


def _row(table: Array, row: Array) -> Array:
    """Entries ``table[row[i], i]``."""
    columns = table.shape[1]
    index = row * columns + jnp.arange(columns, dtype=jnp.int32)
    return table.reshape(-1).at[index].get(mode="promise_in_bounds")


def ingress_table(tiles: Tiles, maps: SpatialMaps, states: States, coupled: Array, count: Any) -> Ingress:
    """Traffic of both input tensors by the loop that moved; ``coupled`` bool ``[3, 8, c]``.

    The reference terminates where a fully unrolled dimension is asked for its next tile.
    """
    tables, stops = [], jnp.int32(0)
    for tensor, depends in ((INPUT, maps.input), (FILTER, maps.filter)):
        table, stop = _ingress_of(tiles, maps, depends, states, coupled[tensor], count)
        tables.append(table.reshape(-1, table.shape[-1]))
        entries = jnp.arange(stop.shape[0], dtype=jnp.int32)[:, None]
        stops |= (stop.astype(jnp.int32) << entries).sum(0, dtype=jnp.int32)
    return Ingress(tables[0], tables[1], stops)


def _ingress_of(
    tiles: Tiles, maps: SpatialMaps, on_map: Array, states: States, coupled: Array, count: Any
) -> tuple[Array, Array]:
    """Traffic ``[k, 3, c]`` and stops (bool ``[k, c]``) of a tensor.

    ``coupled`` (bool ``[8, c]``) and ``on_map`` (bool ``[2, c]``): it depends on the
    slot, or on the dimension of the spatial map.
    """
    depends = tiles.with_ninth(coupled, False)
    restarts = jnp.where(depends & ~states.init_unrolled, tiles.rank, -1)
    if tiles.doubled is None:
        moves = [_after_move(tiles, maps, on_map, states, depends, restarts.max(0), None, count)]
    else:
        # The ninth loop runs by itself: inside what moved, it need not have started over.
        stays = restarts[:SLOTS].max(0)
        moves = [
            _after_move(tiles, maps, on_map, states, depends, innermost, init, count)
            for innermost, init in ((stays, False), (restarts.max(0), True))
        ]
    mapped = (coupled & tiles.first_spatial).any(0)
    held = jnp.where(states.init_edge, tiles.mapped_edge, tiles.mapped)
    steps = _volume(depends & ~tiles.spatial, held, count)
    m, me, init_edge = maps.mapped, maps.mapped_edge, of_maps(maps, states.init_edge)
    first = steps * _volume(on_map, jnp.where(init_edge & tiles.single, me, m), count)
    following = steps * _volume(on_map, m, count)
    last = steps * _volume(on_map, jnp.where(init_edge, me, m), count)
    at_start = (first, first, following, last)

    def entry(volumes: tuple[Array, ...]) -> Array:
        """Sums over the sub-clusters away from the edge, at it, and where it is ragged, ``[..., 3, c]``."""
        first, lone, following, last = volumes
        sums = [
            over_subclusters(tiles, mapped, jnp.bool_(False), 0, (first, following, last)),
            over_subclusters(tiles, mapped, jnp.bool_(True), 0, (first, following, last)),
            over_subclusters(tiles, mapped, jnp.bool_(True), 1, (lone, following, last)),
        ]
        return jnp.stack(sums, -2)

    start = entry(at_start)
    later = [jnp.where(coupled[:, None], entry(volumes), 0) for volumes, _ in moves]  # [8, 3, c]
    none = jnp.zeros_like(mapped)
    if tiles.doubled is None:
        return jnp.concatenate([start[None], later[0]]), jnp.concatenate([none[None], moves[0][1]])
    both = jnp.stack(later, 1).reshape(-1, *start.shape)
    stop = jnp.stack([each for _, each in moves], 1).reshape(-1, *none.shape)
    return jnp.concatenate([start[None], start[None], both]), jnp.concatenate([none[None], none[None], stop])


def _after_move(
    tiles: Tiles,
    maps: SpatialMaps,
    on_map: Array,
    states: States,
    depends: Array,
    restarted: Array,
    ninth_init: bool | None,
    count: Any,
) -> tuple[tuple[Array, ...], Array]:
    """What each slot's loop brings when it moves: volumes of the first, a lone, a following, the last one.

    ``restarted`` (int32 ``[c]``) is the rank of the innermost loop that the tensor
    depends on and that can start over. Volumes are ``[8, c]``, as is where the
    reference terminates.
    """
    rank, m, me, u = tiles.rank[:SLOTS], tiles.mapped, tiles.mapped_edge, tiles.unique
    temporal = depends & ~tiles.spatial
    slides = depends[:SLOTS] & (restarted <= rank)
    held = jnp.where(temporal, jnp.where(states.init_edge, me, m), 1)
    # Temporal reuse: of the loop that moved, only what is new.
    others = _volume(~jnp.eye(SLOTS, held.shape[0], dtype=bool)[..., None], held, count)
    new = jnp.where(slides & temporal[:SLOTS], jnp.maximum(u[:SLOTS], 1), held[:SLOTS])
    steps = others * new.astype(count)
    # Spatial reuse: a following sub-cluster gets only what its neighbour does not have.
    inside = maps.rank[:, None] > rank
    if ninth_init is False:
        inside &= maps.row[:, None] != SLOTS
    rows = jnp.arange(SLOTS, dtype=jnp.int32)[:, None]
    shares = inside | ((maps.row[:, None] == rows) & slides)  # [2, 8, c]

    def over_maps(shared: Array, otherwise: Array) -> Array:
        sizes = jnp.where(shares, shared[:, None], otherwise[:, None])
        return jnp.where(on_map[:, None], sizes, 1).prod(0, dtype=count)

    whole = steps * _volume(on_map, maps.mapped, count)
    lone = jnp.where(tiles.single, steps * _volume(on_map, maps.mapped_edge, count), whole)
    following = steps * over_maps(maps.unique, maps.mapped)
    last = steps * over_maps(maps.unique_edge, maps.mapped_edge)
    return (whole, lone, following, last), slides & temporal[:SLOTS] & (u[:SLOTS] == 0)


def _volume(rows: Array, sizes: Array, count: Any) -> Array:
    """Product of the sizes of some rows (the last axis but one)."""
    return jnp.prod(jnp.where(rows, sizes, 1), axis=-2, dtype=count)


@dataclasses.dataclass(frozen=True)
class Outputs:
    """Output traffic and work of a case, arrays ``[c]``."""

    egress: Array  # output elements that leave the sub-clusters
    partial_sums: Array  # MACs on the critical path: of the busiest sub-cluster
    macs: Array  # MACs of all sub-clusters


def outputs_of(tiles: Tiles, factors: Factors, case: Case, bits: Array, mapped: Array, count: Any) -> Outputs:
    """Egress traffic, critical-path partial sums and MACs of a case.

    ``mapped`` (bool ``[c]``): some dimension of the output is spatially mapped.
    """
    kept = factors.kept.product(case.edge, count)
    both = kept * factors.reduced.product(case.edge, count)
    maps = jnp.stack([has(bits, FIRST_MAP), has(bits, SECOND_MAP)])
    product = functools.partial(Factor.product, edge=maps, count=count)
    edge, ragged = has(bits, OF_OUTPUT), has(bits, OF_OUTPUT + 1)
    lone = mapped & edge & ragged & tiles.single
    first = kept * jnp.where(lone, product(factors.egress_ragged), product(factors.egress))
    volumes = (first, kept * product(factors.egress_next), kept * product(factors.egress_last))
    egress = over_subclusters(tiles, mapped, edge, ragged, volumes)
    edge, ragged = has(bits, WORK), has(bits, WORK + 1)
    plain, alone = both * product(factors.work), both * product(factors.work_ragged)
    last = both * product(factors.work_last)
    volumes = (jnp.where(edge & ragged & tiles.single, alone, plain), plain, last)
    at_edge = over_subclusters(tiles, jnp.bool_(True), jnp.bool_(True), ragged, volumes)
    macs = jnp.where(edge, at_edge, tiles.clusters.astype(count) * plain)
    return Outputs(egress, jnp.where(lone, alone, plain), macs)
