"""Running searches from the host: in chunks of steps, to a budget, with a history; or as one scan."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import lax

from jaxmaestro.description import DescriptionError
from jaxmaestro.encoding.tables import Rows
from jaxmaestro.execution.programs import Shape
from jaxmaestro.search.evaluation import evaluated, laid_out, scoring, shape_for
from jaxmaestro.search.problem import Problem
from jaxmaestro.search.state import Searcher, State, advance, initial, step

Array = Any

UNBOUNDED = 2**31 - 1


@dataclasses.dataclass(frozen=True)
class History:
    """What each search had found after each step; NumPy arrays ``[steps, r, ...]``."""

    best: np.ndarray  # float64 [steps, r, m] the best mapping's scores; infinite: none found
    spent: np.ndarray  # int32 [steps, r] samples, as the budget counts them
    valid: np.ndarray  # int32 [steps, r] valid mappings among them
    evaluated: np.ndarray  # int32 [steps, r]
    seconds: np.ndarray  # float64 [steps] since the search began, pauses left out

    @classmethod
    def empty(cls, rows: int, objectives: int) -> History:
        """Of no steps."""
        counts = np.zeros((0, rows), np.int32)
        return cls(np.zeros((0, rows, objectives)), counts, counts, counts, np.zeros(0))

    def __add__(self, later: History) -> History:
        pairs = ((getattr(self, f.name), getattr(later, f.name)) for f in dataclasses.fields(self))
        return History(*(np.concatenate(pair) for pair in pairs))


@dataclasses.dataclass(frozen=True)
class Budget:
    """When a search ends: each row after ``samples`` samples, all after ``steps`` steps.

    A sample is a valid mapping, or what a searcher that samples in other ways counts as one.

    Raises DescriptionError for numbers below 1, or none.
    """

    samples: int = UNBOUNDED
    steps: int = UNBOUNDED

    def __post_init__(self) -> None:
        if self.samples < 1 or self.steps < 1:
            raise DescriptionError(
                f"a budget of {self.samples} samples, {self.steps} steps", fix="give 1 or more"
            )
        if self.samples == self.steps == UNBOUNDED:
            raise DescriptionError("a search without a budget", fix="give samples or steps")


@dataclasses.dataclass(frozen=True)
class Found:
    """A search that has ended, or was stopped."""

    state: State
    history: History
    finished: bool


def search(
    searcher: Searcher,
    problem: Problem,
    budget: Budget,
    start: tuple[State, History] | None = None,
    every: int = 20,
    report: Callable[[State, History], None] | None = None,
    threads: int | None = None,
) -> Found:
    """Run a searcher on every row of a problem until the budget is spent.

    ``start`` continues where another run stopped, to the same result as if it had not. ``report`` is
    called every so many steps, and at the end, with all that is needed to continue.
    """
    with jax.enable_x64(True):
        state, history = start or (
            _initial(searcher, problem),
            History.empty(len(problem), len(problem.objectives)),
        )
        population = state.asked.levels.shape[1]
        shape = shape_for(problem.space.depth, len(problem) * population)
        read = scoring(problem.objectives, problem.counted)
        chunks = _laid_out(problem, state, shape)
        before = float(history.seconds[-1]) if len(history.seconds) else 0.0
        begun, seconds = time.perf_counter(), []
        notes: list[tuple[Array, ...]] = []
        steps, finished = int(state.step), _spent(state, budget)
        while not finished:
            figures = evaluated(chunks, shape, read, threads)
            state, chunks, note = _advance(searcher, problem, state, figures, np.int32(budget.samples), shape)
            steps += 1
            notes.append(note)
            # As long as the samples cannot have been spent, the host does not wait to see.
            few = (steps * _samples(searcher, population)) < budget.samples
            finished = steps >= budget.steps or (not few and _spent(state, budget))
            seconds.append(before + time.perf_counter() - begun)
            if finished or len(notes) == every:
                history = history + _history(notes, seconds)
                notes, seconds = [], []
                if report:
                    report(state, history)
        return Found(state, history, finished)


def scan(searcher: Searcher, problem: Problem, steps: int, budget: int = UNBOUNDED) -> tuple[State, Array]:
    """So many steps as one traced ``lax.scan``; also the best scores after each, ``[steps, r, m]``.

    Mappings with too many sub-tiles do not count (see :meth:`Problem.evaluate`).
    """

    def one(state: State, _: None) -> tuple[State, Array]:
        state = step(searcher, problem, state, budget)
        return state, state.best_scores[:, 0]

    with jax.enable_x64(True):
        return lax.scan(one, initial(searcher, problem), None, length=steps)


def _spent(state: State, budget: Budget) -> bool:
    return int(state.step) >= budget.steps or bool((np.asarray(state.spent) >= budget.samples).all())


def _samples(searcher: Searcher, population: int) -> int:
    """Samples of a step at most."""
    return max(int(getattr(searcher, "samples", population)), population)


@functools.partial(jax.jit, static_argnames="searcher")
def _initial(searcher: Searcher, problem: Problem) -> State:
    return initial(searcher, problem)


@functools.partial(jax.jit, static_argnames="shape")
def _laid_out(problem: Problem, state: State, shape: Shape) -> list[Rows]:
    return laid_out(problem, state.asked, shape)


@functools.partial(jax.jit, static_argnames=("searcher", "shape"))
def _advance(
    searcher: Searcher, problem: Problem, state: State, figures: Array, budget: Array, shape: Shape
) -> tuple[State, list[Rows], tuple[Array, ...]]:
    rows, population = state.asked.levels.shape
    scores = figures[: rows * population].reshape(rows, population, -1)
    state = advance(searcher, problem, state, scores, budget)
    note = (state.best_scores[:, 0], state.spent, state.valid, state.evaluated)
    return state, laid_out(problem, state.asked, shape), note


def _history(notes: list[tuple[Array, ...]], seconds: list[float]) -> History:
    best, spent, valid, evaluated = (np.stack(column) for column in zip(*notes, strict=True))
    return History(best, spent, valid, evaluated, np.array(seconds))
