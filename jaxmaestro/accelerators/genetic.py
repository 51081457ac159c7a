"""A genetic algorithm over accelerators with their mappings, as DiGamma (Kao et al., DATE 2022) has it.

An individual is a point and a mapping for each layer; its buffers are as large as these need. Children
take the point of one parent and the mappings, layer by layer, of both; then points and mappings change.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmaestro.accelerators.design import Design
from jaxmaestro.accelerators.elites import ENERGY, GENES, L1, L2, LATENCY
from jaxmaestro.accelerators.lanes import Lanes, needs
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
from jaxmaestro.encoding.packed import Packed
from jaxmaestro.execution.programs import Shape
from jaxmaestro.mapspace import Genes, MappingSpace, where
from jaxmaestro.mapspace.choices import uniform, whole_numbers
from jaxmaestro.search.evaluation import evaluated, laid_out, shape_for
from jaxmaestro.search.problem import Problem as Rowwise
from jaxmaestro.search.variation import TUNED, Rates, beginners, vary

Array = Any


@dataclasses.dataclass(frozen=True)
class GeneticLoop:
    """``generations`` of a population of accelerators, for each goal; ``every`` of them between files."""

    population: int = 64
    generations: int = 120
    parents: float = 0.4  # share that has children
    elite: float = 0.1  # share that lives on
    change: float = 0.15  # share of a child's layers whose mapping changes
    move: float = 0.2  # share of children that go to another point
    every: int = 20
    rates: Rates = TUNED


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class _State:
    genes: Genes  # [u, p]
    point: Array  # int32 [p]


def genetic_loop(
    problem: Problem,
    method: GeneticLoop | None = None,
    keep: Keep = keep_nothing,
    report: Report | None = None,
    threads: int | None = None,
) -> Outcome:
    """Search accelerators with their mappings, once for each goal. Raises as :func:`two_loop`."""
    method = method or GeneticLoop()
    points = problem.space.points(problem.budget)
    loop = _Loop(problem, method, points, threads)
    designs: dict[str, Design] = {}
    history: list[Moment] = []
    best: dict[str, float] = {}
    evaluated, valid, seconds = 0, 0, 0.0
    parts = -(-method.generations // method.every)
    for number, goal in enumerate(problem.goals):
        arrays: Arrays | None = None
        for part in range(parts):
            before = arrays

            def advance(
                before: Arrays | None = before, part: int = part, number: int = number, goal: str = goal
            ) -> Arrays:
                return loop.run(before, part, number, goal)

            arrays = keep(f"{goal}-{part:03d}", advance)
            evaluated += int(arrays["evaluated"])
            valid += int(arrays["valid"])
            seconds += float(arrays["seconds"])
            if np.isfinite(arrays["best"][0]):
                best = best | {goal: float(arrays["best"][0])}
            history.append(Moment(evaluated, valid, seconds, best))
            if report:
                report((number * parts + part + 1) / (len(problem.goals) * parts), best)
        assert arrays is not None
        if np.isfinite(arrays["best"][0]):
            designs[goal] = loop.design(arrays)
    # What one goal's search found may be the best for another.
    found = tuple(designs.values())
    if found:
        designs = {goal: min(found, key=lambda design: getattr(design, goal)) for goal in problem.goals}
        best = {goal: float(getattr(design, goal)) for goal, design in designs.items()}
        history.append(Moment(evaluated, valid, seconds, best))
    rows = [(d.hardware, d.latency, d.energy, problem.budget.area_of(d.hardware)) for d in designs.values()]
    return Outcome(designs, undominated(rows), tuple(history))


class _Loop:
    """What the generations share."""

    def __init__(self, problem: Problem, method: GeneticLoop, points: Any, threads: int | None) -> None:
        self.problem, self.method, self.points, self.threads = problem, method, points, threads
        self.lanes = Lanes.of(problem.layers, points, problem.goals, problem.seed, problem.options)
        self.memory = np.array([problem.budget.memory(point) for point in points], np.float64)
        self.pes = np.array([point.num_pes for point in points], np.int32)
        self.shape = shape_for(self.lanes.space.depth, len(problem.layers) * method.population)
        self.repeats = np.array(problem.repeats, np.float64)

    def run(self, before: Arrays | None, part: int, number: int, goal: str) -> Arrays:
        """Some generations; where they stand, as arrays."""
        begun = time.perf_counter()
        problem, method = self.problem, self.method
        with jax.enable_x64(True):
            key = jax.random.fold_in(jax.random.key(problem.seed), number)
            if before is None:
                state = _first(self.lanes.space, self.pes, key, method.population)
                best = np.full(5, np.inf)  # value, latency, energy, L1, L2
                kept: Arrays = {}
            else:
                genes = Genes(**{name: before[f"now_{name}"] for name in GENES})
                state = _State(genes, before["now_point"])
                best, kept = before["best"].copy(), before
            found: Arrays = {name: kept[name] for name in (*GENES, "point") if name in kept}
            first = part * method.every
            count = min(method.every, method.generations - first)
            valid = 0
            for generation in range(first, first + count):
                figures = self._figures(state)
                valid += int(np.isfinite(figures[..., 0]).sum())
                score, sums = self._scores(figures, np.asarray(state.point), goal)
                top = int(np.argmin(score))
                if sums[top, 0] < best[0]:
                    best = sums[top]
                    own = jax.tree.map(lambda a, top=top: np.asarray(a)[:, top], state.genes)
                    found = {name: getattr(own, name) for name in GENES}
                    found["point"] = np.asarray(state.point)[top]
                state = _next(
                    self.lanes.space,
                    self.pes,
                    state,
                    score,
                    jax.random.fold_in(key, generation + 1),
                    method,
                )
        now = {f"now_{name}": np.asarray(getattr(state.genes, name)) for name in GENES}
        return {
            **found,
            **now,
            "now_point": np.asarray(state.point),
            "best": best,
            "valid": np.array(valid),
            "evaluated": np.array(count * method.population * len(problem.layers)),
            "seconds": np.array(time.perf_counter() - begun),
        }

    def _figures(self, state: _State) -> np.ndarray:
        """Figures ``[u, p, 4]``; infinite where not valid or below the roofline."""
        layers, population = len(self.problem.layers), self.method.population
        chunks = _laid_out(self.lanes.space, self.lanes.hardware, state, self.shape)
        flat = np.asarray(evaluated(chunks, self.shape, needs, self.threads))[: layers * population]
        figures = flat.reshape(layers, population, 4)
        least = self.lanes.least[np.asarray(state.point)].T
        return np.where((figures[..., 0] < least)[..., None], np.inf, figures)

    def _scores(self, figures: np.ndarray, point: np.ndarray, goal: str) -> tuple[np.ndarray, np.ndarray]:
        """What selection goes by ``[p]``; value, latency, energy, L1 and L2 of those within the budget."""
        space = self.problem.space
        failed = ~np.isfinite(figures[..., 0])
        shown = np.where(failed[..., None], 0, figures)
        latency, energy = (self.repeats @ shown[..., column] for column in (LATENCY, ENERGY))
        l1, l2 = shown[..., L1].max(0), shown[..., L2].max(0)
        for sizes, need in ((space.l1_sizes, l1), (space.l2_sizes, l2)):
            if sizes:
                table = np.array([*sizes, np.inf])
                need[:] = table[np.searchsorted(table, need)]
        value = {"latency": latency, "energy": energy, "edp": latency * energy}[goal]
        used = (l1 * self.pes[point] + l2) / self.memory[point]
        good = ~failed.any(0) & (used <= 1)
        # Those that fail come last: by the layers that do, then by how far they are beyond the budget.
        penalty = 1e60 * (1 + failed.sum(0)) + 1e50 * np.minimum(used, 1e6)
        sums = np.stack([value, latency, energy, l1, l2], 1)
        return np.where(good, value, penalty), np.where(good[:, None], sums, np.inf)

    def design(self, arrays: Arrays) -> Design:
        """The best individual."""
        genes = Genes(**{name: arrays[name] for name in GENES})
        _, latency, energy, l1, l2 = arrays["best"].tolist()
        layers = self.problem.layers
        flows = tuple(self.lanes.space.row(n).dataflow(genes[n]) for n in range(len(layers)))
        hardware = self.points[int(arrays["point"])].replace(l1_size=int(l1), l2_size=int(l2))
        return Design(hardware, layers, self.problem.repeats, flows, latency, energy)


@functools.partial(jax.jit, static_argnames="count")
def _first(space: MappingSpace, pes: Array, key: Array, count: int) -> _State:
    k_point, k_genes = jax.random.split(key)
    point = whole_numbers(k_point, (count,), 0, len(pes))
    keys = jax.random.split(k_genes, space.extent.shape[0])
    genes = jax.vmap(lambda own, k: beginners(own, k, count))(space, keys)
    return _State(_on_points(space, genes, jnp.asarray(pes)[point]), point)


def _on_points(space: MappingSpace, genes: Genes, pes: Array) -> Genes:
    """Genes ``[u, p]`` repaired for accelerators of so many PEs ``[p]``."""

    def one(own: MappingSpace, mapping: Genes, count: Array) -> Genes:
        return dataclasses.replace(own, num_pes=count).repair(mapping[None])[0]

    return jax.vmap(jax.vmap(one, (None, 0, 0)), (0, 0, None))(space, genes, pes)


@functools.partial(jax.jit, static_argnames="shape")
def _laid_out(space: MappingSpace, hardware: Any, state: _State, shape: Shape) -> list[Packed]:
    layers, population = state.genes.levels.shape
    # Directives do not depend on the sizes allowed, which are many.
    small = dataclasses.replace(space, cluster_sizes=space.cluster_sizes[:, :1])
    rows = small.row(jnp.repeat(jnp.arange(layers), population, total_repeat_length=layers * population))
    point = jnp.tile(state.point, layers)
    single = jax.tree.map(lambda a: a.reshape(layers * population, 1, *a.shape[2:]), state.genes)
    return laid_out(Rowwise(rows, hardware, point, jnp.zeros_like(point), ("latency",)), single, shape)


@functools.partial(jax.jit, static_argnames="method")
def _next(
    space: MappingSpace, pes: Array, state: _State, score: Array, key: Array, method: GeneticLoop
) -> _State:
    layers, count = state.genes.levels.shape
    k_pairs, k_cross, k_move, k_change, k_vary = jax.random.split(key, 5)
    order = jnp.argsort(score)
    most = max(int(count * method.parents), 2)
    pairs = order[whole_numbers(k_pairs, (2, count), 0, most)]
    first, second = (jax.tree.map(lambda a, row=row: a[:, row], state.genes) for row in pairs)
    crossed = where(uniform(k_cross, (layers, count)) < 0.5, first, second)
    k_which, k_where = jax.random.split(k_move)
    elsewhere = whole_numbers(k_where, (count,), 0, len(pes))
    point = jnp.where(uniform(k_which, (count,)) < method.move, elsewhere, state.point[pairs[0]])
    keys = jax.random.split(k_vary, layers * count).reshape(layers, count)

    def one(own: MappingSpace, mapping: Genes, mate: Genes, size: Array, k: Array) -> Genes:
        return vary(dataclasses.replace(own, num_pes=size), mapping[None], mate[None], k, method.rates)[0]

    held = jnp.asarray(pes)[point]
    varied = jax.vmap(jax.vmap(one, (None, 0, 0, 0, 0)), (0, 0, 0, None, 0))(
        space, crossed, second, held, keys
    )
    changes = uniform(k_change, (layers, count)) < method.change
    children = where(changes, varied, _on_points(space, crossed, held))
    elite = max(int(count * method.elite), 1)
    old = jnp.arange(count) < elite
    kept = jax.tree.map(lambda a: a[:, order], state.genes)
    return _State(
        where(jnp.broadcast_to(old, (layers, count)), kept, children),
        jnp.where(old, state.point[order], point),
    )
