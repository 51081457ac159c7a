"""Gradient search: its coordinates, its roundings, and what it finds and spends."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmaestro as jm
from jaxmaestro.description import DescriptionError
from jaxmaestro.mapspace import MappingOptions, MappingSpace
from jaxmaestro.mapspace.choices import normal
from jaxmaestro.search import Budget, Problem, RandomSearch, search
from jaxmaestro.search.gradient import Gradient
from jaxmaestro.search.relaxation_coordinates import NOISE, drawn, near, placed, rounded

EDGE = jm.Hardware(
    num_pes=256, l1_size=512, l2_size=1 << 20, noc_bandwidth=64, hop_latency=1, offchip_bandwidth=16
)
LAYERS = [
    jm.Layer.of("conv", "CONV", {"K": 128, "C": 96, "R": 3, "S": 3, "Y": 30, "X": 30}),
    jm.Layer.of("gemm", "GEMM", {"M": 512, "N": 768, "K": 768}),
]


pytestmark = pytest.mark.usefixtures("quickly")


@pytest.mark.parametrize(("least", "most", "tiles"), [(1, 1, "divisors"), (1, 2, "ragged"), (2, 3, "ragged")])
def test_roundings_are_in_the_space_and_divide_evenly(least, most, tiles):
    options = MappingOptions(tiles=tiles, least_levels=least, most_levels=most)
    space = MappingSpace.of(LAYERS[0], EDGE.num_pes, options)

    @jax.jit
    def made(space, *keys):
        points = drawn(space, keys[0], 50)
        noise = 0.3 * normal(keys[1], (50, NOISE))
        return jax.vmap(lambda point, own: rounded(space, point, own))(points, noise)

    genes = made(space, jax.random.key(0), jax.random.key(1))
    legal = space.repair(genes)
    assert all(
        np.array_equal(a, b) for a, b in zip(jax.tree.leaves(genes), jax.tree.leaves(legal), strict=True)
    )
    levels = np.asarray(genes.levels)
    assert levels.min() >= least and levels.max() <= min(most, 2)
    tile = np.asarray(genes.tile)
    above = np.concatenate([np.broadcast_to(space.largest, tile[:, :1].shape), tile[:, :-1]], 1)
    assert (above % tile == 0).all()
    assert len(np.unique(tile.reshape(50, -1), axis=0)) > 40


def test_a_mapping_is_rounded_back_to_itself():
    space = MappingSpace.of(LAYERS[0], EDGE.num_pes, MappingOptions(tiles="divisors"))

    @jax.jit
    def there_and_back(space, *keys):
        genes = space.sample(keys[0], 100)
        points = near(space, genes, keys[1], 0.0)
        return genes, jax.vmap(lambda point: rounded(space, point, jnp.zeros(NOISE)))(points)

    genes, again = there_and_back(space, jax.random.key(2), jax.random.key(3))
    for name in ("levels", "spatial", "order", "tile"):
        assert np.array_equal(getattr(genes, name), getattr(again, name)), name
    two = np.asarray(genes.levels) == 2
    assert np.array_equal(np.asarray(genes.cluster)[two], np.asarray(again.cluster)[two])


def test_choices_sharpen_as_the_temperature_falls():
    space = MappingSpace.of(LAYERS[0], EDGE.num_pes)

    @jax.jit
    def at(space, key, temperature):
        point = jax.tree.map(lambda a: a[0], drawn(space, key, 1))
        return placed(space, point, temperature)

    warm, cold = (at(space, jax.random.key(4), temperature) for temperature in (1.0, 1e-3))
    assert np.allclose(warm.spatial.sum(-1), 1, atol=1e-5)
    assert float(warm.spatial.max()) < 0.95
    assert np.allclose(np.asarray(cold.spatial).max(-1), 1)
    assert (np.asarray(warm.spatial)[:, ~np.asarray(space.spatial)] == 0).all()
    # Whichever of two loops lies outside, they share one weight.
    both = np.asarray(warm.outside) + np.swapaxes(warm.outside, 1, 2)
    assert np.allclose(both, 1 - np.eye(8), atol=1e-5)


@pytest.fixture(scope="module")
def found():
    """Gradient and random search with as many samples, on ragged tiles."""
    problem = Problem.of(LAYERS, EDGE, objectives=("edp",), seeds=(0, 1))
    gradient = Gradient(EDGE)
    steps = 4
    samples = steps * gradient.samples
    drawn_at_random = search(RandomSearch(200), problem, Budget(steps=samples // 200))
    return problem, gradient, samples, search(gradient, problem, Budget(steps=steps)), drawn_at_random


def test_it_beats_random_search_with_as_many_samples(found):
    _, gradient, samples, ours, random = found
    assert (np.asarray(random.state.evaluated) == samples).all()
    assert (np.asarray(ours.state.evaluated) == samples // gradient.samples * gradient.population).all()
    # Of its samples only roundings that are not valid go uncounted.
    invalid = np.asarray(ours.state.evaluated) - np.asarray(ours.state.valid)
    assert np.array_equal(np.asarray(ours.state.spent), samples - invalid)
    gain = np.asarray(random.state.best_scores)[:, 0, 0] / np.asarray(ours.state.best_scores)[:, 0, 0]
    assert np.exp(np.log(np.minimum(gain, 1e3)).mean()) > 2


def test_a_budget_below_one_step_scores_its_first_mappings(found):
    problem, gradient, *_ = found
    small = search(gradient, problem, Budget(samples=20))
    assert (np.asarray(small.state.spent) == 20).all()
    # Before any gradient step is charged, its first mappings are scored and, as far as valid, kept.
    assert (np.asarray(small.state.evaluated) == gradient.population).all()
    valid = np.asarray(small.state.valid) > 0
    assert valid.any() and np.array_equal(np.isfinite(small.state.best_scores[:, 0, 0]), valid)


def test_what_it_reports_is_the_exact_model_s_score(found):
    problem, _, _, ours, _ = found
    best = jax.tree.map(np.asarray, ours.state.best)
    dataflows = [problem.space.dataflow(best, (row, 0)) for row in range(len(problem))]
    costs = jm.evaluate_batch(jm.encode([LAYERS[row // 2] for row in range(len(problem))], dataflows, [EDGE]))
    assert costs.valid.all()
    assert np.array_equal(costs.energy * costs.runtime, np.asarray(ours.state.best_scores)[:, 0, 0])


def test_a_seed_gives_one_result(found):
    problem, gradient, samples, ours, _ = found
    again = search(gradient, problem, Budget(steps=samples // gradient.samples))
    assert np.array_equal(ours.history.best, again.history.best)


def test_what_it_cannot_search_is_said():
    with pytest.raises(DescriptionError, match="no objective 'area'"):
        Gradient(EDGE, objective="area")
    with pytest.raises(DescriptionError, match="starts is 0"):
        Gradient(EDGE, starts=0)
    space = MappingSpace.of(LAYERS[0], 256, MappingOptions(least_levels=3, most_levels=3))
    with pytest.raises(DescriptionError, match="one or two cluster levels"):
        Gradient(EDGE).start(space, jax.random.key(0), 1)
