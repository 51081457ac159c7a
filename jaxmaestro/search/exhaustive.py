"""Every mapping of a small space: the optimum, provably."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np

from jaxmaestro.description import DescriptionError, Hardware, Layer
from jaxmaestro.encoding.encode import encode_hardware
from jaxmaestro.evaluation import evaluate_batch
from jaxmaestro.mapspace import Genes, MappingOptions, MappingSpace
from jaxmaestro.mapspace.enumeration import LIMIT
from jaxmaestro.search.objective import check_objectives, scores

CHUNK = 20_000


@dataclasses.dataclass(frozen=True)
class Optimum:
    """The best of all mappings of a space."""

    genes: Genes  # without leading axes
    scores: np.ndarray  # float64 [m]
    size: int  # mappings of the space
    valid: int  # of these the valid ones


def exhaustive(
    layer: Layer,
    hardware: Hardware,
    objectives: tuple[str, ...] = ("latency", "energy"),
    options: MappingOptions | None = None,
    limit: int = LIMIT,
    demand: bool = True,
) -> Optimum:
    """The best valid mapping: least in the first objective, of equals in the next.

    Raises DescriptionError for a space of more than ``limit`` mappings or, if one is demanded, without a
    valid one; else its scores are infinite.
    """
    check_objectives(objectives)
    space = MappingSpace.of(layer, hardware.num_pes, options)
    genes = space.all(limit)
    table, size = encode_hardware([hardware]), len(genes.levels)
    best, where, valid = np.full(len(objectives), np.inf), 0, 0
    for first in range(0, size, CHUNK):
        part = jax.tree.map(np.asarray, space.batch(genes[first : first + CHUNK], table))
        costs = evaluate_batch(part)
        with jax.enable_x64(True):
            found = np.asarray(scores(costs, objectives))
        valid += int(np.isfinite(found[:, 0]).sum())
        own = int(np.lexsort(found.T[::-1])[0])
        if tuple(found[own]) < tuple(best):
            best, where = found[own], first + own
    if demand and not valid:
        raise DescriptionError(
            f"none of the {size:,} mappings is valid",
            layer=layer.name,
            fix="give larger buffers or other options",
        )
    return Optimum(genes[where], best, size, valid)
