"""Hardware and mappings in one loop: mappings for buffers of any size, composed exactly.

Given the PEs, layers touch each other only through the buffers that they share. So every (layer, point)
pair has a search of its own that keeps good mappings for all sizes (elites.py); after each round the
best buffers of each point are composed from what was found (compose.py), the searches turn to these,
and the worst 30 % of the points are left.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import time

import jax
import numpy as np

from jaxmaestro.accelerators.compose import Archive, Choice, choose, compose, sizes_of
from jaxmaestro.accelerators.design import Design
from jaxmaestro.accelerators.elites import GENES, RANGES, Elites, Exploration, Wanted, edges
from jaxmaestro.accelerators.lanes import BLOCK, Lanes, run_block
from jaxmaestro.accelerators.problem import (
    Arrays,
    Front,
    Keep,
    Moment,
    Outcome,
    Problem,
    Report,
    keep_nothing,
    undominated,
)
from jaxmaestro.accelerators.space import SMALLEST
from jaxmaestro.description import DescriptionError
from jaxmaestro.mapspace import Genes

_LEVELS = 12  # budgets, up to the whole, for which the archive has designs


@dataclasses.dataclass(frozen=True)
class OneLoop:
    """``rounds`` rounds; the first has ``steps`` steps of a population for each layer on each point.

    Each round keeps a share of the points for each goal, one at least, and has ``growth`` times the
    steps of the one before.

    Raises DescriptionError for numbers below 1, or a share that is none.
    """

    rounds: int = 4
    steps: int = 14
    kept: float = 0.7
    growth: float = 1.4
    exploration: Exploration = dataclasses.field(default_factory=Exploration)

    def __post_init__(self) -> None:
        if min(self.rounds, self.steps, self.growth) < 1 or not 0 < self.kept <= 1:
            raise DescriptionError(
                f"{self.rounds} rounds, {self.steps} steps, growth {self.growth}, {self.kept} kept",
                fix="give 1 or more, and a share above 0",
            )


def one_loop(
    problem: Problem,
    method: OneLoop | None = None,
    keep: Keep = keep_nothing,
    report: Report | None = None,
    threads: int | None = None,
) -> Outcome:
    """Search accelerators and mappings of a problem together.

    Raises DescriptionError for a budget that no accelerator of the space keeps, or as
    :meth:`MappingSpace.of`.
    """
    method = method or OneLoop()
    points = problem.space.points(problem.budget)
    lanes = Lanes.of(problem.layers, points, problem.goals, problem.seed, problem.options, method.exploration)
    search = _Search(problem, method, lanes)
    history: list[Moment] = []
    live = np.arange(len(points))
    done = 0
    for number in range(method.rounds):
        steps = round(method.steps * method.growth**number)
        rows = (live[:, None] * len(problem.layers) + np.arange(len(problem.layers))).reshape(-1)

        told = _told(report, history, number, method.rounds)
        advance = functools.partial(search.advance, rows, done, steps, threads, told)

        search.take(rows, keep(f"round-{number}", advance))
        done += steps
        choices = search.choices(live)
        history.append(search.moment())
        if report:
            report((number + 1) / method.rounds, history[-1].best)
        live = _better(choices, live, problem.goals, method.kept)
    return Outcome(search.designs(), search.front(), tuple(history))


def _told(report: Report | None, history: list[Moment], number: int, rounds: int) -> Report | None:
    """The report of a round's progress, with what was best before it."""
    if report is None:
        return None
    best = history[-1].best if history else {}
    return lambda share, _: report((number + share) / rounds, best)


def _better(
    choices: dict[tuple[int, str], Choice | None], live: np.ndarray, goals: tuple[str, ...], share: float
) -> np.ndarray:
    """The points, of those live, that are among the better share for some goal."""
    count = math.ceil(share * len(live))
    kept: set[int] = set()
    for goal in goals:
        found = {p: choice for p in live.tolist() if (choice := choices[p, goal]) is not None}
        ranked = sorted(found, key=lambda p: (found[p].value(goal), p))
        # A point for which nothing fits yet may only need more steps.
        kept.update((ranked + [p for p in live.tolist() if p not in found])[:count])
    return np.array(sorted(kept), np.int64)


class _Search:
    """What the rounds share: the elites of every row, the buffers wanted, the counts."""

    def __init__(self, problem: Problem, method: OneLoop, lanes: Lanes) -> None:
        self.problem, self.method, self.lanes = problem, method, lanes
        self.memory = [problem.budget.memory(point) for point in lanes.points]
        rows, goals = len(lanes.points) * len(problem.layers), len(problem.goals)
        self.elites: Elites | None = None
        self.archives: dict[int, Archive] = {}
        self.valid, self.evaluated, self.seconds = 0, 0, 0.0
        self.caps = np.zeros((len(lanes.points), goals, 2), np.int32)
        for number, point in enumerate(lanes.points):
            half = self.memory[number] // 2
            self.caps[number] = max(half // point.num_pes, SMALLEST), half
        self.rows = rows
        self.repeats = np.array(problem.repeats, np.float64)
        self.best: dict[str, tuple[Choice, list[Genes]]] = {}

    def advance(
        self, rows: np.ndarray, first: int, steps: int, threads: int | None, report: Report | None
    ) -> Arrays:
        """Some steps of rows; what changed, as arrays."""
        begun = time.perf_counter()
        parts, valid = [], 0
        for place in range(0, len(rows), BLOCK):
            own = rows[place : place + BLOCK]
            start = None if self.elites is None else jax.tree.map(lambda a, own=own: a[own], self.elites)
            found, counts = run_block(self.lanes, own, self.wanted(own), start, first, steps, threads)
            parts.append(found)
            valid += int(counts.sum())
            if report:
                report(min(1.0, (place + BLOCK) / len(rows)), {})
        elites = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
        there = np.isfinite(elites.figures[..., 0])
        population = self.method.exploration.population
        return {
            "there": there,
            "figures": elites.figures[there],
            **{name: getattr(elites.genes, name)[there] for name in GENES},
            "valid": np.array(valid),
            "evaluated": np.array(len(rows) * steps * population),
            "seconds": np.array(time.perf_counter() - begun),
        }

    def take(self, rows: np.ndarray, arrays: Arrays) -> None:
        """Remember what :meth:`advance` gave for rows."""
        there = arrays["there"]
        if self.elites is None:
            shape = (self.rows, *there.shape[1:])
            genes = {n: np.ones((*shape, *arrays[n].shape[1:]), np.int32) for n in GENES}
            self.elites = Elites(Genes(**genes), np.full((*shape, 4), np.inf))
        for name in GENES:
            old = getattr(self.elites.genes, name)
            part = old[rows]
            part[there] = arrays[name]
            old[rows] = part
        figures = np.full((*there.shape, 4), np.inf)
        figures[there] = arrays["figures"]
        self.elites.figures[rows] = figures
        self.valid += int(arrays["valid"])
        self.evaluated += int(arrays["evaluated"])
        self.seconds += float(arrays["seconds"])

    def wanted(self, rows: np.ndarray) -> Wanted:
        """Ranges of need and buffers wanted of rows."""
        point = rows // len(self.problem.layers)
        pes = [self.lanes.points[p].num_pes for p in point]
        memory = [self.memory[p] for p in point]
        l1 = [edges(SMALLEST, m // n) for m, n in zip(memory, pes, strict=True)]
        return Wanted(
            l1_edges=np.stack(l1),
            l2_edges=np.stack([edges(max(SMALLEST, m >> 12), m) for m in memory]),
            l1_cap=self.caps[point, :, 0],
            l2_cap=self.caps[point, :, 1],
            key=self.lanes.key.reshape(-1)[rows],
        )

    def choices(self, live: np.ndarray) -> dict[tuple[int, str], Choice | None]:
        """The best buffers and mappings of each live point for each goal; turns the searches to them."""
        assert self.elites is not None
        found: dict[tuple[int, str], Choice | None] = {}
        layers = len(self.problem.layers)
        for p in live.tolist():
            point, memory = self.lanes.points[p], self.memory[p]
            figures = self.elites.figures[p * layers : (p + 1) * layers].reshape(layers, -1, 4)
            self.archives[p] = archive = Archive.of(point, figures, memory)
            for number, goal in enumerate(self.problem.goals):
                choice = compose(archive, self.repeats, memory, self.problem.space, goal)
                found[p, goal] = choice
                if choice is None:
                    continue
                l1 = choice.hardware.l1_size
                l2 = self.problem.space.largest_l2(np.array(memory - l1 * point.num_pes))
                self.caps[p, number] = l1, int(l2)
                if goal not in self.best or choice.value(goal) < self.best[goal][0].value(goal):
                    # With its mappings: later ones may take their places among the elites.
                    self.best[goal] = choice, self._mappings(p, choice)
        return found

    def moment(self) -> Moment:
        """Where the search stands."""
        best = {goal: choice.value(goal) for goal, (choice, _) in self.best.items()}
        return Moment(self.evaluated, self.valid, self.seconds, best)

    def designs(self) -> dict[str, Design]:
        """The best design of each goal."""
        return {goal: self._design(choice, genes) for goal, (choice, genes) in self.best.items()}

    def _mappings(self, p: int, choice: Choice) -> list[Genes]:
        """The mappings of a choice on a point, a layer each."""
        assert self.elites is not None
        layers, found = len(self.problem.layers), []
        for number, place in enumerate(choice.place.tolist()):
            goal, home = divmod(int(self.archives[p].source[number, place]), RANGES * RANGES)
            genes = self.elites.genes[p * layers + number, goal, home]
            found.append(jax.tree.map(np.copy, genes))
        return found

    def _design(self, choice: Choice, genes: list[Genes]) -> Design:
        spaces = [self.lanes.space.row(number) for number in range(len(genes))]
        flows = tuple(space.dataflow(own) for space, own in zip(spaces, genes, strict=True))
        problem = self.problem
        return Design(choice.hardware, problem.layers, problem.repeats, flows, choice.latency, choice.energy)

    def front(self) -> Front:
        """Designs for a range of areas on every point, without those that another beats."""
        rows = []
        for p, archive in self.archives.items():
            point, most = archive.point, self.memory[p]
            needs = archive.figures[..., 2] * point.num_pes + archive.figures[..., 3]
            least = int(min(np.min(needs), most)) if np.isfinite(needs).any() else most
            for memory in np.unique(np.geomspace(max(least, 1), most, _LEVELS).astype(np.int64)).tolist():
                sizes = sizes_of(archive, self.repeats, memory, self.problem.space)
                if not np.isfinite(sizes.latency).any():
                    continue
                for goal, value in (
                    ("latency", sizes.latency),
                    ("energy", sizes.energy),
                    ("edp", sizes.latency * sizes.energy),
                ):
                    k = int(np.argmin(value))
                    l1, l2 = int(sizes.l1[k]), int(sizes.l2[k])
                    choice = choose(archive, self.repeats, l1, l2, self.problem.space, goal)
                    area = self.problem.budget.area_of(choice.hardware)
                    rows.append((choice.hardware, choice.latency, choice.energy, area))
        for choice, _ in self.best.values():
            area = self.problem.budget.area_of(choice.hardware)
            rows.append((choice.hardware, choice.latency, choice.energy, area))
        return undominated(rows)
