"""A mapping search for buffers of any size: the best mappings by the bytes of L1 and L2 that they need.

What an accelerator's buffers should be is only known once the mappings of all layers of a network are.
So the search of a layer keeps the best mapping for each of 16 x 16 ranges of need and for each objective
(as MAP-Elites does: Mouret and Clune, arXiv:1504.04909), and most of its effort goes to mappings that
fit into the buffers that the network, so far, seems to want.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmaestro.mapspace import Genes, MappingSpace, where
from jaxmaestro.mapspace.choices import uniform
from jaxmaestro.search.variation import TUNED, Rates, beginners, vary

Array = Any

RANGES = 16
"""Ranges of L1 need, and of L2 need."""
LATENCY, ENERGY, L1, L2 = range(4)
"""Columns of figures: cycles, nJ, bytes, bytes."""
GOALS = ("latency", "energy", "edp")
GENES = ("levels", "spatial", "cluster", "order", "tile")
"""Fields of the genes, in the files of a run."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Elites:
    """The best mappings of a layer on an accelerator, by goal and range of need."""

    genes: Genes  # [g, 256]
    figures: Array  # float64 [g, 256, 4]; infinite: none found


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Wanted:
    """What a row's search is for; arrays of one row."""

    l1_edges: Array  # int32 [15] the first need of every range but the lowest
    l2_edges: Array  # int32 [15]
    l1_cap: Array  # int32 [g] bytes that the buffers wanted for a goal have
    l2_cap: Array  # int32 [g]
    key: Array  # uint32: tells the searches of a run apart


@dataclasses.dataclass(frozen=True)
class Exploration:
    """How children are made."""

    population: int = 64
    focus: float = 0.75  # share whose parents fit into the buffers wanted; the others may need any
    best: int = 24  # of those that fit, so many have children
    newcomers: float = 0.05  # share that is drawn anew
    rates: Rates = TUNED


def edges(least: int, most: int) -> np.ndarray:
    """Where :data:`RANGES` ranges of need up to ``most`` bytes begin, geometric, int32 ``[15]``."""
    found = np.geomspace(least, max(most, least + 1), RANGES)[:-1]
    return np.ceil(found).astype(np.int32)


def nothing(space: MappingSpace, goals: int) -> Elites:
    """No mapping found."""
    blank = Genes(
        levels=jnp.ones((), jnp.int32),
        spatial=jnp.zeros(space.depth, jnp.int32),
        cluster=jnp.ones(space.depth - 1, jnp.int32),
        order=jnp.zeros((space.depth, 8), jnp.int32),
        tile=jnp.ones((space.depth, 8), jnp.int32),
    )
    shape = (goals, RANGES * RANGES)
    genes = jax.tree.map(lambda a: jnp.broadcast_to(a, shape + a.shape), blank)
    return Elites(genes, jnp.full((*shape, 4), jnp.inf, jnp.float64))


def values(figures: Array, goals: tuple[str, ...]) -> Array:
    """What each goal minimises, ``[g, ...]`` of figures ``[..., 4]``."""
    latency, energy = figures[..., LATENCY], figures[..., ENERGY]
    made = {"latency": latency, "energy": energy, "edp": latency * energy}
    return jnp.stack([made[goal] for goal in goals])


def own_values(elites: Elites, goals: tuple[str, ...]) -> Array:
    """The value of each goal's own elites, ``[g, 256]``."""
    every = values(elites.figures, goals)
    return every[jnp.arange(len(goals)), jnp.arange(len(goals))]


def insert(elites: Elites, asked: Genes, figures: Array, wanted: Wanted, goals: tuple[str, ...]) -> Elites:
    """The elites after the figures ``[p, 4]`` of what was asked for."""
    bins = RANGES * RANGES
    need = jnp.where(jnp.isfinite(figures), figures, 0)

    def place(edge: Array, column: int) -> Array:
        return jnp.searchsorted(edge, need[:, column].astype(jnp.int32), side="right").astype(jnp.int32)

    home = place(wanted.l1_edges, L1) * RANGES + place(wanted.l2_edges, L2)
    number = jnp.arange(len(home), dtype=jnp.int32)

    def one(value: Array, genes: Genes, known: Array, old: Array) -> tuple[Genes, Array]:
        # Ties go to the lower number, and to what is there.
        best = jax.ops.segment_min(value, home, bins)
        first = jax.ops.segment_min(jnp.where(value == best[home], number, len(home)), home, bins).clip(
            0, len(home) - 1
        )
        better = best < old
        chosen = where(better, asked[first], genes)
        return chosen, jnp.where(better[:, None], figures[first], known)

    genes, known = jax.vmap(one)(
        values(figures, goals), elites.genes, elites.figures, own_values(elites, goals)
    )
    return Elites(genes, known)


def propose(
    space: MappingSpace,
    elites: Elites,
    wanted: Wanted,
    key: Array,
    goals: tuple[str, ...],
    exploration: Exploration,
) -> Genes:
    """Mappings to evaluate next, ``[population]``."""
    count = exploration.population
    k_new, k_draw, k_vary = jax.random.split(key, 3)
    draws = uniform(k_draw, (4, count))
    value = own_values(elites, goals)
    flat = elites.genes.flat()
    fresh = beginners(space, k_new, count)

    fits = elites.figures[..., L1] <= wanted.l1_cap[:, None]
    fits &= elites.figures[..., L2] <= wanted.l2_cap[:, None]
    scores, ranked = jax.lax.top_k(-jnp.where(fits, value, jnp.inf), exploration.best)
    fitting = jnp.isfinite(scores).sum(1, dtype=jnp.int32)
    grid = value.reshape(-1, RANGES, RANGES)
    least = jax.lax.cummin(jax.lax.cummin(grid, axis=1), axis=2).reshape(value.shape)
    # No elite that needs less is as good.
    useful = jnp.isfinite(value) & (value <= least)
    rank = jnp.cumsum(useful, 1, dtype=jnp.int32)
    goal = jnp.arange(count, dtype=jnp.int32) % len(goals)

    def parents(uniform: Array, explore: Array) -> tuple[Array, Array]:
        # The best have more children.
        number = (uniform * uniform * fitting[goal]).astype(jnp.int32)
        close = ranked[goal, jnp.minimum(number, jnp.maximum(fitting[goal] - 1, 0))]
        any_ = (uniform * rank[goal, -1]).astype(jnp.int32) + 1
        far = jax.vmap(jnp.searchsorted)(rank[goal], any_).astype(jnp.int32)
        near = (explore < exploration.focus) & (fitting[goal] > 0)
        found = jnp.where(near, close, jnp.minimum(far, value.shape[1] - 1))
        return goal * value.shape[1] + found, rank[goal, -1] > 0

    first, there = parents(draws[0], draws[2])
    second, _ = parents(draws[1], draws[3])
    children = vary(space, flat[first], flat[second], k_vary, exploration.rates)
    new = jnp.arange(count) < int(count * exploration.newcomers)
    return where(there & ~new, children, fresh)
