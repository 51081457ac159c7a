"""Scores of what the searches ask for, by compiled programs of the cost model.

A search's steps can run under one ``lax.scan``, with :func:`scored` inside: one program for each
searcher and problem size. Otherwise the host runs three in turn: analysis and performance, which all
else uses too, and the searcher's update; chunks then run side by side.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxmaestro.description.reasons import Reason
from jaxmaestro.encoding.packed import Packed
from jaxmaestro.equations.arithmetic import EXACT
from jaxmaestro.equations.cost import analyse, price
from jaxmaestro.equations.costs import Costs
from jaxmaestro.equations.kernels import Lowering
from jaxmaestro.execution.programs import GENERAL, PLAIN, Shape, blank_rows, compiled, suited
from jaxmaestro.mapspace import Genes
from jaxmaestro.search.objective import scores
from jaxmaestro.search.problem import Counted, Problem

Array = Any

SMALL = Shape(rows=112, nocs=1, memories=1, levels=2, extras=False, variants=12, block=64)
"""For a population of a hundred, with room for the sub-tiles of ragged edges."""


TINY = dataclasses.replace(SMALL, rows=24, block=32)
"""For one of twenty."""


def shape_for(depth: int, tuples: int) -> Shape:
    """The shape of the program for so many mappings of up to so many levels."""
    if depth > 2:
        return GENERAL
    return next((shape for shape in (TINY, SMALL) if tuples <= shape.rows), PLAIN)


Read = Callable[[Costs], tuple[Array, Array]]
"""Jitted: from costs ``[1, 1, n]`` to figures ``[n, m]``, and which found no room for their sub-tiles."""


def evaluated(chunks: list[Packed], shape: Shape, read: Read, threads: int | None = None) -> Array:
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


def _chunk(shape: Shape, read: Read, chunk: Packed) -> Array:
    return used(chunk, shape, read, lambda figures: figures)


T = TypeVar("T")


def used(chunk: Packed, shape: Shape, read: Read, use: Callable[[Array], T]) -> T:
    """``use`` of the figures of a chunk, as :func:`evaluated` gives them.

    It is called before they are known to be complete, and once more where they were not: most are,
    and a device need not wait for the host to see.
    """
    program = compiled(suited(shape, shape.rows, "exact"), "exact")
    with jax.enable_x64(True):  # a setting of the thread
        first, crowded = read(program.run(chunk))
        result = use(first)
        left = np.array(crowded)
        if not left.any():
            return result
        found = np.array(first)
        while left.any():
            again, still = read(program.run(_only(chunk, left)))
            found[left] = np.asarray(again)[left]
            left &= np.asarray(still)
        return use(found)


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


def scored(problem: Problem, genes: Genes, shape: Shape | None = None) -> Array:
    """Scores ``[r, p, m]`` of mappings ``[r, p]``, traced; the caller has 64-bit types enabled.

    Chunks run one after the other; no mapping is left out.
    """
    shape = shape or shape_for(problem.space.depth, len(problem) * genes.levels.shape[1])
    chunks = laid_out(problem, genes, shape)
    complete = functools.partial(_complete, shape, problem.objectives, problem.counted)
    if len(chunks) == 1:
        figures = complete(chunks[0])
    else:
        stacked = jax.tree.map(lambda *parts: jnp.stack(parts), *chunks)
        figures = lax.map(complete, stacked).reshape(-1, len(problem.objectives))
    return figures[: genes.levels.size].reshape(*genes.levels.shape, -1)


def _complete(shape: Shape, objectives: tuple[str, ...], counted: Counted, chunk: Packed) -> Array:
    """Figures ``[n, m]`` of a chunk; what finds no room for its sub-tiles comes again among fewer."""
    read, like = scoring(objectives, counted), blank_rows(shape)

    def again(loop: tuple[Array, Array]) -> tuple[Array, Array]:
        found, left = loop
        part = chunk.only(left).rows(like)
        analysis = _apart(left.any(), analyse, part)
        now, crowded = read(price(part, analysis, EXACT, Lowering(shape.block)))
        return jnp.where(left[:, None], now, found), left & crowded

    nothing = jnp.zeros((shape.rows, len(objectives)), jnp.float64), jnp.ones(shape.rows, bool)
    return lax.while_loop(lambda loop: loop[1].any(), again, nothing)[0]


def _apart(holds: Array, step: Callable[..., T], *arguments: Any) -> T:
    """``step(*arguments)`` under a condition that always holds.

    XLA compiles it by itself then, instead of copying parts of it into all that reads its result,
    which takes minutes.
    """
    result = jax.eval_shape(step, *arguments)

    def never(*_: Any) -> T:
        nothing: T = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), result)
        return nothing

    found: T = lax.cond(holds, step, never, *arguments)
    return found


_only = jax.jit(Packed.only)


def laid_out(problem: Problem, genes: Genes, shape: Shape) -> list[Packed]:
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
        chunk = Packed.of(jax.tree.unflatten(jax.tree.structure(blank), laid))
        chunks.append(chunk.only(jnp.arange(shape.rows) < shape.rows - missing))
    return chunks
