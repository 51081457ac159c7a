"""From a batch to its costs: the equations in order, one pure function.

Analysis, top level first: clusters.py -> tiles.py -> states of loops (cases.py) -> subtiles.py.
Performance, innermost level first: level.py (spatial.py, factors.py, reuse.py for what the
cases of a level share; cases.py for the walk), ending in top.py. Then figures.py with
pricing.py, and validity.py.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, Literal, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxmaestro.description.reasons import Reason
from jaxmaestro.encoding.tables import Batch, Rows
from jaxmaestro.equations.arithmetic import EXACT, FLOAT32, Arithmetic
from jaxmaestro.equations.clusters import Level, Shared, analyse_clusters
from jaxmaestro.equations.costs import Costs
from jaxmaestro.equations.figures import figures
from jaxmaestro.equations.kernels import BLOCK, Lowering
from jaxmaestro.equations.level import LevelCost, LevelModel, no_level_cost, sub_level_cost
from jaxmaestro.equations.subtiles import Columns, Kinds, Subtiles, hand_down, loops_of_kinds, top_kinds
from jaxmaestro.equations.tiles import Tiles, analyse_tiles
from jaxmaestro.equations.top import TopCost, any_level_cost, no_top_cost, top_cost
from jaxmaestro.equations.validity import flagged, judge, spread

Array = Any

MORE_VARIANTS = (32, 256)
"""Sub-tiles a level that are tried where a batch provides for too few; 256 always suffices."""

Precision = Literal["exact", "float32"]


def cost(batch: Batch, precision: Precision = "exact", block: int = BLOCK) -> Costs:
    """Costs of every tuple of a batch, arrays ``[b]`` (``[b, 3]`` by tensor).

    Pure: works under jit, vmap and sharded inputs (on a mesh of Auto axes). ``precision="exact"`` counts
    in int64 (64-bit types are enabled for this call alone); ``"float32"`` counts
    in float32, an approximation (docs/precision.md gives its measured error).
    ``block`` is how many tuples (or sub-tiles of them) are walked through their
    iteration cases side by side: few on a CPU, so that they fit its caches; give
    the length of the batch on a GPU.
    Illegal tuples get zeros and their ``reasons``; nothing is raised.
    A batch with several hardware points a pair has costs ``[b, p]``.

    Called with arrays (not traced) it repeats a batch in which some tuple needs more
    sub-tiles than ``batch.variants`` provides for; traced, it flags such a tuple
    ``CAPACITY`` and gives zeros (:func:`jaxmaestro.encode` takes ``variants``).

    Raises ValueError for an unknown precision, an empty batch or a block below 1.
    """
    while True:
        costs = cost_once(batch, precision, block)
        more = [n for n in MORE_VARIANTS if n > max(batch.variants, default=n)]
        if not more or isinstance(costs.reasons, jax.core.Tracer) or not _crowded(costs):
            return costs
        batch = dataclasses.replace(batch, variants=(more[0],) * (batch.levels - 1))


def cost_once(batch: Batch, precision: Precision = "exact", block: int = BLOCK) -> Costs:
    """As :func:`cost`, but never repeated: tuples that need more sub-tiles are flagged ``CAPACITY``."""
    check_precision(precision)
    if block < 1:
        raise ValueError(f"block is {block}; it must be 1 or more")
    if batch.layer.shape[0] == 0:
        raise ValueError("the batch has no tuples")
    if precision == "float32":
        return compute_costs(batch, FLOAT32, Lowering(block))
    with jax.enable_x64(True):
        return compute_costs(batch, EXACT, Lowering(block))


def check_precision(precision: str) -> None:
    """Raises ValueError for what is no precision."""
    if precision not in ("exact", "float32"):
        raise ValueError(f"precision is 'exact' or 'float32', not {precision!r}")


def _crowded(costs: Costs) -> bool:
    """Whether some tuple needs more sub-tiles than were provided for."""
    return bool((np.asarray(costs.reasons) & int(Reason.CAPACITY)).any())


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Analysis:
    """Everything about a batch that comes before performance: levels, tiles, what is handed down."""

    levels: Level  # with a leading axis, top first; as the tiles
    shared: Shared
    tiles: Tiles
    kinds: list[Kinds]
    columns: list[Columns]
    subtiles: list[Subtiles]  # of each level but the last
    flags: Array  # uint32 [b], reasons found so far

    @property
    def top(self) -> tuple[Level, Tiles]:
        """The top level and its tiles."""
        return of_level(self.levels, 0), of_level(self.tiles, 0)


Stacked = TypeVar("Stacked")


def of_level(stacked: Stacked, index: int) -> Stacked:
    """One level of several with a leading axis."""
    own: Stacked = jax.tree.map(lambda a: a[index], stacked)
    return own


@jax.jit
def analyse(batch: Rows) -> Analysis:
    """Cluster and tile analysis of every level (no counts: sizes are int32)."""
    levels, shared, flags = analyse_clusters(batch)
    tiles: Tiles = jax.vmap(analyse_tiles, (0, None))(levels, shared.sliding)
    loops = loops_of_kinds(tiles, levels.dims[0])
    kinds, columns = top_kinds(of_level(loops, 0), levels.exists[0])
    all_kinds, all_columns, subtiles = [kinds], [columns], []
    capacity = max(batch.variants, default=0) * len(batch)  # the same at all levels
    for index in range(batch.levels - 1):
        level, (below, loops_below) = of_level(tiles, index), of_level((tiles, loops), index + 1)
        exists = levels.exists[index + 1]
        numbering, kinds, columns, crowded = hand_down(level, kinds, below, loops_below, exists, capacity)
        subtiles.append(numbering)
        all_kinds.append(kinds)
        all_columns.append(columns)
        flags = flags | crowded
    return Analysis(levels, shared, tiles, all_kinds, all_columns, subtiles, flags)


@functools.partial(jax.jit, static_argnames=("arithmetic", "lowering"))
def perform(analysis: Analysis, arithmetic: Arithmetic, lowering: Lowering) -> TopCost:
    """Performance of every level, innermost first."""
    models = []
    for index, kinds in enumerate(analysis.kinds):
        level, tiles = of_level((analysis.levels, analysis.tiles), index)
        models.append(
            LevelModel(
                tiles=tiles,
                kinds=kinds,
                innermost=level.innermost,
                noc_bandwidth=level.noc_bandwidth,
                noc_latency=level.noc_latency,
                shared=analysis.shared,
                subtiles=analysis.subtiles[index] if index < len(analysis.subtiles) else None,
                below=None,
                arithmetic=arithmetic,
            )
        )
    top, *subs = models
    if lowering.alike and subs:
        return _all_levels(models, analysis.columns, lowering)
    if subs:
        below = _sub_levels(subs, analysis.columns[1:], lowering)
        top = dataclasses.replace(top, below=below)
    return top_cost(top, analysis.columns[0], lowering)


def _sub_levels(models: list[LevelModel], columns: list[Columns], lowering: Lowering) -> LevelCost:
    """Cost of the first of the levels below the top, whose own cost comes from those below it."""
    if len(models) == 1:
        return sub_level_cost(models[0], columns[0], lowering)

    def level_cost(below: LevelCost, level: tuple[LevelModel, Columns]) -> tuple[LevelCost, None]:
        model, own = level
        return sub_level_cost(dataclasses.replace(model, below=below), own, lowering), None

    none = no_level_cost(models[-1], len(columns[-1].cases))
    return lax.scan(level_cost, none, _stacked(models, columns), reverse=True)[0]


def _all_levels(models: list[LevelModel], columns: list[Columns], lowering: Lowering) -> TopCost:
    """Figures of the top level, which is worked out as all others are."""
    rows, length = len(columns[0].cases), len(columns[-1].cases)
    first = jax.tree.map(lambda a: jnp.pad(a, (0, length - rows)), columns[0])  # without cases
    stacked = _stacked(models, [first, *columns[1:]])

    def level_cost(
        below: tuple[TopCost, LevelCost], level: tuple[LevelModel, Columns]
    ) -> tuple[tuple[TopCost, LevelCost], None]:
        model, own = level
        return any_level_cost(dataclasses.replace(model, below=below[1]), own, lowering), None

    none = no_top_cost(models[0], length), no_level_cost(models[0], length)
    cost: TopCost = lax.scan(level_cost, none, stacked, reverse=True)[0][0]
    return jax.tree.map(lambda a: a[..., :rows], cost)


def _stacked(models: list[LevelModel], columns: list[Columns]) -> tuple[LevelModel, Columns]:
    """Levels for one program: what the innermost looks up are zeros, which it does not use."""
    nothing = jax.tree.map(jnp.zeros_like, models[0].subtiles)
    alike = [*models[:-1], dataclasses.replace(models[-1], subtiles=nothing)]
    return jax.tree.map(lambda *level: jnp.stack(level), *zip(alike, columns, strict=True))


@functools.partial(jax.jit, static_argnames="arithmetic")
def assess(
    batch: Rows, level: Level, tiles: Tiles, flags: Array, top: TopCost, arithmetic: Arithmetic
) -> Costs:
    """Figures and reasons ``[p, q, b]``, from the top ``level`` with its ``tiles``."""
    costs = figures(batch, level, top, flags, arithmetic)
    return flagged(costs, judge(batch, costs, level, tiles, top, arithmetic))


_spread = jax.jit(spread)


@jax.jit
def _rows(batch: Batch) -> Rows:
    return batch.rows()


def compute_costs(batch: Batch, arithmetic: Arithmetic, lowering: Lowering) -> Costs:
    """The equations in order; see :func:`cost`.

    A few programs, which together compile faster than one (XLA copies small operations
    into every fusion that reads them); an outer jit still makes one of them.
    """
    costs = row_costs(_rows(batch), arithmetic, lowering)
    if batch.accelerator.ndim > 1:
        costs = _spread(costs)
    return jax.tree.map(lambda a: a.reshape(*batch.accelerator.shape, *a.shape[3:]), costs)


def row_costs(rows: Rows, arithmetic: Arithmetic, lowering: Lowering) -> Costs:
    """The costs ``[p, q, b]`` of rows, with axes of length 1 where a figure does not vary."""
    return price(rows, lowering.stage(analyse, rows), arithmetic, lowering)


def price(rows: Rows, analysis: Analysis, arithmetic: Arithmetic, lowering: Lowering) -> Costs:
    """The costs ``[p, q, b]`` of an analysis, with axes of length 1 where a figure does not vary."""
    top = perform(analysis, arithmetic, lowering)
    judged = functools.partial(assess, arithmetic=arithmetic)
    return lowering.stage(judged, rows, *analysis.top, analysis.flags, top)
