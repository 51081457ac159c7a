"""NSGA-II (Deb et al. 2002) on mappings: fronts, crowding, tournaments, GAMMA's operators."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxmaestro.mapspace import Genes, MappingSpace
from jaxmaestro.mapspace.choices import whole_numbers
from jaxmaestro.search.genetic import Survivors
from jaxmaestro.search.ranking import crowding, fronts, repeated
from jaxmaestro.search.variation import TUNED, Rates, beginners, vary

Array = Any


@dataclasses.dataclass(frozen=True)
class NSGA2:
    """Parents and children compete by front, then by room on it; parents win tournaments of two."""

    population: int = 100
    rates: Rates = TUNED

    def start(self, space: MappingSpace, key: Array, objectives: int) -> tuple[Survivors, Genes]:
        """Mappings to begin with."""
        asked = beginners(space, key, self.population)
        return Survivors(asked, jnp.full((self.population, objectives), jnp.inf, jnp.float64)), asked

    def update(
        self, space: MappingSpace, memory: Survivors, asked: Genes, scores: Array, key: Array
    ) -> tuple[Survivors, Genes]:
        """Select, pair by tournament, cross, mutate."""
        k_pairs, k_vary = jax.random.split(key)
        pool = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), memory.genes, asked)
        known = jnp.concatenate([memory.scores, scores])
        known = jnp.where(repeated(pool)[:, None], jnp.inf, known)
        rank = fronts(known)
        room = crowding(known, rank)
        # What has failed comes last; of it the newer stays, so that it does not stay for ever.
        number = jnp.arange(len(rank), 0, -1, dtype=jnp.int32)
        order = lax.sort((rank, -room, number, jnp.arange(len(rank), dtype=jnp.int32)), num_keys=3)[-1]
        survivors = Survivors(pool[order[: self.population]], known[order[: self.population]])
        # Survivors are in order, so the lower of two numbers wins.
        drawn = whole_numbers(k_pairs, (2, 2, self.population), 0, self.population)
        parents, mates = drawn.min(1)
        return survivors, vary(space, survivors.genes[parents], survivors.genes[mates], k_vary, self.rates)
