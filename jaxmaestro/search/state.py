"""Where a search stands: what it asks next, what it remembers, what it found and spent."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from jaxmaestro.mapspace import Genes, MappingSpace
from jaxmaestro.search.evaluation import scored
from jaxmaestro.search.problem import Problem
from jaxmaestro.search.ranking import best_first, front_first

Array = Any


class Searcher(Protocol):
    """Proposes mappings for one layer and learns from their scores; pure, vmapped over layers.

    Frozen and hashable: a searcher is static, what it remembers is a pytree of arrays. One that
    samples in other ways too (gradient steps) has ``samples``, those of a step, mappings included.
    """

    def start(self, space: MappingSpace, key: Array, objectives: int) -> tuple[Any, Genes]:
        """The memory to begin with, and the first mappings to ask for, ``[p]``."""

    def update(
        self, space: MappingSpace, memory: Any, asked: Genes, scores: Array, key: Array
    ) -> tuple[Any, Genes]:
        """The memory after the scores ``[p, m]`` of what was asked for, and what to ask for next."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class State:
    """All searches of a problem between two steps; arrays ``[r, ...]``."""

    asked: Genes  # [r, p] mappings to be evaluated next
    memory: Any  # of the searcher
    best: Genes  # [r, a] the archive: the best first
    best_scores: Array  # float64 [r, a, m]; infinite: not found yet
    evaluated: Array  # int32 [r] mappings that were evaluated
    valid: Array  # int32 [r] of these the valid ones
    spent: Array  # int32 [r] what the budget counts: valid mappings, and a searcher's other samples
    step: Array  # int32


def initial(searcher: Searcher, problem: Problem) -> State:
    """The state before any evaluation."""
    rows, objectives = len(problem), len(problem.objectives)

    def start(space: MappingSpace, seed: Array) -> tuple[Any, Genes]:
        return searcher.start(space, key_of(seed, jnp.int32(0)), objectives)

    memory, asked = jax.vmap(start)(problem.space, problem.seed)
    keep = problem.archive
    nothing = jnp.zeros(rows, jnp.int32)
    return State(
        asked=asked,
        memory=memory,
        best=jax.tree.map(lambda a: jnp.repeat(a[:, :1], keep, 1), asked),
        best_scores=jnp.full((rows, keep, objectives), jnp.inf, jnp.float64),
        evaluated=nothing,
        valid=nothing,
        spent=nothing,
        step=jnp.int32(0),
    )


def advance(searcher: Searcher, problem: Problem, state: State, scores: Array, budget: Array) -> State:
    """The state after the scores ``[r, p, m]`` of what was asked for.

    Of a row only what comes within ``budget`` samples counts as found.
    """
    others = getattr(searcher, "samples", scores.shape[1]) - scores.shape[1]
    valid = jnp.isfinite(scores[..., 0])
    # A searcher's other samples lead to what it asks for next.
    spent = state.spent[:, None] + jnp.cumsum(valid, 1, dtype=jnp.int32)
    within = valid & (spent <= budget)
    counted = jnp.where(within[..., None], scores, jnp.inf)

    def one(
        space: MappingSpace,
        seed: Array,
        memory: Any,
        asked: Genes,
        best: Genes,
        best_scores: Array,
        own: Array,
    ) -> tuple[Any, Genes, Genes, Array]:
        rank = best_first if problem.archive == 1 else front_first
        pool = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), best, asked)
        pool_scores = jnp.concatenate([best_scores, own])
        order, pool_scores = rank(pool_scores, problem.archive)
        memory, following = searcher.update(space, memory, asked, own, key_of(seed, state.step + 1))
        return memory, following, pool[order], pool_scores

    memory, asked, best, best_scores = jax.vmap(one)(
        problem.space, problem.seed, state.memory, state.asked, state.best, state.best_scores, counted
    )
    return State(
        asked=asked,
        memory=memory,
        best=best,
        best_scores=best_scores,
        evaluated=state.evaluated + jnp.where(state.spent < budget, jnp.int32(valid.shape[1]), 0),
        valid=state.valid + within.sum(1, dtype=jnp.int32),
        spent=jnp.minimum(spent[:, -1] + others, budget),
        step=state.step + 1,
    )


def step(searcher: Searcher, problem: Problem, state: State, budget: Array | int = 2**31 - 1) -> State:
    """One whole step, pure, for ``lax.scan``: the population is one batched call of the cost function."""
    return advance(searcher, problem, state, scored(problem, state.asked), jnp.asarray(budget, jnp.int32))


def key_of(seed: Array, number: Array) -> Array:
    """The key of a step of the search from a seed."""
    return jax.random.fold_in(jax.random.key(seed), number)
