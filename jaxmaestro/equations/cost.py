"""From a batch to its costs: the equations in order, one pure function.

directives -> clusters.py -> tiles.py -> (level by level, innermost first)
cases.py, factors.py, reuse.py, subtiles.py, level.py -> top.py -> figures.py
(with pricing.py and validity.py).
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import jax
import numpy as np

from jaxmaestro.description.reasons import Reason
from jaxmaestro.encoding.tables import Batch
from jaxmaestro.equations.arithmetic import EXACT, FLOAT32, Arithmetic
from jaxmaestro.equations.cases import States, analyse_states
from jaxmaestro.equations.clusters import analyse_clusters
from jaxmaestro.equations.costs import Costs
from jaxmaestro.equations.figures import figures
from jaxmaestro.equations.level import BLOCK, LevelCost, LevelModel, sub_level_cost
from jaxmaestro.equations.subtiles import hand_down
from jaxmaestro.equations.tiles import analyse_tiles
from jaxmaestro.equations.top import top_cost
from jaxmaestro.equations.validity import flagged, judge

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
    if precision not in ("exact", "float32"):
        raise ValueError(f"precision is 'exact' or 'float32', not {precision!r}")
    if block < 1:
        raise ValueError(f"block is {block}; it must be 1 or more")
    if batch.layer.shape[0] == 0:
        raise ValueError("the batch has no tuples")
    if precision == "float32":
        return compute_costs(batch, FLOAT32, block)
    with jax.enable_x64(True):
        return compute_costs(batch, EXACT, block)


def _crowded(costs: Costs) -> bool:
    """Whether some tuple needs more sub-tiles than were provided for."""
    return bool((np.asarray(costs.reasons) & int(Reason.CAPACITY)).any())


def compute_costs(batch: Batch, arithmetic: Arithmetic, block: int = BLOCK) -> Costs:
    """The equations in order; see :func:`cost`.

    Each step is compiled by itself, which takes a fraction of the time that XLA
    needs for all in one (it copies small operations into every fusion that reads
    them); an outer jit still makes one program of them.
    """
    plain = dataclasses.replace(batch, variants=())  # so that most steps compile once for all variants
    levels, shared, flags = analyse_clusters(plain)
    tiles = [analyse_tiles(level, shared.sliding) for level in levels]
    # The layer itself is the only tile that the top is handed.
    states: list[States] = [analyse_states(tiles[0], levels[0].dims[:, None])]
    numberings = []
    for index in range(batch.levels - 1):
        numbering, below_states, crowded = hand_down(
            tiles[index], states[index], tiles[index + 1], levels[index + 1].exists, batch.variants[index]
        )
        numberings.append(numbering)
        states.append(below_states)
        flags = flags | crowded
    below: LevelCost | None = None
    for index in range(batch.levels - 1, -1, -1):
        level = levels[index]
        model = LevelModel(
            tiles=tiles[index],
            innermost=level.innermost,
            noc_bandwidth=level.noc_bandwidth,
            noc_latency=level.noc_latency,
            shared=shared,
            subtiles=numberings[index] if below is not None else None,
            below=below,
            arithmetic=arithmetic,
        )
        if index > 0:
            below = sub_level_cost(model, states[index], block)
    top = top_cost(model, states[0], block)
    costs = figures(plain, levels[0], top, flags, arithmetic)
    return flagged(costs, judge(plain, costs, levels[0], tiles[0], top, arithmetic))
