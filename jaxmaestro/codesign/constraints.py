"""Constraints of a co-design problem: at most so many cycles, nJ and um^2, on some points."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from jaxmaestro.codesign.campaign import NEVER, Campaign
from jaxmaestro.description import DescriptionError


@dataclasses.dataclass(frozen=True, eq=False)
class Constraints:
    """c problems: the most accurate architecture, and a point for it, within the limits."""

    latency: np.ndarray  # [c] int64, cycles at most
    energy: np.ndarray  # [c] float64, nJ at most
    allowed: np.ndarray  # [c, points] bool: points that may be chosen (area within its limit, alive)

    def __post_init__(self) -> None:
        """The largest int64 means no limit; what has no figures (latency ``NEVER``) must not meet it."""
        object.__setattr__(self, "latency", np.minimum(self.latency, NEVER - 1))

    def __len__(self) -> int:
        return len(self.latency)


def on_product(
    campaign: Campaign, latency: Sequence[float], energy: Sequence[float], area: Sequence[float]
) -> Constraints:
    """Any architecture on any point: every combination of quantiles of latency, energy and area.

    Quantiles are of all (architecture, point) pairs that have figures, and of the areas of the
    accelerators; each is a value that occurs. Raises DescriptionError for one outside 0 to 1.
    """
    live = campaign.live
    _need_points(live)
    cycles = _levels("latency", campaign.latency[:, live], latency)
    joules = _levels("energy", campaign.energy[:, live], energy)
    square = _levels("area", campaign.points.area[live], area)
    grid = np.array(np.meshgrid(*(np.arange(len(x)) for x in (cycles, joules, square)), indexing="ij"))
    t, e, a = grid.reshape(3, -1)
    return Constraints(cycles[t], joules[e], (campaign.points.area <= square[a][:, None]) & live)


def on_each_point(campaign: Campaign, latency: Sequence[float], energy: Sequence[float]) -> Constraints:
    """The point is given: for each live one every combination of quantiles of its own figures.

    The harder test of a proxy: no other point can make up for an architecture that is missing.
    Raises DescriptionError for a quantile outside 0 to 1.
    """
    _need_points(campaign.live)
    cycles, joules, allowed = [], [], []
    for point in np.flatnonzero(campaign.live):
        t, e = np.meshgrid(
            _levels("latency", campaign.latency[:, point], latency),
            _levels("energy", campaign.energy[:, point], energy),
            indexing="ij",
        )
        cycles.append(t.ravel())
        joules.append(e.ravel())
        allowed.append(np.tile(np.arange(len(campaign.points)) == point, (t.size, 1)))
    return Constraints(np.concatenate(cycles), np.concatenate(joules), np.concatenate(allowed))


def _need_points(live: np.ndarray) -> None:
    if not live.any():
        raise DescriptionError("no point has figures for every architecture", fix="give other accelerators")


def _levels(what: str, values: np.ndarray, quantiles: Sequence[float]) -> np.ndarray:
    """The smallest values that at least these shares of all are no larger than (no interpolation)."""
    if not len(quantiles) or not all(0 <= share <= 1 for share in quantiles):  # NaN is no share either
        raise DescriptionError(f"quantiles of {what} are {list(quantiles)}", fix="give shares from 0 to 1")
    ordered = np.sort(values, axis=None)
    places = np.ceil(np.asarray(quantiles, np.float64) * len(ordered)).astype(int) - 1
    return ordered[np.clip(places, 0, len(ordered) - 1)]
