"""The best buffers and mappings of a network on given PEs, exactly, out of mappings that were found.

The layers of a network share one L1 size and one L2 size. With both fixed, latency and energy are sums of
independent choices. The least sum over all sizes is found by trying every L1 size that some mapping
needs, with the largest L2 that the budget then leaves: a smaller one only excludes mappings.

The energy-delay product is one of two sums. It is least at a corner of the convex hull of what the sums
can be, and those corners are reached by walking along the layers' own hulls in order of slope.
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

from jaxmaestro.accelerators.elites import ENERGY, L1, L2, LATENCY
from jaxmaestro.accelerators.space import DesignSpace
from jaxmaestro.description import Hardware

_AT_ONCE = 4_000_000  # flags held at a time


@dataclasses.dataclass(frozen=True, eq=False)
class Archive:
    """Mappings found for u layers on one point; ``figures`` are infinite where there are fewer than e."""

    point: Hardware
    figures: np.ndarray  # float64 [u, e, 4]: latency, energy, L1, L2
    source: np.ndarray  # int64 [u, e]: number of the mapping among those searched

    @classmethod
    def of(cls, point: Hardware, figures: np.ndarray, memory: int) -> Archive:
        """Of figures ``[u, n, 4]``: what fits into so many bytes, without what another beats in all."""
        kept = [_undominated(rows, point.num_pes, memory) for rows in figures]
        most = max(1, *map(len, kept))
        source = np.zeros((len(figures), most), np.int64)
        found = np.full((len(figures), most, 4), np.inf)
        for layer, rows in enumerate(kept):
            source[layer, : len(rows)] = rows
            found[layer, : len(rows)] = figures[layer, rows]
        return cls(point, found, source)


def _undominated(figures: np.ndarray, num_pes: int, memory: int) -> np.ndarray:
    """Rows of ``figures [n, 4]`` that fit into the memory and are not dominated; of equals the first."""
    fits = np.isfinite(figures[:, LATENCY]) & (num_pes * figures[:, L1] + figures[:, L2] <= memory)
    rows = np.flatnonzero(fits)
    rows = rows[np.lexsort(figures[rows].T[::-1])]
    # Sorted: only an earlier one can dominate, or be the same.
    own = figures[rows]
    no_worse = (own[:, None] <= own[None]).all(-1)
    return rows[~np.triu(no_worse, 1).any(0)]


@dataclasses.dataclass(frozen=True, eq=False)
class Choice:
    """Buffers and a mapping a layer."""

    hardware: Hardware
    place: np.ndarray  # int64 [u] column of the archive
    latency: float  # cycles of the network
    energy: float  # nJ of the network

    def value(self, goal: str) -> float:
        """Latency, energy or their product."""
        return {"latency": self.latency, "energy": self.energy, "edp": self.latency * self.energy}[goal]


@dataclasses.dataclass(frozen=True, eq=False)
class Sizes:
    """Buffer sizes that are tried, and what the layers can do with each; k of them."""

    l1: np.ndarray  # int64 [k]
    l2: np.ndarray  # int64 [k]
    latency: np.ndarray  # float64 [k] the least of the network; infinite: a layer has no mapping
    energy: np.ndarray  # float64 [k]


def sizes_of(archive: Archive, repeats: np.ndarray, memory: int, space: DesignSpace) -> Sizes:
    """The sizes to try within so many bytes."""
    figures = archive.figures
    needs = figures[..., L1][np.isfinite(figures[..., L1])].astype(np.int64)
    l1 = np.array(space.l1_sizes, np.int64) if space.l1_sizes else np.unique(needs)
    l2 = space.largest_l2(memory - archive.point.num_pes * l1)
    l1, l2 = l1[l2 >= 1], l2[l2 >= 1]
    latency, energy = np.zeros(len(l1)), np.zeros(len(l1))
    step = max(_AT_ONCE // max(figures[..., 0].size, 1), 1)
    for first in range(0, len(l1), step):
        part = slice(first, first + step)
        fits = _fits(figures, l1[part, None, None], l2[part, None, None])
        for total, column in ((latency, LATENCY), (energy, ENERGY)):
            least = np.where(fits, figures[..., column], np.inf).min(-1)
            total[part] = least @ repeats
    return Sizes(l1, l2, latency, energy)


def _fits(figures: np.ndarray, l1: np.ndarray | int, l2: np.ndarray | int) -> np.ndarray:
    return (figures[..., L1] <= l1) & (figures[..., L2] <= l2)


def compose(
    archive: Archive, repeats: np.ndarray, memory: int, space: DesignSpace, goal: str
) -> Choice | None:
    """The best of all choices for a goal; None where some layer has no mapping that fits.

    ``repeats [u]``: how often each layer occurs. Of equals the one with the smallest L1.
    """
    sizes = sizes_of(archive, repeats, memory, space)
    # No sum of products is below the product of the least sums.
    bound = {"latency": sizes.latency, "energy": sizes.energy, "edp": sizes.latency * sizes.energy}[goal]
    best: Choice | None = None
    for k in np.argsort(bound, kind="stable"):
        if not np.isfinite(bound[k]) or (best is not None and bound[k] >= best.value(goal)):
            break
        found = choose(archive, repeats, int(sizes.l1[k]), int(sizes.l2[k]), space, goal)
        if best is None or found.value(goal) < best.value(goal):
            best = found
    return best


def choose(archive: Archive, repeats: np.ndarray, l1: int, l2: int, space: DesignSpace, goal: str) -> Choice:
    """The best mappings for buffers of these sizes, which are then as small as the mappings allow."""
    figures = np.where(_fits(archive.figures, l1, l2)[..., None], archive.figures, np.inf)
    if goal == "edp":
        place = _least_product(figures, repeats)
    else:
        # Ties are broken by the other figure.
        first, second = (LATENCY, ENERGY) if goal == "latency" else (ENERGY, LATENCY)
        place = np.array([np.lexsort((rows[:, second], rows[:, first]))[0] for rows in figures], np.int64)
    taken = archive.figures[np.arange(len(place)), place]
    hardware = space.sized(archive.point, int(taken[:, L1].max()), int(taken[:, L2].max()))
    return Choice(hardware, place, float(taken[:, LATENCY] @ repeats), float(taken[:, ENERGY] @ repeats))


def _least_product(figures: np.ndarray, repeats: np.ndarray) -> np.ndarray:
    """The mappings ``[u]`` of figures ``[u, e, 4]`` with the least latency times energy in sum."""
    hulls = [_hull(rows) for rows in figures]
    place = np.array([hull[0] for hull in hulls], np.int64)
    moves = []
    for layer, hull in enumerate(hulls):
        for one, other in itertools.pairwise(hull):
            more, less = (figures[layer, other, :2] - figures[layer, one, :2]) * repeats[layer]
            moves.append((-less / more, layer, other, more, less))
    # The steepest first: most energy saved a cycle.
    moves.sort(key=lambda move: (-move[0], move[1]))
    latency = float(figures[np.arange(len(place)), place, LATENCY] @ repeats)
    energy = float(figures[np.arange(len(place)), place, ENERGY] @ repeats)
    least, until = latency * energy, 0
    for number, (_, _, _, more, less) in enumerate(moves, 1):
        latency, energy = latency + more, energy + less
        if latency * energy < least:
            least, until = latency * energy, number
    for _, layer, other, _, _ in moves[:until]:
        place[layer] = other
    return place


def _hull(figures: np.ndarray) -> list[int]:
    """Rows at the corners of the lower left hull of (latency, energy), by rising latency."""
    corners: list[int] = []
    for row in np.lexsort((figures[:, ENERGY], figures[:, LATENCY])):
        x, y = figures[row, :2]
        if not np.isfinite(x):
            break
        if corners and y >= figures[corners[-1], ENERGY]:
            continue
        while len(corners) > 1:
            (ax, ay), (bx, by) = figures[corners[-2], :2], figures[corners[-1], :2]
            # The middle one is above the line from the one before to this one.
            if (by - ay) * (x - ax) < (y - ay) * (bx - ax):
                break
            corners.pop()
        corners.append(int(row))
    return corners
