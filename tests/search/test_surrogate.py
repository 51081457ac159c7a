"""The surrogate: what it learns of the exact model, and that a search can descend on it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmaestro as jm
from jaxmaestro.description import DescriptionError
from jaxmaestro.encoding.encode import encode_hardware
from jaxmaestro.mapspace import MappingOptions, MappingSpace
from jaxmaestro.search.relaxation import Softness, relaxed
from jaxmaestro.search.relaxation_coordinates import drawn
from jaxmaestro.search.surrogate import FIGURES, Settings, guided, shapes, train

EDGE = jm.Hardware(
    num_pes=256, l1_size=512, l2_size=1 << 20, noc_bandwidth=64, hop_latency=1, offchip_bandwidth=16
)
LAYER = jm.Layer.of("conv", "CONV", {"K": 128, "C": 96, "R": 3, "S": 3, "Y": 30, "X": 30})
SMALL = Settings(samples=1000, width=64, hidden=2, steps=1500, batch=128)


pytestmark = pytest.mark.usefixtures("quickly")


@pytest.fixture(scope="module")
def searcher():
    return guided(20, EDGE, layers=(LAYER,), settings=SMALL)


@pytest.fixture(scope="module")
def surrogate(searcher):
    return searcher.model


def test_it_is_trained_once_an_accelerator(searcher):
    assert guided(20, EDGE, layers=(LAYER,), settings=SMALL) is searcher
    assert searcher.population == 20
    assert searcher.hardware == searcher.model.hardware == EDGE


def test_the_shapes_that_it_learns_from_have_mappings():
    found = shapes()
    assert found == shapes() != shapes(seed=1)
    assert len({layer.dimensions for layer in found}) == len(found) == 48
    assert (MappingSpace.of(found, EDGE.num_pes).extent >= 1).all()


def test_it_ranks_mappings_that_it_has_not_seen(surrogate):
    held = surrogate.held_out
    assert surrogate.samples == 1000
    assert 50 <= held.mappings <= 100
    assert held.rank_correlation["edp"] > 0.85
    assert set(held.error) == {*FIGURES, "edp"}
    assert "held-out" in repr(surrogate)


def test_the_held_out_error_is_that_of_other_mappings(surrogate):
    """Mappings of another seed are predicted about as well as the held-out ones."""
    space = MappingSpace.of(LAYER, EDGE.num_pes, MappingOptions(tiles="divisors"))
    table = encode_hardware([EDGE])
    hardware = jax.tree.map(lambda a: jnp.asarray(a[0]), table)

    @jax.jit
    def predicted(space, key):
        genes = space.sample(key, 300)
        found = jax.vmap(lambda own: surrogate(space, hardware, relaxed(space, own), Softness()))(genes)
        return found, space.batch(genes, table)

    found, batch = predicted(space, jax.random.key(99))
    costs = jm.evaluate_batch(jax.tree.map(np.asarray, batch))
    off = np.abs(np.log(np.asarray(found.latency)) - np.log(np.maximum(costs.runtime, 1)))[costs.sound].mean()
    assert off == pytest.approx(surrogate.held_out.error["latency"], rel=0.35)


def test_a_search_descends_on_it(searcher):
    space = MappingSpace.of(LAYER, EDGE.num_pes, MappingOptions(tiles="divisors"))
    hardware = jax.tree.map(lambda a: jnp.asarray(a[0]), encode_hardware([EDGE]))
    searcher = dataclasses.replace(searcher, starts=10, roundings=2)

    # The keys are given, or XLA works out what is drawn while it compiles.
    @jax.jit
    def step(space, first, second):
        memory, asked = searcher.start(space, first, 1)
        # Nothing is found, so all points are drawn anew: with the first of four keys.
        memory, asked = searcher.update(space, memory, asked, jnp.full((20, 1), jnp.inf), second)
        return asked, drawn(space, jax.random.split(second, 4)[0], 10), memory.points

    @jax.jit
    def losses(space, points):
        return jax.vmap(lambda point: searcher.loss(space, hardware, point, 0.5))(points)

    with jax.enable_x64(True):
        asked, begun, ended = step(space, jax.random.key(0), jax.random.key(1))
    assert asked.shape == (20,)
    assert float(losses(space, ended).mean()) < float(losses(space, begun).mean()) - 0.5


def test_too_little_to_learn_from_is_said():
    with pytest.raises(DescriptionError, match="random mappings are sound"):
        train([LAYER], EDGE, settings=dataclasses.replace(SMALL, held_out=0.001))
