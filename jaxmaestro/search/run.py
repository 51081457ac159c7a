"""Running searches from the host: in chunks of steps, to a budget, with a history; or as one scan."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxmaestro.description import DescriptionError
from jaxmaestro.encoding.packed import Packed
from jaxmaestro.execution.programs import Shape
from jaxmaestro.search.evaluation import evaluated, laid_out, scoring, shape_for, used
from jaxmaestro.search.problem import Problem
from jaxmaestro.search.state import Searcher, State, advance, initial, step

Array = Any

UNBOUNDED = 2**31 - 1
LONGEST = 1000
"""Steps between two reports at most: the history of so many is held on the device."""


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
        if max(self.samples, self.steps) > UNBOUNDED:
            raise DescriptionError(
                f"a budget of {self.samples} samples, {self.steps} steps", fix=f"give {UNBOUNDED:,} at most"
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
    fused: bool = False,
) -> Found:
    """Run a searcher on every row of a problem until the budget is spent.

    ``start`` continues where another run stopped, to the same result as if it had not. ``report`` is
    called every so many steps, and at the end, with all that is needed to continue. ``fused`` runs so
    many steps as one program, to the same result: that takes longer to compile, for each searcher and
    problem size again, and less time a step, above all where populations are small; ``threads`` and times of
    single steps are the host's, which has no part in it.
    """
    with jax.enable_x64(True):
        state, history = start or (
            _initial(searcher, problem),
            History.empty(len(problem), len(problem.objectives)),
        )
        before = float(history.seconds[-1]) if len(history.seconds) else 0.0
        begun = time.perf_counter()
        hosted, one = (
            functools.partial(_hosted, threads=threads),
            functools.partial(_fused, length=min(every, LONGEST)),
        )
        run = one if fused else hosted
        while not (finished := _spent(state, budget)):
            most = min(every, budget.steps - int(state.step), LONGEST)
            state, notes, ended = run(searcher, problem, state, budget, most)
            best, spent, valid, evaluated = map(np.asarray, notes)
            history += History(best, spent, valid, evaluated, before + np.array(ended) - begun)
            if report:
                report(state, history)
        return Found(state, history, finished)


Note = tuple[Array, ...]
"""Of the rows after a step: the best scores, what was spent, valid, evaluated."""


def _hosted(
    searcher: Searcher, problem: Problem, state: State, budget: Budget, most: int, threads: int | None
) -> tuple[State, list[Array], list[float]]:
    """Up to so many steps, each from the host: the state, notes ``[steps, r, ...]``, when they ended."""
    population = state.asked.levels.shape[1]
    shape = shape_for(problem.space.depth, len(problem) * population)
    read = scoring(problem.objectives, problem.counted)
    chunks = _laid_out(problem, state, shape)
    samples = np.int32(budget.samples)
    notes: list[Note] = []
    ended: list[float] = []
    first = int(state.step)
    for number in range(1, most + 1):

        def after(figures: Array, state: State = state) -> tuple[State, list[Packed], Note]:
            return _advance(searcher, problem, state, figures, samples, shape)

        if len(chunks) == 1:
            state, chunks, note = used(chunks[0], shape, read, after)
        else:
            state, chunks, note = after(evaluated(chunks, shape, read, threads))
        notes.append(note)
        ended.append(time.perf_counter())
        # As long as the samples cannot have been spent, the host does not wait to see.
        few = (first + number) * _samples(searcher, population) < budget.samples
        if not few and _spent(state, budget):
            break
    return state, [np.stack(column) for column in zip(*notes, strict=True)], ended


def _fused(
    searcher: Searcher, problem: Problem, state: State, budget: Budget, most: int, length: int
) -> tuple[State, list[Array], list[float]]:
    """As :func:`_hosted`, as one program with room for ``length`` steps."""
    samples = np.int32(budget.samples)
    state, notes, steps = _steps(searcher, problem, state, samples, np.int32(most), length)
    made = int(steps)
    return state, [np.asarray(column)[:made] for column in notes], [time.perf_counter()] * made


@functools.partial(jax.jit, static_argnames=("searcher", "length"))
def _steps(
    searcher: Searcher, problem: Problem, state: State, budget: Array, most: Array, length: int
) -> tuple[State, Note, Array]:
    def unfinished(loop: tuple[State, Note, Array]) -> Array:
        state, _, number = loop
        return (number < most) & (state.spent < budget).any()

    def body(loop: tuple[State, Note, Array]) -> tuple[State, Note, Array]:
        state, notes, number = loop
        state = step(searcher, problem, state, budget)
        notes = tuple(a.at[number].set(own) for a, own in zip(notes, _note(state), strict=True))
        return state, notes, number + 1

    nothing = tuple(jnp.zeros((length, *a.shape), a.dtype) for a in _note(state))
    return lax.while_loop(unfinished, body, (state, nothing, jnp.int32(0)))


def _note(state: State) -> Note:
    return state.best_scores[:, 0], state.spent, state.valid, state.evaluated


def scan(searcher: Searcher, problem: Problem, steps: int, budget: int = UNBOUNDED) -> tuple[State, Array]:
    """So many steps as one traced ``lax.scan``; also the best scores after each, ``[steps, r, m]``."""

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
def _laid_out(problem: Problem, state: State, shape: Shape) -> list[Packed]:
    return laid_out(problem, state.asked, shape)


@functools.partial(jax.jit, static_argnames=("searcher", "shape"))
def _advance(
    searcher: Searcher, problem: Problem, state: State, figures: Array, budget: Array, shape: Shape
) -> tuple[State, list[Packed], Note]:
    rows, population = state.asked.levels.shape
    scores = figures[: rows * population].reshape(rows, population, -1)
    state = advance(searcher, problem, state, scores, budget)
    return state, laid_out(problem, state.asked, shape), _note(state)
