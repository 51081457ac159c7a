"""The relaxation: its gradients, its steps, and how it ranks mappings beside the exact model."""

import functools

import jax
import numpy as np
import pytest

import jaxmaestro as jm
from jaxmaestro.accuracy.metrics import spearman
from jaxmaestro.encoding.encode import encode_hardware
from jaxmaestro.mapspace import MappingOptions, MappingSpace
from jaxmaestro.search.gradient import Gradient
from jaxmaestro.search.relaxation import Softness, estimate, relaxed, smooth_ceil, smooth_floor, smooth_max
from jaxmaestro.search.relaxation_coordinates import drawn

EDGE = jm.Hardware(
    num_pes=256, l1_size=512, l2_size=1 << 20, noc_bandwidth=64, hop_latency=1, offchip_bandwidth=16
)
LAYERS = [
    jm.Layer.of("conv", "CONV", {"K": 128, "C": 96, "R": 3, "S": 3, "Y": 30, "X": 30}),
    jm.Layer.of("strided", "CONV", {"K": 64, "C": 32, "R": 3, "S": 3, "Y": 57, "X": 57}, {"Y": 2, "X": 2}),
    jm.Layer.of("depthwise", "DSCONV", {"C": 96, "R": 3, "S": 3, "Y": 58, "X": 58}),
    jm.Layer.of("pointwise", "CONV", {"K": 96, "C": 16, "R": 1, "S": 1, "Y": 112, "X": 112}),
    jm.Layer.of("gemm", "GEMM", {"M": 512, "N": 768, "K": 768}),
]
MAPPINGS = 300
QUICKLY = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}
"""Compiled in a fifth of the time; what is computed is the same."""


@functools.cache
def scored(tiles: str):
    """Estimates ``[l, n]`` of random mappings, and their exact costs."""
    space = MappingSpace.of(LAYERS, EDGE.num_pes, MappingOptions(tiles=tiles))
    hardware = jax.tree.map(lambda a: a[0], encode_hardware([EDGE]))

    def one(space, own):
        return estimate(space, hardware, relaxed(space, own), Softness(0.02, 0.02))

    def made(space, key):
        genes = space.sample(key, MAPPINGS)
        found = jax.vmap(jax.vmap(one, (None, 0)))(space, genes)
        return found, space.batch(genes, encode_hardware([EDGE]))

    program = jax.jit(made).lower(space, jax.random.key(3)).compile(compiler_options=QUICKLY)
    found, batch = jax.tree.map(np.asarray, program(space, jax.random.key(3)))
    return found, jm.evaluate_batch(batch)


@pytest.mark.parametrize(("tiles", "least"), [("divisors", 0.99), ("ragged", 0.94)])
def test_it_ranks_sound_mappings_as_the_exact_model_does(tiles, least):
    found, costs = scored(tiles)
    exact = (costs.energy * costs.runtime).reshape(found.edp.shape)
    sound = np.asarray(costs.sound).reshape(found.edp.shape)
    for layer, name in enumerate(LAYERS):
        use = sound[layer]
        assert use.sum() > 100, name
        assert spearman(found.edp[layer][use], exact[layer][use]) > least, name


def test_even_tiles_are_priced_within_a_few_percent():
    found, costs = scored("divisors")
    shape = found.edp.shape
    pairs = {
        "latency": (found.latency, costs.runtime),
        "energy": (found.energy, costs.energy),
        "l1": (found.l1_size, costs.l1_sizes.sum(-1)),
        "l2": (found.l2_size, costs.l2_sizes.sum(-1)),
    }
    for name, (estimated, exact) in pairs.items():
        off = np.abs(np.log(estimated / exact.reshape(shape)))[np.asarray(costs.sound).reshape(shape)]
        assert np.median(off) < 0.06, name
        assert np.quantile(off, 0.9) < 0.2, name
    assert np.allclose(found.work, 1, atol=1e-3)


@functools.cache
def loss_and_gradient():
    """A program in float64: from points ``[l, n]``, a temperature and how ragged tiles count."""
    space = MappingSpace.of(LAYERS, EDGE.num_pes)
    hardware = jax.tree.map(lambda a: a[0], encode_hardware([EDGE]))

    def losses(points, temperature, edges):
        searcher = Gradient(EDGE, softness=Softness(0.1, 0.1, edges))

        def one(space, points):
            own = jax.value_and_grad(lambda at: searcher.loss(space, hardware, at, temperature))
            return jax.vmap(own)(points)

        return jax.vmap(one)(space, points)

    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(5), len(LAYERS))
        points = jax.jit(jax.vmap(lambda space, key: drawn(space, key, 60)))(space, keys)
        points = jax.tree.map(lambda a: np.asarray(a, np.float64), points)
        program = jax.jit(losses).lower(points, 0.7, 1.0).compile(compiler_options=QUICKLY)

    def run(*given):
        with jax.enable_x64(True):
            return jax.tree.map(np.asarray, program(*given))

    return points, run


@pytest.mark.parametrize(("edges", "temperature"), [(0.0, 0.7), (1.0, 0.7), (0.0, 0.15)])
def test_gradients_agree_with_finite_differences(edges, temperature):
    points, run = loss_and_gradient()
    rng = np.random.default_rng(0)
    way = jax.tree.map(lambda a: rng.standard_normal(a.shape), points)

    def moved(by):
        return run(jax.tree.map(lambda a, w: a + by * w, points, way), temperature, edges)

    # The steps of rounding up are steep where tiles are many: take short differences.
    difference = (moved(2e-8)[0] - moved(-2e-8)[0]) / 4e-8
    gradient = moved(0.0)[1]
    pairs = list(zip(jax.tree.leaves(gradient), jax.tree.leaves(way), strict=True))
    along = sum((g * w).reshape(*difference.shape, -1).sum(-1) for g, w in pairs)
    size = np.sqrt(sum((g**2).reshape(*difference.shape, -1).sum(-1) for g, _ in pairs))
    # Along a way of independent steps of deviation 1 the slope is about as large as the gradient.
    assert (size > 0).all()
    assert np.max(np.abs(difference - along) / size) < 1e-3


@pytest.mark.parametrize("temperature", [1.0, 0.1, 0.01])
def test_random_points_have_finite_losses_and_slopes(temperature):
    points, run = loss_and_gradient()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(run(points, temperature, 0.0)))


def test_smooth_steps_go_to_the_exact_ones():
    maximum, ceiling, floor = (jax.jit(step) for step in (smooth_max, smooth_ceil, smooth_floor))
    values = np.array([[0.3, 5.0, 1e6], [4.0, 5.0, 2.0], [0.1, 1.0, 7.0]], np.float32)
    assert np.allclose(maximum(values, 0.01), values.max(0), rtol=0.02)
    assert (np.asarray(maximum(values, 0.2)) >= values.max(0) * 0.999).all()
    whole = np.arange(1, 50, dtype=np.float32)
    for softness in (0.01, 0.1, 0.5):
        assert np.allclose(ceiling(whole, softness), whole, atol=1e-3)
        assert np.allclose(floor(whole, softness), whole, atol=1e-3)
    between = np.arange(1, 40, dtype=np.float32)[:, None] + np.array([0.2, 0.5, 0.8], np.float32)
    assert np.allclose(ceiling(between, 1e-3), np.ceil(between), atol=0.05)
    assert np.allclose(floor(between, 1e-3), np.floor(between), atol=0.05)
