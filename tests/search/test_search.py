"""Searches: the same from the same seed, to the budget, resumable, as good as can be where that is known."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmaestro as jm
from jaxmaestro.description import DescriptionError, Hardware, Layer
from jaxmaestro.encoding.encode import encode_hardware
from jaxmaestro.execution.programs import GENERAL, compiled, compiler_options
from jaxmaestro.mapspace import MappingOptions, MappingSpace
from jaxmaestro.search import (
    NSGA2,
    Annealing,
    Budget,
    Genetic,
    History,
    Problem,
    RandomSearch,
    Searcher,
    State,
    exhaustive,
    load,
    save,
    scan,
    search,
    searcher,
)
from jaxmaestro.search.evaluation import evaluated, laid_out, scored, scoring, shape_for
from jaxmaestro.search.objective import scores

HARDWARE = Hardware(
    num_pes=64, l1_size=200, l2_size=8000, noc_bandwidth=64, hop_latency=1, offchip_bandwidth=64
)
SIZES = {"K": 16, "C": 12, "Y": 12, "X": 9, "R": 3, "S": 3}
CONV, WIDE = Layer.of("conv", "CONV", SIZES), Layer.of("wide", "CONV", {**SIZES, "K": 48})
# Searches of more than a hundred mappings a step run the program that other tests compile, too.
SEEDS = (1, 2, 3, 4)
POPULATION = 40
BRIEFLY = compiler_options(brief=True)

pytestmark = pytest.mark.usefixtures("quickly")


def problem(objectives: tuple[str, ...] = ("latency", "energy"), archive: int = 1) -> Problem:
    return Problem.of([CONV, WIDE], HARDWARE, objectives, SEEDS, MappingOptions(tiles="ragged"), archive)


def same(one: object, other: object) -> bool:
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in pairs)


@pytest.mark.parametrize("kind", [Genetic(POPULATION), Annealing(POPULATION), RandomSearch(POPULATION)])
def test_budget_seed_and_figures(kind: Searcher) -> None:
    """Every valid mapping of the budget counts, no other; the figures found are those of the directives."""
    ours, budget = problem(), Budget(samples=130)
    found = search(kind, ours, budget, every=3)
    assert found.finished and (np.asarray(found.state.valid) == 130).all()
    assert (found.history.spent <= 130).all() and (np.diff(found.history.best[..., 0], axis=0) <= 0).all()
    assert same(found.state, search(kind, ours, budget, every=2).state)
    state = jax.tree.map(np.asarray, found.state)
    flows = [ours.space.dataflow(state.best, (row, 0)) for row in range(len(ours))]
    layers = [CONV] * len(SEEDS) + [WIDE] * len(SEEDS)
    costs = jm.evaluate_batch(jm.encode(layers, flows, [HARDWARE]))
    assert costs.valid.all()
    assert np.array_equal(state.best_scores[:, 0], np.stack([costs.runtime, costs.energy], -1))
    # Seeds differ, and a search does not depend on its neighbours.
    assert len(np.unique(state.best_scores[:4, 0], axis=0)) > 1
    rows = [5, 2, 5, 5, 7, 0, 1, 5]
    others = dataclasses.replace(ours, space=ours.space.row(rows), seed=ours.seed[rows])
    assert np.array_equal(search(kind, others, budget).state.best_scores, state.best_scores[rows])


def test_a_stopped_search_continues_to_the_same_result(tmp_path: Path) -> None:
    kind, ours, budget = Genetic(POPULATION), problem(), Budget(samples=200, steps=30)
    whole = search(kind, ours, budget)
    half = search(kind, ours, Budget(samples=200, steps=3))
    assert half.finished
    path = tmp_path / "checkpoint.npz"
    save(path, half.state, half.history)
    state, history = load(path, kind, ours)
    assert same(state, half.state) and same(dataclasses.astuple(history), dataclasses.astuple(half.history))
    rest = search(kind, ours, budget, (state, history))
    assert same(rest.state, whole.state)
    for field in ("best", "spent", "valid", "evaluated"):
        assert np.array_equal(getattr(rest.history, field), getattr(whole.history, field))
    assert (np.diff(rest.history.seconds) > 0).all()
    with pytest.raises(DescriptionError, match="of another search"):
        load(path, Genetic(POPULATION + 1), ours)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DescriptionError, match="cannot be read"):
        load(path, kind, ours)


def test_interrupted_in_the_middle(tmp_path: Path) -> None:
    """Ctrl-C between checkpoints: the last one is continued from."""
    kind, ours, budget = Annealing(POPULATION), problem(), Budget(steps=5)
    kept: list[tuple[State, History]] = []

    def report(state: State, history: History) -> None:
        kept.append((state, history))
        if len(kept) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(kind, ours, budget, every=2, report=report)
    assert same(search(kind, ours, budget, kept[0]).state, search(kind, ours, budget).state)


def test_crowded_chunks_leave_nothing_out() -> None:
    """Ragged mappings with more sub-tiles than a chunk has room for are evaluated among fewer."""
    layer = Layer.of("ragged", "CONV", {"K": 61, "C": 59, "Y": 57, "X": 53, "R": 3, "S": 3})
    ours = Problem.of(layer, HARDWARE, ("latency",), (0,), MappingOptions(2, 2), counted="any")
    asked = jax.vmap(lambda space: space.sample(jax.random.key(0), 64))(ours.space)
    chunks, read = laid_out(ours, asked, GENERAL), scoring(("latency",), "any")
    with jax.enable_x64(True):
        _, crowded = read(compiled(dataclasses.replace(GENERAL, brief=True), "exact").run(chunks[0]))
    found = evaluated(chunks, GENERAL, read, 1)
    batch = jax.tree.map(np.asarray, ours.space.batch(asked, encode_hardware([HARDWARE])))
    with jax.enable_x64(True):
        expected = np.asarray(scores(jm.evaluate_batch(batch), ("latency",), "any"))
    assert np.asarray(crowded).any()
    assert np.array_equal(found, expected) and np.isfinite(expected).any()
    # Traced, as several chunks.
    shape = shape_for(2, 1)
    with jax.enable_x64(True):
        program = compiled(dataclasses.replace(shape, brief=True), "exact")
        full = [read(program.run(chunk))[1] for chunk in laid_out(ours, asked, shape)]
        assert len(full) == 3 and np.any(full)
        program = jax.jit(lambda p, genes: scored(p, genes, shape)).lower(ours, asked).compile(BRIEFLY)
        assert np.array_equal(program(ours, asked), expected.reshape(1, 64, 1))


def test_fused_steps_are_the_same_steps() -> None:
    """One program for several steps: the same state and history, to the same end, resumed either way."""
    kind = Genetic(12)
    ours = Problem.of([CONV, WIDE], HARDWARE, seeds=(3,), options=MappingOptions(tiles="ragged"))
    budget = Budget(samples=70)
    expected, found = (search(kind, ours, budget, every=4, fused=fused) for fused in (False, True))
    assert found.finished and same(expected.state, found.state)
    for name in ("best", "spent", "valid", "evaluated"):
        assert np.array_equal(getattr(found.history, name), getattr(expected.history, name))
    assert len(found.history.seconds) == int(found.state.step) > 4
    assert (np.diff(found.history.seconds) >= 0).all()
    for first in (False, True):
        part = search(kind, ours, Budget(samples=70, steps=3), every=4, fused=first)
        assert len(part.history.seconds) == 3 and not (np.asarray(part.state.spent) == 70).all()
        rest = search(kind, ours, budget, (part.state, part.history), every=4, fused=not first)
        assert same(rest.state, expected.state) and np.array_equal(rest.history.best, expected.history.best)


def test_rows_do_not_know_of_each_other() -> None:
    """Not of layers with more divisors, either."""
    many = Layer.of("many", "CONV", {**SIZES, "K": 720})
    kind, options, budget = Genetic(POPULATION), MappingOptions(tiles="ragged"), Budget(steps=8)
    alone = search(kind, Problem.of(CONV, HARDWARE, seeds=(3,), options=options), budget)
    beside = search(kind, Problem.of([CONV, many], HARDWARE, seeds=(3,), options=options), budget)
    assert np.array_equal(alone.history.best[:, 0], beside.history.best[:, 0])
    assert same(alone.state.asked, jax.tree.map(lambda a: a[:1], beside.state.asked))


def test_steps_under_scan_are_the_steps_of_the_driver() -> None:
    ours = Problem.of(CONV, HARDWARE, seeds=(5,), options=MappingOptions(1, 1))
    kind = Genetic(8)
    with jax.enable_x64(True):
        state, best = jax.jit(lambda p: scan(kind, p, 4)).lower(ours).compile(BRIEFLY)(ours)
    found = search(kind, ours, Budget(steps=4))
    assert same(state, found.state)
    assert np.array_equal(best, found.history.best)


def test_three_levels() -> None:
    ours = Problem.of(CONV, HARDWARE, seeds=(1,), options=MappingOptions(3, 3, "divisors"))
    state = jax.tree.map(np.asarray, search(Genetic(30), ours, Budget(steps=3)).state)
    assert shape_for(ours.space.depth, 30) is GENERAL
    flow = ours.space.dataflow(state.best, (0, 0))
    costs = jm.evaluate_batch(jm.encode([CONV], [flow], [HARDWARE]))
    assert len(flow.levels) == 3 and costs.valid[0] and costs.runtime[0] == state.best_scores[0, 0, 0]


TINY = Layer.of("tiny", "GEMM", {"M": 4, "N": 6, "K": 4})
FEW = MappingOptions(1, 2, "divisors", clusters=(2, 4))
LITTLE = Hardware(num_pes=8, l1_size=24, l2_size=60, noc_bandwidth=8, hop_latency=1, offchip_bandwidth=8)


def test_the_genetic_algorithm_finds_the_optimum() -> None:
    optimum = exhaustive(TINY, LITTLE, ("latency", "energy"), FEW)
    assert 1000 < optimum.valid < optimum.size
    ours = Problem.of(TINY, LITTLE, ("latency", "energy"), range(20), FEW)
    found = np.asarray(search(Genetic(50), ours, Budget(samples=4000, steps=400)).state.best_scores)[:, 0]
    assert (found >= optimum.scores[0] - 1e-9)[:, 0].all()
    assert (found[:, 0] == optimum.scores[0]).mean() >= 0.95


def test_one_level_is_listed_too() -> None:
    """Without clusters, some arrays are empty."""
    options = MappingOptions(1, 1, "divisors")
    optimum = exhaustive(TINY, LITTLE, ("latency", "energy"), options)
    assert 0 < optimum.valid <= optimum.size < 1000
    ours = Problem.of(TINY, LITTLE, ("latency", "energy"), range(20), options)
    found = np.asarray(search(Genetic(50), ours, Budget(samples=1000, steps=100)).state.best_scores)[:, 0]
    assert (found >= optimum.scores).any(1).all()
    assert (found == optimum.scores).all(1).mean() >= 0.95


def test_nsga2_finds_the_front() -> None:
    """No point found is dominated by any mapping, and nearly all of the front's room is found."""
    from jaxmaestro.mapspace import MappingSpace
    from jaxmaestro.reductions import pareto_mask

    space = MappingSpace.of(TINY, 8, FEW)
    every = jm.evaluate_batch(jax.tree.map(np.asarray, space.batch(space.all(), encode_hardware([LITTLE]))))
    points = np.stack([every.runtime.astype(float), every.energy], -1)
    front = points[np.asarray(pareto_mask(points, every.valid))]
    ours = Problem.of(TINY, LITTLE, ("latency", "energy"), (1, 2, 3), FEW, archive=32)
    found = np.asarray(search(NSGA2(50), ours, Budget(samples=4000, steps=300)).state.best_scores)
    for row in found:
        shown = row[np.isfinite(row[:, 0])]
        assert not (points[every.valid][None] < shown[:, None]).all(-1).any()
        assert np.array_equal(shown[0], front[np.lexsort(front.T[::-1])[0]])
        missing = [p for p in front.tolist() if p not in shown.tolist()]
        assert len(missing) <= 0.25 * len(front)


def test_impossible_requests() -> None:
    with pytest.raises(DescriptionError, match="without a budget"):
        Budget()
    with pytest.raises(DescriptionError, match="0 samples"):
        Budget(samples=0)
    with pytest.raises(DescriptionError, match="objective 'speed'"):
        Problem.of(CONV, HARDWARE, ("speed",))
    with pytest.raises(DescriptionError, match="seeds"):
        Problem.of(CONV, HARDWARE, seeds=())
    with pytest.raises(DescriptionError, match="no searcher 'magic'"):
        searcher("magic", 10, HARDWARE, "latency")
    with pytest.raises(DescriptionError, match="no option 'speed'"):
        searcher("genetic", 10, HARDWARE, "latency", {"speed": 1})
    for name, option, value in (
        ("genetic", "parents", 5),
        ("genetic", "tiles", 2.5),
        ("genetic", "renewed", 1),
        ("annealing", "warmest", 0),
        ("annealing", "cooling", float("nan")),
        ("gradient", "learning_rate", -5.0),
        ("gradient", "descent", 2.5),
        ("gradient", "temperatures", 0.5),
    ):
        with pytest.raises(DescriptionError, match=option):
            searcher(name, POPULATION, HARDWARE, "latency", {option: value})
    with pytest.raises(DescriptionError, match="at most"):
        Budget(samples=3_000_000_000)
    with pytest.raises(DescriptionError, match="give a number"):
        searcher("genetic", 10, HARDWARE, "latency", {"order": "many"})
    with pytest.raises(DescriptionError, match="none of the"):
        exhaustive(TINY, LITTLE.replace(l1_size=1), options=FEW)


def test_options_reach_the_searcher() -> None:
    made = searcher("genetic", 10, HARDWARE, "latency", {"elite": 0.3, "order": 0.9})
    assert isinstance(made, Genetic)
    assert (made.population, made.elite, made.rates.order) == (10, 0.3, 0.9)


def test_no_kind_of_mapping_takes_all_places() -> None:
    """Parents are of one kind, in levels and spatial dimensions, as often as ``alike`` says at most."""
    space = MappingSpace.of(CONV, HARDWARE.num_pes, MappingOptions(2, 2))
    drawn = jax.tree.map(np.asarray, jax.jit(lambda: space.sample(jax.random.key(3), 600))())
    kinds = drawn.spatial @ [1, 10]
    one = np.flatnonzero(kinds == kinds[0])
    one = one[np.unique(drawn.tile[one].reshape(len(one), -1), axis=0, return_index=True)[1]][:15]
    others = [place for kind in np.unique(kinds) for place in np.flatnonzero(kinds == kind)[:3]]
    others = [place for place in others if kinds[place] != kinds[0]][: 40 - len(one)]
    assert len(one) == 15 and len(others) == 25
    places = np.array([*one, *others])[np.random.default_rng(0).permutation(40)]
    asked = jax.tree.map(lambda a: a[places], drawn)
    values = np.where(kinds[places] == kinds[0], 1.0, 2.0) + np.arange(40) / 100

    def parents(alike: float) -> tuple[np.ndarray, np.ndarray]:
        """Scores and kinds."""
        searcher = Genetic(40, parents=0.2, alike=alike)

        def step() -> tuple[jax.Array, jax.Array]:
            memory, _ = searcher.start(space, jax.random.key(3), 1)
            memory, _ = searcher.update(space, memory, asked, jnp.asarray(values)[:, None], jax.random.key(4))
            return memory.scores[:, 0], memory.genes.spatial

        with jax.enable_x64(True):
            scores, spatial = jax.jit(step)()
        return np.asarray(scores), np.asarray(spatial) @ [1, 10]

    assert np.array_equal(parents(1.0)[0], np.sort(values)[:8])
    for alike, most in ((0.5, 4), (0.25, 2)):
        kept, of = parents(alike)
        # Of each kind the best, as many as there may be.
        ranks = [
            (values[kinds[places] == kinds[place]] < value).sum()
            for place, value in zip(places, values, strict=True)
        ]
        assert np.array_equal(kept, np.sort(values[np.array(ranks) < most])[:8])
        assert np.unique(of, return_counts=True)[1].max() == most


def test_nothing_valid_is_said_and_survived() -> None:
    ours = Problem.of([CONV, WIDE], HARDWARE.replace(l1_size=1), seeds=SEEDS)
    found = search(Genetic(POPULATION), ours, Budget(samples=10, steps=3))
    assert np.isinf(found.state.best_scores).all() and not np.asarray(found.state.valid).any()
    assert (np.asarray(found.state.evaluated) == 3 * POPULATION).all()


def test_evolution_strategies() -> None:
    pytest.importorskip("evosax")
    for name in ("de", "cma_es"):
        kind = searcher(name, POPULATION, HARDWARE, "latency")
        found = search(kind, problem(), Budget(steps=8))
        assert same(found.state, search(kind, problem(), Budget(steps=8)).state)
        assert jnp.isfinite(found.state.best_scores[:, 0]).all()
        assert (found.history.best[-1, :, 0] < found.history.best[0, :, 0]).any()
