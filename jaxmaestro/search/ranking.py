"""Which scores are better: one objective after the other, or by fronts and crowding (NSGA-II)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxmaestro.mapspace import Genes

Array = Any


def best_first(scores: Array, count: int) -> tuple[Array, Array]:
    """Numbers and scores of the ``count`` best of ``scores [n, m]``, see :func:`lexicographic`."""
    order = lexicographic(scores)[:count]
    return order, scores[order]


def lexicographic(scores: Array, *less: Array) -> Array:
    """The order of ``scores [n, m]`` by the first objective, then the next, then ``less``, then number."""
    number = jnp.arange(scores.shape[0], dtype=jnp.int32)
    keys = (*(scores[:, m] for m in range(scores.shape[1])), *less)
    return lax.sort((*keys, number), num_keys=len(keys), is_stable=True)[-1]


def front_first(scores: Array, count: int) -> tuple[Array, Array]:
    """The Pareto front of ``scores [n, m]`` by the first objective; what is not on it has infinite scores.

    Of a front of more than ``count`` the most crowded are left out, the ends last and the best in the
    first objective never.
    """
    first = fronts(scores) == 0
    # Of equals one stays: the first.
    equal = (scores[:, None] == scores[None]).all(-1)
    first &= ~jnp.tril(equal, -1).any(1)
    shown = jnp.where(first[:, None], scores, jnp.inf)
    spread = crowding(shown, jnp.where(first, 0, 1))
    best = jnp.arange(len(scores)) == lexicographic(shown)[0]
    keys = (~first, ~best, -spread, jnp.arange(len(scores), dtype=jnp.int32))
    kept = lax.sort(keys, num_keys=3)[-1][:count]
    order = kept[lexicographic(shown[kept])]
    return order, shown[order]


def dominates(scores: Array) -> Array:
    """bool ``[n, n]``: row i is no worse than row j in any objective and better in one."""
    no_worse = (scores[:, None] <= scores[None]).all(-1)
    return no_worse & (scores[:, None] < scores[None]).any(-1)


def fronts(scores: Array) -> Array:
    """The number of each row's front (0: not dominated), int32 ``[n]``; infinite rows come last."""
    n = scores.shape[0]
    better = dominates(scores)

    def peel(loop: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        rank, left, number = loop
        now = left & ~(better & left[:, None]).any(0)
        return jnp.where(now, number, rank), left & ~now, number + 1

    real = jnp.isfinite(scores[:, 0])
    start = (jnp.full(n, n, jnp.int32), real, jnp.int32(0))
    return lax.while_loop(lambda loop: loop[1].any(), peel, start)[0]


def crowding(scores: Array, rank: Array) -> Array:
    """How much room each row has on its front (infinite at the ends), float64 ``[n]`` (Deb et al. 2002)."""
    total = jnp.zeros(scores.shape[0], scores.dtype)
    for m in range(scores.shape[1]):
        own = scores[:, m]
        _, _, order = lax.sort((rank, own, jnp.arange(len(own), dtype=jnp.int32)), num_keys=2)
        ranks, values = rank[order], own[order]
        same = jnp.concatenate([jnp.zeros(1, bool), ranks[1:] == ranks[:-1]])
        inner = same & jnp.concatenate([same[1:], jnp.zeros(1, bool)])
        gap = jnp.concatenate([values[1:], values[-1:]]) - jnp.concatenate([values[:1], values[:-1]])
        finite = jnp.where(jnp.isfinite(own), own, jnp.nan)
        span = jnp.nanmax(finite) - jnp.nanmin(finite)
        room = jnp.where(inner, gap / jnp.where(span > 0, span, 1), jnp.inf)
        total = total.at[order].add(jnp.where(jnp.isnan(room), 0, room))
    return total


def fingerprint(genes: Genes) -> Array:
    """A number for each of the mappings ``[n]``, the same for the same genes, uint32."""
    total = jnp.zeros(genes.levels.shape[0], jnp.uint32)
    for leaf in jax.tree.leaves(genes):
        flat = leaf.reshape(leaf.shape[0], -1).astype(jnp.uint32)
        for column in range(flat.shape[1]):
            total = (total ^ flat[:, column]) * jnp.uint32(0x9E3779B1)
            total = total ^ (total >> jnp.uint32(15))
    return total


def repeated(genes: Genes) -> Array:
    """bool ``[n]``: the same mapping stands further up (told by fingerprints)."""
    mark = fingerprint(genes)
    ascending, order = lax.sort((mark, jnp.arange(len(mark), dtype=jnp.int32)), num_keys=1, is_stable=True)
    again = jnp.concatenate([jnp.zeros(1, bool), ascending[1:] == ascending[:-1]])
    return jnp.zeros(len(mark), bool).at[order].set(again, unique_indices=True)
