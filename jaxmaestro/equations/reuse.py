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

from jaxmaestro.encoding.slots import OUTPUT, SLOTS
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
    here = coupled & tiles.first_spatial  # [3, 8, c]
    last = jnp.where(here, jnp.arange(SLOTS, dtype=jnp.int32)[:, None], -1)
    decides = here & (last == last.max(1, keepdims=True))
    leads = tiles.spatial & (outermost == outermost.min(0))
    counts = jnp.stack([leads, tiles.spatial, *tiles.padded(here, False)])
    rules = jnp.stack([leads, tiles.spatial & (innermost == innermost.max(0)), *tiles.padded(decides, False)])
    places = jnp.array([OUTERMOST, WORK, OF_INPUT, OF_FILTER, OF_OUTPUT], jnp.int32)[:, None, None]

    def bits(at_edge: Array, ragged: Array) -> Array:
        words = (counts & at_edge).astype(jnp.int32) << places
        words |= (rules & ragged).astype(jnp.int32) << (places + 1)
        word = words.sum(0, dtype=jnp.int32)
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


def followers(tiles: Tiles, mapped: Array, edge: Array, ragged: Array) -> tuple[Array, Array]:
    """How many active sub-clusters follow the first, and how many ragged ones come last; int32.

    ``mapped``: some dimension is spatially mapped; ``edge``, ``ragged``: see the bits above.
    """
    several = edge & (tiles.edge_clusters > 1)
    last = (several & ragged).astype(jnp.int32)
    at_edge = jnp.where(several, jnp.maximum(tiles.edge_clusters - last - 1, 0), 0)
    following = jnp.where(edge, at_edge, tiles.clusters - 1)
    return jnp.where(mapped, following, 0), jnp.where(mapped, last, 0)


def over_subclusters(numbers: tuple[Array, Array], volumes: tuple[Array, Array, Array]) -> Array:
    """Sum of a volume over the active sub-clusters, from those of the first, a following, the last one.

    ``numbers`` are of :func:`followers`. The first must already be the ragged volume where a single
    ragged one is active.
    """
    first, following, last = volumes
    n, m = (number.astype(first.dtype) for number in numbers)
    return first + (n * following + m * last)


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
    own = coupled[:OUTPUT]
    inputs = _Inputs(own, tiles.with_ninth(own, False), jnp.stack([maps.input, maps.filter]))
    restarts = jnp.where(inputs.depends & ~states.init_unrolled, tiles.rank, -1)
    ways = [(restarts.max(1), True)]
    if tiles.doubled is not None:
        # The ninth loop runs by itself: inside what moved, it need not have started over.
        ways.insert(0, (restarts[:, :SLOTS].max(1), False))
    moves = [_after_move(tiles, maps, inputs, states, *way, count) for way in ways]
    held = jnp.where(states.init_edge, tiles.mapped_edge, tiles.mapped)
    steps = _volume(inputs.depends & ~tiles.spatial, held, count)
    m, me, init_edge = maps.mapped, maps.mapped_edge, of_maps(maps, states.init_edge)
    whole = steps * _volume(inputs.on_map, m, count)
    first = steps * _volume(inputs.on_map, jnp.where(init_edge & tiles.single, me, m), count)
    last = steps * _volume(inputs.on_map, jnp.where(init_edge, me, m), count)

    def entries(start: Array, later: list[Array]) -> Array:
        """The first case ``[2, c]`` and what each way moves ``[2, 8, c]``, in the order of entries."""
        by_way = [jnp.concatenate([start[:, None], moved], 1) for moved in later]
        return jnp.stack(by_way, 2).reshape(2, -1, start.shape[-1])

    starts = _Volumes(first, first, whole, last)
    volumes: _Volumes = jax.tree.map(
        lambda start, *later: entries(start, list(later)), starts, *(moved for moved, _ in moves)
    )
    mapped = (inputs.coupled & tiles.first_spatial).any(1)
    # Away from the edge, at it, and where it is ragged.
    edge, ragged = jnp.array([[False], [True], [True]]), jnp.array([[False], [False], [True]])
    numbers = followers(tiles, mapped[:, None, None], edge, ragged)  # [2, 1, 3, c]
    of = jax.tree.map(lambda volume: volume[:, :, None], volumes)
    elements = over_subclusters(numbers, (jnp.where(ragged, of.lone, of.first), of.following, of.last))
    stops = entries(jnp.zeros_like(mapped), [stop for _, stop in moves]).any(0)
    bits = jnp.arange(len(stops), dtype=jnp.int32)[:, None]
    of_input, of_filter = elements.reshape(2, -1, elements.shape[-1])
    return Ingress(of_input, of_filter, (stops.astype(jnp.int32) << bits).sum(0, dtype=jnp.int32))


@dataclasses.dataclass(frozen=True)
class _Inputs:
    """The two input tensors: what they depend on."""

    coupled: Array  # bool [2, 8, c], slots
    depends: Array  # bool [2, r, c], directives
    on_map: Array  # bool [2, 2, c], dimensions of the spatial maps


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class _Volumes:
    """Elements that sub-clusters get of an input tensor, ``[2, ..., c]``."""

    first: Array
    lone: Array  # of a single one that is ragged
    following: Array
    last: Array  # ragged


def _after_move(
    tiles: Tiles,
    maps: SpatialMaps,
    inputs: _Inputs,
    states: States,
    restarted: Array,
    ninth_init: bool,
    count: Any,
) -> tuple[_Volumes, Array]:
    """What each slot's loop brings when it moves, ``[2, 8, c]``, and where the reference terminates.

    ``restarted`` (int32 ``[2, c]``) is the rank of the innermost loop that the tensor
    depends on and that can start over; ``ninth_init``: the ninth loop, if any, is in its first tile.
    """
    rank, m, me, u = tiles.rank[:SLOTS], tiles.mapped, tiles.mapped_edge, tiles.unique
    temporal = inputs.depends & ~tiles.spatial
    slides = inputs.depends[:, :SLOTS] & (restarted[:, None] <= rank)
    held = jnp.where(temporal, jnp.where(states.init_edge, me, m), 1)
    # Temporal reuse: of the loop that moved, only what is new.
    others = _volume(~jnp.eye(SLOTS, held.shape[1], dtype=bool)[..., None], held[:, None], count)
    new = jnp.where(slides & temporal[:, :SLOTS], jnp.maximum(u[:SLOTS], 1), held[:, :SLOTS])
    steps = jnp.where(inputs.coupled, others * new.astype(count), 0)
    # Spatial reuse: a following sub-cluster gets only what its neighbour does not have.
    inside = maps.rank[:, None] > rank
    if not ninth_init:
        inside &= maps.row[:, None] != SLOTS
    rows = jnp.arange(SLOTS, dtype=jnp.int32)[:, None]
    shares = inside | ((maps.row[:, None] == rows) & slides[:, None])  # [2, 2, 8, c]

    def over_maps(shared: Array, otherwise: Array) -> Array:
        sizes = jnp.where(shares, shared[:, None], otherwise[:, None])
        return jnp.where(inputs.on_map[:, :, None], sizes, 1).prod(1, dtype=count)

    whole = steps * _volume(inputs.on_map, maps.mapped, count)[:, None]
    alone = steps * _volume(inputs.on_map, maps.mapped_edge, count)[:, None]
    volumes = _Volumes(
        first=whole,
        lone=jnp.where(tiles.single, alone, whole),
        following=steps * over_maps(maps.unique, maps.mapped),
        last=steps * over_maps(maps.unique_edge, maps.mapped_edge),
    )
    return volumes, slides & temporal[:, :SLOTS] & (u[:SLOTS] == 0)


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
    egress = over_subclusters(followers(tiles, mapped, edge, ragged), volumes)
    edge, ragged = has(bits, WORK), has(bits, WORK + 1)
    plain, alone = both * product(factors.work), both * product(factors.work_ragged)
    last = both * product(factors.work_last)
    first = jnp.where(edge & ragged & tiles.single, alone, plain)
    macs = over_subclusters(followers(tiles, jnp.bool_(True), edge, ragged), (first, plain, last))
    return Outputs(egress, jnp.where(lone, alone, plain), macs)
