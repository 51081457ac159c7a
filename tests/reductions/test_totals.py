"""Totals of networks: of one batch, and of a stream over a product, against adding in Python."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxmaestro.reductions import NetworkTotals, totals
from tests.reductions.sweeps import costs_of, cuts, in_64_bits, random_costs, state_of


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99), st.sampled_from(["sound", "valid"]), st.booleans())
def test_totals_are_sums_of_the_accepted(seed: int, require: Any, repeated: bool) -> None:
    n, segments = 60, 5
    costs = random_costs(seed, n)
    rng = np.random.default_rng(seed)
    segment = rng.integers(-1, segments + 1, n)  # some belong nowhere
    repeat = rng.integers(0, 3, n) if repeated else None
    found = jax.tree.map(np.asarray, totals(costs, segment, segments, repeat, require))
    taken = np.asarray(costs.sound if require == "sound" else costs.valid)
    times = np.ones(n, int) if repeat is None else repeat
    for s in range(segments):
        members = (segment == s) & (times > 0)
        rows = np.flatnonzero(members & taken)
        assert found.latency[s] == sum(int(costs.runtime[i]) * int(times[i]) for i in rows)
        assert found.macs[s] == sum(int(costs.num_macs[i]) * int(times[i]) for i in rows)
        np.testing.assert_allclose(found.energy[s], (costs.energy * times)[rows].sum(), rtol=1e-14)
        assert bool(found.complete[s]) == bool(members.any() and (members & taken).sum() == members.sum())


def test_totals_are_exact_beyond_double_precision() -> None:
    costs = costs_of([2**54, 1, 2**62, 2**62], num_macs=[2**60, 3, 0, 0], energy=np.ones(4))
    found = totals(costs, np.array([0, 0, 1, 1]), 2, np.array([1, 3, 1, 2]))
    assert found.latency.dtype == np.int64 and found.macs.dtype == np.int64
    assert int(found.latency[0]) == 2**54 + 3
    assert int(found.macs[0]) == 2**60 + 9
    # 3 * 2**62 is no int64: refused, not wrapped.
    assert np.asarray(found.complete).tolist() == [True, False]


def test_totals_in_a_jit_of_ones_own() -> None:
    costs = costs_of([2**40, 2**41, 5], energy=[1.0, 2.0, 3.0])
    segment = np.array([0, 1, 0], np.int32)
    found = jax.jit(lambda c: totals(c, segment, 2))(in_64_bits(costs))
    assert np.asarray(found.latency).tolist() == [2**40 + 5, 2**41]
    assert found.latency.dtype == np.int64
    with pytest.raises(TypeError, match="cut them"):
        jax.jit(lambda c: totals(c, segment, 2))(costs)  # NumPy's int64 has become int32 at this door


def test_totals_of_float32_keep_their_type_and_gradient() -> None:
    costs = costs_of(np.array([2, 3, 4], np.float32), energy=np.array([1, 2, 3], np.float32))
    found = totals(costs, np.array([0, 1, 1]), 2)
    assert found.latency.dtype == found.energy.dtype == np.float32
    np.testing.assert_array_equal(found.latency, [2, 7])

    def energy(scale: Any) -> Any:
        scaled = costs_of(costs.runtime)  # a struct of its own
        scaled = jax.tree.map(jnp.asarray, scaled)
        return totals(type(costs)(**{**vars(scaled), "energy": scale * costs.energy}), segment, 2).energy[1]

    segment = np.array([0, 1, 1])
    assert jax.grad(energy)(1.0) == 5.0


def test_totals_refuse() -> None:
    costs = costs_of([1, 2])
    with pytest.raises(ValueError, match="segment has shape"):
        totals(costs, np.zeros(3, int), 1)
    with pytest.raises(ValueError, match="segments is 0"):
        totals(costs, np.zeros(2, int), 0)
    with pytest.raises(ValueError, match="require is"):
        totals(costs, np.zeros(2, int), 1, require="all")  # type: ignore[arg-type]


REPEAT = np.array([[1, 2, 0, 1], [0, 5, 0, 0], [3, 0, 1, 0]])
SHAPE = (4, 3, 5)  # layers, dataflows, hardware


@settings(max_examples=20, deadline=None)
@given(
    st.data(), st.integers(0, 99), st.sampled_from(["exact", "float32"]), st.sampled_from(["sound", "valid"])
)
def test_a_stream_adds_up_networks(data: Any, seed: int, precision: str, require: Any) -> None:
    n = int(np.prod(SHAPE))
    costs = random_costs(seed, n, precision)
    order = np.random.default_rng(seed).permutation(n) if data.draw(st.booleans()) else np.arange(n)
    reduction = NetworkTotals(REPEAT, *SHAPE[1:], require)
    found = reduction.result(state_of(reduction, costs[order], order, data.draw(cuts(n))))
    taken = np.asarray(costs.sound if require == "sound" else costs.valid).reshape(SHAPE)
    runtime = (np.asarray(costs.runtime, np.int64).reshape(SHAPE)) * taken
    energy = (np.asarray(costs.energy, np.float64).reshape(SHAPE)) * taken
    complete = np.stack([taken[row > 0].all(0) for row in REPEAT])
    np.testing.assert_array_equal(found.complete, complete)
    np.testing.assert_array_equal(found.latency, np.einsum("nl,ldh->ndh", REPEAT, runtime))
    assert found.latency.dtype == np.int64
    np.testing.assert_allclose(found.energy, np.einsum("nl,ldh->ndh", REPEAT, energy), rtol=1e-12)
    np.testing.assert_array_equal(found.edp, found.latency * found.energy)


def test_networks_of_which_each_has_layers_of_its_own() -> None:
    segment, repeat = [0, 1, 0], [2, 1, 3]
    costs = costs_of([1, 10, 100], energy=[0.25, 0.5, 1.0])
    reduction = NetworkTotals.of_segments(segment, 1, 1, repeat)
    found = reduction.result(reduction.add(reduction.start(), np.arange(3), costs))
    assert found.latency.reshape(-1).tolist() == [302, 10]
    assert found.energy.reshape(-1).tolist() == [3.5, 0.5]
    assert found.complete.all()


def test_energies_do_not_lose_what_they_add() -> None:
    """Large, small and in another order: the same to the last bit (float64 would not be)."""
    energy = np.array([1e12, 0.1, 1e-3, 3e11, 0.7, 1 / 3])
    costs = costs_of(np.ones(6, np.int64), energy=energy)
    reduction = NetworkTotals(np.full((1, 6), 524287), 1, 1)
    index = np.arange(6)
    one = reduction.result(state_of(reduction, costs, index, []))
    other = reduction.result(state_of(reduction, costs[::-1], index[::-1], [1, 4]))
    assert one.complete.all()
    assert one.energy == other.energy
    np.testing.assert_allclose(one.energy[0, 0, 0], energy.sum() * 524287, rtol=1e-15)


def test_what_would_overflow_is_incomplete() -> None:
    costs = costs_of([2**62, 2**62, 2**53 + 1, 2**53], energy=[1.0, 1.0, 1e30, 1.0])
    reduction = NetworkTotals([[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1023]], 1, 1)
    found = reduction.result(reduction.add(reduction.start(), np.arange(4), costs))
    assert found.complete.reshape(-1).tolist() == [True, False, False, True]
    assert found.latency[0, 0, 0] == 2**62
    assert found.latency[3, 0, 0] == 1023 * 2**53


def test_a_point_that_lacks_a_layer_is_incomplete() -> None:
    reduction = NetworkTotals([[1, 1]], 1, 2)
    state = reduction.add(reduction.start(), np.array([0, 1, 2]), costs_of([1, 2, 3]))
    assert reduction.result(state).complete.reshape(-1).tolist() == [True, False]


def test_numbers_outside_the_product_are_reported() -> None:
    reduction = NetworkTotals([[1, 1]], 1, 2)
    state = reduction.add(reduction.start(), np.array([0, 4, 2**40]), costs_of([1, 2, 3]))
    with pytest.raises(ValueError, match="2 tuple numbers are not below 4"):
        reduction.result(state)


@pytest.mark.parametrize(
    ("repeat", "message"),
    [
        ([1, 2], "repeat is int64"),
        ([[1.0]], "repeat is float64"),
        ([[-1]], "-1 to -1 times"),
        ([[2**19]], "524288 times"),
        ([[1, 0], [0, 0]], "network 1 has no layers"),
    ],
)
def test_bad_repeats(repeat: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NetworkTotals(repeat, 1, 1)


def test_bad_sizes() -> None:
    with pytest.raises(ValueError, match="network of each layer"):
        NetworkTotals.of_segments([-1, 0], 1, 1)
    with pytest.raises(ValueError, match="0 dataflows"):
        NetworkTotals([[1]], 0, 1)
