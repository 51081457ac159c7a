"""Which points no other point dominates: Pareto fronts of sorted keys, two objectives or more.

All objectives are minimised. A point is dominated if another is no worse in any
objective and better in one. Of points that are equal in all, the one of the lowest
number stands for them and the others are dropped.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxmaestro.reductions.order import LARGEST, number_kind, order_keys, rankable

Array = Any

TILE = 256
"""Points that are compared with as many others at a time, where there are three objectives or more."""


def pareto_mask(objectives: Array, mask: Array | None = None) -> Array:
    """bool ``[n]``: rows of ``objectives [n, m]`` that no other row dominates; smaller is better.

    Of equal rows the first is kept. Rows where ``mask [n]`` is False or that hold NaN
    are neither kept nor compared with (nor those that hold 2**63 - 1). Up to two
    objectives: one sort. More: blocks of sorted rows against the front so far, so
    O(n front m) time and O(n m) memory. Pure, for jit and vmap.

    Raises ValueError for no rows or objectives that are not ``[n, m]``, TypeError for
    what is no number of up to 64 bits.
    """
    if len(np.shape(objectives)) != 2 or 0 in np.shape(objectives):
        raise ValueError(f"objectives have shape {np.shape(objectives)}; give [n, m], both at least 1")
    with jax.enable_x64(True):
        objectives = objectives if isinstance(objectives, jax.Array) else np.asarray(objectives)
        number_kind(objectives)
        return _pareto_mask(objectives, np.True_ if mask is None else mask)


@jax.jit
def _pareto_mask(objectives: Array, mask: Array) -> Array:
    taken = rankable(objectives).all(1) & mask
    keys = jnp.where(taken, order_keys(objectives).T, LARGEST)
    rows = jnp.arange(keys.shape[1])
    keys, rows, kept = sorted_front(keys, rows)
    return jnp.zeros(rows.shape, bool).at[rows].set(kept, unique_indices=True)


def sorted_front(keys: Array, index: Array) -> tuple[Array, Array, Array]:
    """Points in lexicographic order, and whether each is on the front.

    ``keys [m, n]`` int64 (all ``LARGEST``: no point) and ``index [n]`` int64, which decides
    between equal points; both come back sorted, with bool ``[n]``.
    """
    *columns, index = lax.sort((*keys, index), num_keys=len(keys) + 1)
    keys = jnp.stack(columns)
    if len(columns) > 2:
        return keys, index, _front_by_tiles(keys)
    # What dominates a point stands before it, so it needs a second objective below all before it
    # (with one objective only the first point is on the front).
    second = keys[-1]
    before = jnp.concatenate([jnp.full(1, LARGEST), lax.cummin(second)[:-1]])
    return keys, index, second < before


def _front_by_tiles(keys: Array) -> Array:
    """The front of ``[m, n]`` points in lexicographic order: tiles of them against the front so far."""
    m, n = keys.shape
    tiles = -(-n // TILE)
    keys = jnp.pad(keys, ((0, 0), (0, tiles * TILE - n)), constant_values=LARGEST)
    earlier = jnp.arange(TILE)[:, None] < jnp.arange(TILE)

    def dominated(by: Array, points: Array, which: Array | bool = True) -> Array:
        # Whoever comes before in the order need only be no worse: equal points are dropped as well.
        below = jnp.ones((), bool)
        for a, b in zip(by, points, strict=True):
            below = below & (a[:, None] <= b)
        return (below & which).any(0)

    def one(tile: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        front, count, kept = carry
        points = lax.dynamic_slice_in_dim(keys, tile * TILE, TILE, 1)

        def against(part: Array, out: Array) -> Array:
            return out | dominated(lax.dynamic_slice_in_dim(front, part * TILE, TILE, 1), points)

        parts = -(-count // TILE)
        out = dominated(points, points, earlier) | (points[0] == LARGEST)
        stays = ~lax.fori_loop(0, parts, against, out)
        place = jnp.where(stays, count + jnp.cumsum(stays) - 1, front.shape[1])
        front = front.at[:, place].set(points, mode="drop", unique_indices=False)
        kept = lax.dynamic_update_slice_in_dim(kept, stays, tile * TILE, 0)
        return front, count + stays.sum(), kept

    start = (jnp.full((m, tiles * TILE), LARGEST), jnp.zeros((), jnp.int64), jnp.zeros(tiles * TILE, bool))
    return lax.fori_loop(0, tiles, one, start)[2][:n]
