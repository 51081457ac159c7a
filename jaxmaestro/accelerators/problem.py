"""Co-design of an accelerator and the mappings of a network: what is asked for, and what is found."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from jaxmaestro.accelerators.budget import Budget
from jaxmaestro.accelerators.design import Design
from jaxmaestro.accelerators.elites import GOALS
from jaxmaestro.accelerators.space import DesignSpace
from jaxmaestro.description import DescriptionError, Hardware, Layer
from jaxmaestro.mapspace import MappingOptions

Arrays = dict[str, np.ndarray]
Keep = Callable[[str, Callable[[], Arrays]], Arrays]
"""Gives the arrays of a named step: computed, or as an earlier run left them."""
Report = Callable[[float, dict[str, float]], None]
"""Is told which share is done, and the best value of each goal so far."""


def keep_nothing(name: str, compute: Callable[[], Arrays]) -> Arrays:
    """A :data:`Keep` that computes every step."""
    return compute()


@dataclasses.dataclass(frozen=True)
class Problem:
    """Distinct layers with how often each occurs, accelerators to choose from, a budget, and goals.

    Raises DescriptionError for no layers, repeats below 1, or goals that are not known.
    """

    layers: tuple[Layer, ...]
    repeats: tuple[int, ...]
    space: DesignSpace
    budget: Budget
    goals: tuple[str, ...] = ("latency", "edp")
    seed: int = 0
    options: MappingOptions = dataclasses.field(default_factory=MappingOptions)

    def __post_init__(self) -> None:
        if not self.layers or len(self.repeats) != len(self.layers) or min(self.repeats) < 1:
            raise DescriptionError(
                f"{len(self.layers)} layers with repeats {self.repeats}", fix="give each layer one, from 1"
            )
        if not self.goals or len(set(self.goals)) < len(self.goals) or set(self.goals) - set(GOALS):
            raise DescriptionError(
                f"the goals are {', '.join(self.goals) or 'none'}",
                fix=f"give some of {', '.join(GOALS)}, each once",
            )

    @classmethod
    def of(
        cls,
        layers: Sequence[tuple[Layer, int]],
        space: DesignSpace,
        budget: Budget,
        goals: Sequence[str] = ("latency", "edp"),
        seed: int = 0,
        options: MappingOptions | None = None,
    ) -> Problem:
        """Of the layers of a network; those of one shape are one layer, their repeats added up."""
        found: dict[object, tuple[Layer, int]] = {}
        for layer, repeat in layers:
            first, before = found.get(layer.shape, (layer, 0))
            found[layer.shape] = (first, before + repeat)
        return cls(
            tuple(layer for layer, _ in found.values()),
            tuple(repeat for _, repeat in found.values()),
            space,
            budget,
            tuple(goals),
            seed,
            options or MappingOptions(),
        )


@dataclasses.dataclass(frozen=True)
class Moment:
    """Where a search stood: mappings evaluated, seconds, and the best value of each goal."""

    evaluated: int
    valid: int
    seconds: float
    best: dict[str, float]


@dataclasses.dataclass(frozen=True, eq=False)
class Front:
    """Designs of which none is better than another in latency, energy and area; n of them."""

    hardware: tuple[Hardware, ...]
    latency: np.ndarray  # float64 [n] cycles
    energy: np.ndarray  # float64 [n] nJ
    area: np.ndarray  # float64 [n] mm^2

    @property
    def figures(self) -> np.ndarray:
        """float64 ``[n, 4]``: latency, energy, area, EDP."""
        return np.stack([self.latency, self.energy, self.area, self.latency * self.energy], 1)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The best design for each goal (missing: none was found), the archive, the history."""

    designs: dict[str, Design]
    front: Front
    history: tuple[Moment, ...]


def undominated(rows: Sequence[tuple[Hardware, float, float, float]]) -> Front:
    """The front of designs (accelerator, latency, energy, area)."""
    figures = np.array([row[1:] for row in rows], np.float64).reshape(-1, 3)
    if len(rows):
        order = np.lexsort(figures.T[::-1])
        own = figures[order]
        worse = np.triu((own[:, None] <= own[None]).all(-1), 1).any(0)
        order = order[~worse]
    else:
        order = np.zeros(0, np.int64)
    kept = figures[order]
    return Front(tuple(rows[i][0] for i in order), kept[:, 0], kept[:, 1], kept[:, 2])
