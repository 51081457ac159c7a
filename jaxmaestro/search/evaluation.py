"""Scores of what the searches ask for, by the two compiled programs of the cost model.

A search's steps can run under one ``lax.scan`` with :meth:`Problem.evaluate` inside. But XLA takes
minutes to compile the equations as a part of a larger program and seconds as two of their own, and a
mapping with many sub-tiles would have to be left out (docs/search.md has the figures). So the host
runs three programs in turn: analysis, performance, and the searcher's update.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmaestro.description.reasons import Reason
from jaxmaestro.encoding.tables import Rows
from jaxmaestro.equations.costs import Costs
from jaxmaestro.execution.programs import GENERAL, PLAIN, Shape, blank_rows, compiled
from jaxmaestro.mapspace import Genes
from jaxmaestro.search.objective import scores
from jaxmaestro.search.problem import Counted, Problem

Array = Any

SMALL = Shape(rows=112, nocs=1, memories=1, levels=2, extras=False, variants=12, block=64)
"""For a population of a hundred, with room for the sub-tiles of ragged edges."""


def shape_for(depth: int, tuples: int) -> Shape:
    """The shape of the program for so many mappings of up to so many levels."""
    if depth > 2:
        return GENERAL
    return SMALL if tuples <= SMALL.rows else PLAIN


Read = Callable[[Costs], tuple[Array, Array]]
"""Jitted: from costs ``[1, 1, n]`` to figures ``[n, m]``, and which found no room for their sub-tiles."""


def evaluated(chunks: list[Rows], shape: Shape, read: Read, threads: int | None = None) -> Array:
    """Figures ``[n, m]`` of mappings that were :func:`laid_out`, those of the padding included.

    ``threads`` (default: one a core) chunks at a time. A mapping that found no room for its sub-tiles is
    evaluated again among fewer.
    """
    workers = threads or os.cpu_count() or 1
    run = functools.partial(_chunk, shape, read)
    if len(chunks) == 1:
        return run(chunks[0])
    if workers == 1:
        return np.concatenate([np.asarray(run(chunk)) for chunk in chunks])
    with ThreadPoolExecutor(workers) as pool:
        return np.concatenate([np.asarray(found) for found in pool.map(run, chunks)])


def _chunk(shape: Shape, read: Read, chunk: Rows) -> Array:
    program = compiled(shape, "exact")
    with jax.enable_x64(True):  # a setting of the thread
        first, crowded = read(program.run(chunk))
        left = np.array(crowded)
        if not left.any():
            return first
        found = np.array(first)
        while left.any():
            again, still = read(program.run(_only(chunk, left)))
            found[left] = np.asarray(again)[left]
            left &= np.asarray(still)
        return found


@functools.cache
def scoring(objectives: tuple[str, ...], counted: Counted) -> Read:
    """Reads scores (:func:`~jaxmaestro.search.objective.scores`) off costs."""

    @jax.jit
    def read(costs: Costs) -> tuple[Array, Array]:
        flat = jax.tree.map(lambda a: a.reshape(-1, *a.shape[3:]), costs)
        return scores(flat, objectives, counted), crowded(flat)

    return read


def crowded(costs: Costs) -> Array:
    """Which mappings found no room for their sub-tiles."""
    return (costs.reasons & np.uint32(Reason.CAPACITY)) != 0


@jax.jit
def _only(chunk: Rows, which: Array) -> Rows:
    """The chunk with some mappings alone; the others are not there."""
    levels = jnp.where(which, chunk.mappings.levels, 0)
    return dataclasses.replace(chunk, mappings=dataclasses.replace(chunk.mappings, levels=levels))


def laid_out(problem: Problem, genes: Genes, shape: Shape) -> list[Rows]:
    """Mappings ``[r, p]`` as chunks for the program of a shape, padded with mappings that are not there."""
    rows = problem.batch(genes).rows()
    blank = blank_rows(shape)
    count = len(rows)
    chunks = []
    for first in range(0, count, shape.rows):
        part = slice(first, min(first + shape.rows, count))
        missing = shape.rows - (part.stop - part.start)

        def fit(a: Array, like: Array, part: slice = part, missing: int = missing) -> Array:
            own = a[part]
            # Levels that the space does not have, then tuples that are not there.
            if own.ndim > 1 and own.shape[1] < like.shape[1]:
                own = jnp.pad(
                    own, ((0, 0), (0, like.shape[1] - own.shape[1]), *((0, 0),) * (own.ndim - 2)), mode="edge"
                )
            return jnp.pad(own, ((0, missing), *((0, 0),) * (own.ndim - 1)), mode="edge").astype(like.dtype)

        laid = jax.tree.map(fit, jax.tree.leaves(rows), jax.tree.leaves(blank))
        chunk = jax.tree.unflatten(jax.tree.structure(blank), laid)
        chunks.append(_only(chunk, jnp.arange(shape.rows) < shape.rows - missing))
    return chunks
