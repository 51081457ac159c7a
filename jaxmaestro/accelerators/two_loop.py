"""Hardware in an outer loop, mappings in an inner one: each accelerator has a mapping search of its own."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import jax
import numpy as np

from jaxmaestro.accelerators.compose import Archive, choose
from jaxmaestro.accelerators.design import Design
from jaxmaestro.accelerators.elites import GENES, Exploration, Wanted, edges
from jaxmaestro.accelerators.lanes import BLOCK, Lanes, run_block
from jaxmaestro.accelerators.problem import (
    Arrays,
    Keep,
    Moment,
    Outcome,
    Problem,
    Report,
    keep_nothing,
    undominated,
)
from jaxmaestro.accelerators.space import SMALLEST
from jaxmaestro.description import DescriptionError, Hardware
from jaxmaestro.mapspace import Genes

OUTER = ("random", "evolution", "tpe")


@dataclasses.dataclass(frozen=True)
class TwoLoop:
    """``trials`` accelerators, ``batch`` at a time; for each ``steps`` steps of a population a layer.

    ``outer``: ``"random"``, ``"evolution"`` (the best so far, changed) or ``"tpe"`` (optuna's
    tree-structured Parzen estimator; needs the package).

    Raises DescriptionError for an outer search that is not known or numbers below 1.
    """

    outer: str = "evolution"
    trials: int = 32
    batch: int = 8
    steps: int = 24
    exploration: Exploration = dataclasses.field(default_factory=lambda: Exploration(focus=0.95))

    def __post_init__(self) -> None:
        if self.outer not in OUTER:
            raise DescriptionError(f"there is no outer search {self.outer!r}", fix=f"give {', '.join(OUTER)}")
        if min(self.trials, self.batch, self.steps) < 1:
            raise DescriptionError(
                f"{self.trials} trials, {self.batch} at a time, {self.steps} steps", fix="give 1 or more"
            )


Trial = tuple[int, int]
"""Number of the point, bytes of L1; L2 takes what the budget leaves."""


class Outer(Protocol):
    """Proposes accelerators and is told how good they are (infinite: no valid mapping of some layer)."""

    def ask(self, count: int) -> list[Trial]:
        """Accelerators to try."""

    def tell(self, trials: Sequence[Trial], values: Sequence[float]) -> None:
        """How good they are."""


class _Random:
    """Points and shares of L1 drawn uniformly."""

    def __init__(self, points: int, largest: Sequence[int], seed: int) -> None:
        self.points, self.largest = points, largest
        self.draws = np.random.default_rng(seed)

    def ask(self, count: int) -> list[Trial]:
        found = []
        for _ in range(count):
            point = int(self.draws.integers(self.points))
            found.append((point, self._l1(point, self.draws.random())))
        return found

    def _l1(self, point: int, share: float) -> int:
        """Geometrically between the smallest and the largest L1."""
        return round(SMALLEST * (self.largest[point] / SMALLEST) ** share)

    def tell(self, trials: Sequence[Trial], values: Sequence[float]) -> None:
        pass


class _Evolution(_Random):
    """Neighbours of the four best; a quarter is drawn anew."""

    def __init__(self, points: int, largest: Sequence[int], seed: int) -> None:
        super().__init__(points, largest, seed)
        self.known: list[tuple[float, Trial]] = []

    def ask(self, count: int) -> list[Trial]:
        found = super().ask(count)
        if not self.known:
            return found
        best = [trial for _, trial in sorted(self.known)[:4]]
        for place in range(count // 4, count):
            point, l1 = best[int(self.draws.integers(len(best)))]
            point = int(np.clip(point + self.draws.integers(-1, 2), 0, self.points - 1))
            changed = round(float(l1 * 2 ** self.draws.normal(0, 0.5)))
            found[place] = point, int(np.clip(changed, SMALLEST, self.largest[point]))
        return found

    def tell(self, trials: Sequence[Trial], values: Sequence[float]) -> None:
        pairs = zip(values, trials, strict=True)
        self.known += [(value, trial) for value, trial in pairs if np.isfinite(value)]


class _Parzen:
    """optuna's TPE; values in logarithms."""

    def __init__(self, points: int, largest: Sequence[int], seed: int) -> None:
        try:
            import optuna
        except ImportError:
            raise DescriptionError(
                "outer search tpe needs optuna, which is not installed",
                fix="pip install 'jaxmaestro[search]', or give random or evolution",
            ) from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.space = _Random(points, largest, seed)
        self.study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        self.pending: list[Any] = []

    def ask(self, count: int) -> list[Trial]:
        found = []
        for _ in range(count):
            trial = self.study.ask()
            point = trial.suggest_int("point", 0, self.space.points - 1)
            found.append((point, self.space._l1(point, trial.suggest_float("l1", 0.0, 1.0))))
            self.pending.append(trial)
        return found

    def tell(self, trials: Sequence[Trial], values: Sequence[float]) -> None:
        asked, self.pending = self.pending, []
        for trial, value in zip(asked, values, strict=True):
            self.study.tell(trial, float(np.log(value)) if np.isfinite(value) else 1e3)


def two_loop(
    problem: Problem,
    method: TwoLoop | None = None,
    keep: Keep = keep_nothing,
    report: Report | None = None,
    threads: int | None = None,
) -> Outcome:
    """Search accelerators, and for each of them mappings. The first goal guides the outer search.

    Raises DescriptionError for a budget that no accelerator of the space keeps, without optuna
    where it is asked for, or as :meth:`MappingSpace.of`.
    """
    method = method or TwoLoop()
    points = problem.space.points(problem.budget)
    inner = _Inner(problem, method, points)
    kinds: dict[str, Callable[[int, Sequence[int], int], Outer]] = {
        "random": _Random,
        "evolution": _Evolution,
        "tpe": _Parzen,
    }
    outer = kinds[method.outer](len(points), inner.largest, problem.seed)
    designs: dict[str, Design] = {}
    history: list[Moment] = []
    rows: list[tuple[Hardware, float, float, float]] = []
    evaluated, valid, seconds, done = 0, 0, 0.0, 0
    while done < method.trials:
        trials = outer.ask(min(method.batch, method.trials - done))
        arrays = keep(f"trials-{done:05d}", lambda trials=trials: inner.run(trials, threads))  # type: ignore[misc]
        found = [inner.designs(trial, place, arrays) for place, trial in enumerate(trials)]
        values = []
        for own in found:
            for goal, design in own.items():
                rows.append(
                    (design.hardware, design.latency, design.energy, problem.budget.area_of(design.hardware))
                )
                if goal not in designs or _value(design, goal) < _value(designs[goal], goal):
                    designs[goal] = design
            first = own.get(problem.goals[0])
            values.append(np.inf if first is None else _value(first, problem.goals[0]))
        outer.tell(trials, values)
        done += len(trials)
        evaluated += int(arrays["evaluated"])
        valid += int(arrays["valid"])
        seconds += float(arrays["seconds"])
        best = {goal: _value(design, goal) for goal, design in designs.items()}
        history.append(Moment(evaluated, valid, seconds, best))
        if report:
            report(done / method.trials, best)
    return Outcome(designs, undominated(rows), tuple(history))


def _value(design: Design, goal: str) -> float:
    return {"latency": design.latency, "energy": design.energy, "edp": design.edp}[goal]


class _Inner:
    """Mapping searches for given accelerators."""

    def __init__(self, problem: Problem, method: TwoLoop, points: Sequence[Hardware]) -> None:
        self.problem, self.method, self.points = problem, method, points
        self.memory = [problem.budget.memory(point) for point in points]
        self.largest = [(m - SMALLEST) // p.num_pes for m, p in zip(self.memory, points, strict=True)]
        self.lanes = Lanes.of(
            problem.layers, points, problem.goals, problem.seed, problem.options, method.exploration
        )
        self.repeats = np.array(problem.repeats, np.float64)

    def buffers(self, trial: Trial) -> tuple[int, int]:
        """L1 and L2 of a trial: the sizes of the space, if it has some, that are nearest below."""
        point, l1 = trial
        sizes = self.problem.space.l1_sizes
        if sizes:
            l1 = max((size for size in sizes if size <= l1), default=min(sizes))
        left = self.memory[point] - l1 * self.points[point].num_pes
        return l1, int(self.problem.space.largest_l2(np.array(left)))

    def run(self, trials: Sequence[Trial], threads: int | None) -> Arrays:
        """The best mappings of every layer for every trial and goal, as arrays."""
        begun = time.perf_counter()
        layers, goals = len(self.problem.layers), len(self.problem.goals)
        point = np.repeat([trial[0] for trial in trials], layers)
        rows = point * layers + np.tile(np.arange(layers), len(trials))
        caps = np.repeat([self.buffers(trial) for trial in trials], layers, 0).clip(0).astype(np.int32)
        memory = [self.memory[p] for p in point]
        wanted = Wanted(
            l1_edges=np.stack([edges(SMALLEST, max(int(cap), SMALLEST)) for cap in caps[:, 0]]),
            l2_edges=np.stack([edges(max(SMALLEST, m >> 12), m) for m in memory]),
            l1_cap=np.repeat(caps[:, :1], goals, 1),
            l2_cap=np.repeat(caps[:, 1:], goals, 1),
            key=self.lanes.key.reshape(-1)[rows],
        )
        parts, valid = [], 0
        for place in range(0, len(rows), BLOCK):
            part = slice(place, place + BLOCK)
            held = jax.tree.map(lambda a, part=part: a[part], wanted)
            found, counts = run_block(self.lanes, rows[part], held, None, 0, self.method.steps, threads)
            parts.append(found)
            valid += int(counts.sum())
        elites = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
        figures = elites.figures.reshape(len(trials), layers, -1, 4)
        genes = jax.tree.map(lambda a: a.reshape(*figures.shape[:3], *a.shape[3:]), elites.genes)
        best = np.full((len(trials), goals, 4), np.inf)  # latency, energy, L1, L2
        places = np.zeros((len(trials), goals, layers), np.int64)
        for number, trial in enumerate(trials):
            p = trial[0]
            archive = Archive.of(self.points[p], figures[number], self.memory[p])
            l1, l2 = self.buffers(trial)
            for g, goal in enumerate(self.problem.goals):
                fits = (archive.figures[..., 2] <= l1) & (archive.figures[..., 3] <= l2)
                if not fits.any(1).all():
                    continue
                choice = choose(archive, self.repeats, l1, l2, self.problem.space, goal)
                places[number, g] = archive.source[np.arange(layers), choice.place]
                sizes = choice.hardware.l1_size, choice.hardware.l2_size
                best[number, g] = choice.latency, choice.energy, *sizes
        index = np.arange(len(trials))[:, None, None], np.arange(layers)[None, None], places
        taken = {name: getattr(genes, name)[index] for name in GENES}
        count = len(rows) * self.method.steps * self.method.exploration.population
        return {
            "best": best,
            **taken,
            "valid": np.array(valid),
            "evaluated": np.array(count),
            "seconds": np.array(time.perf_counter() - begun),
        }

    def designs(self, trial: Trial, place: int, arrays: Arrays) -> dict[str, Design]:
        """The designs of a trial by goal; none where some layer has no mapping that fits."""
        found = {}
        for g, goal in enumerate(self.problem.goals):
            latency, energy, l1, l2 = arrays["best"][place, g].tolist()
            if not np.isfinite(latency):
                continue
            genes = Genes(**{name: arrays[name][place, g] for name in GENES})
            layers = self.problem.layers
            flows = tuple(self.lanes.space.row(n).dataflow(genes[n]) for n in range(len(layers)))
            hardware = self.points[trial[0]].replace(l1_size=int(l1), l2_size=int(l2))
            found[goal] = Design(hardware, layers, self.problem.repeats, flows, latency, energy)
        return found
