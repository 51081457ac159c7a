"""A genetic algorithm with GAMMA's operators (Kao and Krishna, ICCAD 2020)."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxmaestro.encoding.slots import SLOTS
from jaxmaestro.mapspace import Genes, MappingSpace, where
from jaxmaestro.mapspace.choices import whole_numbers
from jaxmaestro.search.ranking import lexicographic, repeated
from jaxmaestro.search.variation import TUNED, Rates, beginners, vary

Array = Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Survivors:
    """The parents of the next children: the best first, and after them those beyond their kind's share."""

    genes: Genes  # [s]
    scores: Array  # float64 [s, m]


@dataclasses.dataclass(frozen=True)
class Genetic:
    """Each step ``population`` children of ``parents`` survivors; of these ``elite`` outlive their children.

    Survivors are the best different mappings of the elite and the children, of one kind (levels and spatial
    dimensions) at most so many as ``alike`` says: a search that knows one kind alone does not leave it any
    more. Where those of other kinds do not suffice, new mappings and failed ones fill the rest, and then the
    same kinds again.
    """

    population: int = 100
    parents: float = 0.15  # share of the population that has children
    elite: float = 0.05  # share that competes with the children
    renewed: bool = True  # new mappings in the place of children that are nothing new: small spaces run out
    alike: float = 0.35  # share of the parents that may have the same levels and spatial dimensions
    rates: Rates = TUNED

    @classmethod
    def gamma(cls, population: int = 100) -> Genetic:
        """With the rates of GAMMA's program, which has as many parents and as large an elite."""
        return cls(population, parents=0.4, renewed=False, alike=1.0, rates=Rates())

    @property
    def _survivors(self) -> int:
        return max(int(self.population * self.parents), 2)

    def start(self, space: MappingSpace, key: Array, objectives: int) -> tuple[Survivors, Genes]:
        """Mappings to begin with; nobody has survived yet."""
        asked = beginners(space, key, self.population)
        rows = jnp.arange(self._survivors) % self.population
        return Survivors(asked[rows], jnp.full((self._survivors, objectives), jnp.inf, jnp.float64)), asked

    def update(
        self, space: MappingSpace, memory: Survivors, asked: Genes, scores: Array, key: Array
    ) -> tuple[Survivors, Genes]:
        """Select, cross, mutate."""
        k_new, k_pairs, k_vary = jax.random.split(key, 3)
        elite = min(max(int(self.population * self.elite), 1), self._survivors)
        fresh = beginners(space, k_new, self._survivors)
        pool = jax.tree.map(lambda *parts: jnp.concatenate(parts), memory.genes[:elite], asked, fresh)
        unknown = jnp.full((self._survivors, scores.shape[1]), jnp.inf, scores.dtype)
        known = jnp.concatenate([memory.scores[:elite], scores, unknown])
        known = jnp.where(repeated(pool)[:, None], jnp.inf, known)
        # Without a score, new ones come before those that have failed.
        failed = jnp.arange(known.shape[0]) < elite + self.population
        order = lexicographic(known, failed)
        if self.alike < 1:  # a searcher's own option, so static
            most = max(int(self._survivors * self.alike), elite)
            order = order[jnp.argsort(_alike_before(pool, order) >= most, stable=True)]
        order = order[: self._survivors]
        survivors = Survivors(pool[order], known[order])
        pairs = whole_numbers(k_pairs, (2, self.population), 0, self._survivors)
        children = vary(space, survivors.genes[pairs[0]], survivors.genes[pairs[1]], k_vary, self.rates)
        if self.renewed:
            kept = survivors.genes
            both = jax.tree.map(lambda old, new: jnp.concatenate([old, new]), kept, children)
            other = jax.tree.map(lambda a: jnp.resize(a, (self.population, *a.shape[1:])), fresh)
            children = where(repeated(both)[self._survivors :], other, children)
        return survivors, children


def _alike_before(genes: Genes, order: Array) -> Array:
    """How many of its levels and spatial dimensions stand before each in ``order [n]``, int32 ``[n]``."""
    number = jnp.arange(order.shape[0], dtype=jnp.int32)
    level = jnp.arange(genes.spatial.shape[1], dtype=jnp.int32)
    used = jnp.where(level < genes.levels[:, None], genes.spatial + 1, 0)
    kind = (used * (SLOTS + 1) ** level).sum(1, dtype=jnp.int32)[order]
    together, place = lax.sort((kind, number), num_keys=2)
    first = jnp.concatenate([jnp.ones(1, bool), together[1:] != together[:-1]])
    return jnp.zeros_like(number).at[place].set(number - lax.cummax(jnp.where(first, number, 0)))
