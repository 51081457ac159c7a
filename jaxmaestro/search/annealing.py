"""Simulated annealing: a walker a place in the population, each cooling by itself."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxmaestro.mapspace import Genes, MappingSpace, where
from jaxmaestro.mapspace.choices import uniform
from jaxmaestro.search.variation import Rates, beginners, vary

Array = Any

NEARBY = Rates(
    crossover=0.0,
    exchange=0.0,
    order=0.25,
    tile=0.5,
    tiles=2,
    spatial=0.1,
    swap=0.03,
    cluster=0.2,
    grow=0.03,
    shrink=0.03,
    uniform=0.25,
)
"""Steps of a walker: one or two changes."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Walkers:
    """Where each walker stands, and how warm it is."""

    genes: Genes  # [p]
    scores: Array  # float64 [p]
    temperature: Array  # float64: as a share of the score


@dataclasses.dataclass(frozen=True)
class Annealing:
    """``population`` walkers take a step each; a worse score is taken with probability exp(-log ratio / T).

    T falls from ``warmest`` by ``cooling`` a step. A walker that has found nothing valid begins anew.
    """

    population: int = 20
    warmest: float = 0.5
    cooling: float = 0.985
    rates: Rates = NEARBY

    def start(self, space: MappingSpace, key: Array, objectives: int) -> tuple[Walkers, Genes]:
        """Where walks begin."""
        asked = beginners(space, key, self.population)
        scores = jnp.full(self.population, jnp.inf, jnp.float64)
        return Walkers(asked, scores, jnp.float64(self.warmest)), asked

    def update(
        self, space: MappingSpace, memory: Walkers, asked: Genes, scores: Array, key: Array
    ) -> tuple[Walkers, Genes]:
        """Take the steps or not, then propose the next."""
        k_taken, k_next, k_fresh = jax.random.split(key, 3)
        new, old = scores[:, 0], memory.scores
        worse = jnp.log(new) - jnp.log(old)  # ratios: scores differ by orders of magnitude
        chance = uniform(k_taken, new.shape)
        taken = jnp.isinf(old) | (jnp.isfinite(new) & (worse <= -memory.temperature * jnp.log(chance)))
        here = where(taken, asked, memory.genes)
        walkers = Walkers(here, jnp.where(taken, new, old), memory.temperature * self.cooling)
        following = vary(space, here, here, k_next, self.rates)
        lost = jnp.isinf(walkers.scores)
        return walkers, where(lost, beginners(space, k_fresh, self.population), following)
