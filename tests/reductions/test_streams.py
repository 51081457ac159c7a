"""What all streaming reductions promise: order, splits and merges do not matter; tracing; padding."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxmaestro as jm
from jaxmaestro.reductions import Count, NetworkTotals, ParetoFront, Reduction, TopK
from tests.equations.trials import one_level_batch
from tests.reductions.sweeps import costs_of, cuts, in_64_bits, random_costs, same_states, state_of

LAYERS, DATAFLOWS, HARDWARE = 5, 4, 6
N = LAYERS * DATAFLOWS * HARDWARE
REPEAT = [[1, 2, 0, 0, 3], [0, 1, 1, 1, 0]]
REDUCTIONS: dict[str, Reduction[Any, Any]] = {
    "top": TopK("edp", 9),
    "front": ParetoFront(),
    "front of three": ParetoFront(("runtime", "area", "energy"), 128, "sound"),
    "networks": NetworkTotals(REPEAT, DATAFLOWS, HARDWARE),
    "count": Count(),
}
each = pytest.mark.parametrize("reduction", REDUCTIONS.values(), ids=REDUCTIONS)


@each
@settings(max_examples=8, deadline=None)
@given(data=st.data(), seed=st.integers(0, 99), few=st.booleans())
def test_order_and_splits_do_not_matter(
    reduction: Reduction[Any, Any], data: Any, seed: int, few: bool
) -> None:
    costs = random_costs(seed, N, few=few)
    order = np.random.default_rng(seed).permutation(N)
    whole = state_of(reduction, costs, np.arange(N), [])
    parts = state_of(reduction, costs[order], order, data.draw(cuts(N)))
    same_states(whole, parts)


@each
@settings(max_examples=8, deadline=None)
@given(data=st.data(), seed=st.integers(0, 99))
def test_merging_is_adding(reduction: Reduction[Any, Any], data: Any, seed: int) -> None:
    costs = random_costs(seed, N)
    first, second = sorted(data.draw(st.tuples(st.integers(0, N), st.integers(0, N))))
    rows = np.split(np.arange(N), [first, second])
    a, b, c = (reduction.add(reduction.start(), r, costs[r]) for r in rows)
    whole = state_of(reduction, costs, np.arange(N), [])
    same_states(reduction.merge(reduction.merge(a, b), c), whole)
    same_states(reduction.merge(c, reduction.merge(b, a)), whole)
    same_states(reduction.merge(whole, reduction.start()), whole)


@each
def test_adding_does_not_change_a_state(reduction: Reduction[Any, Any]) -> None:
    costs = random_costs(1, N)
    half = np.arange(N // 2)
    state = reduction.add(reduction.start(), half, costs[half])
    before = jax.tree.map(np.array, state)
    rest = np.arange(N // 2, N)
    once = reduction.add(state, rest, costs[rest])
    same_states(state, before)
    same_states(reduction.add(state, rest, costs[rest], donate=True), once)


@each
def test_negative_numbers_are_padding(reduction: Reduction[Any, Any]) -> None:
    costs = random_costs(2, N)
    index = np.where(np.arange(N) < 70, np.arange(N), -1)
    same_states(state_of(reduction, costs, index, []), state_of(reduction, costs[:70], index[:70], []))
    nothing = state_of(reduction, costs[:0], index[:0], [])
    same_states(nothing, reduction.start())


@each
def test_arrays_of_the_device(reduction: Reduction[Any, Any]) -> None:
    costs = random_costs(3, 70)
    state = reduction.add(reduction.start(), *in_64_bits((np.arange(70), costs)))
    same_states(state, state_of(reduction, costs, np.arange(70), []))


@each
def test_inside_a_jit_and_a_scan_of_ones_own(reduction: Reduction[Any, Any]) -> None:
    costs = random_costs(4, N)
    chunks = jax.tree.map(lambda a: a.reshape(4, N // 4), (np.arange(N), costs))
    with jax.enable_x64(True):
        scanned, _ = jax.jit(
            lambda state, xs: jax.lax.scan(lambda s, x: (reduction.add(s, *x), None), state, xs)
        )(reduction.start(), chunks)
    same_states(scanned, state_of(reduction, costs, np.arange(N), []))
    # Outside the scope JAX arrays of 64 bits keep them.
    index, on_device = in_64_bits((np.arange(N), costs))
    assert not jax.config.jax_enable_x64
    same_states(jax.jit(reduction.add)(reduction.start(), index, on_device), scanned)


@each
def test_numbers_that_a_jit_has_cut_are_refused(reduction: Reduction[Any, Any]) -> None:
    costs = in_64_bits(random_costs(5, 64))
    with pytest.raises(TypeError, match="enable_x64"):
        jax.jit(reduction.add)(reduction.start(), np.arange(64) + 2**33, costs)
    with pytest.raises(TypeError, match="give int64"):
        reduction.add(reduction.start(), np.arange(64) / 2, costs)
    with pytest.raises(ValueError, match="costs of 64 tuples where there are 63"):
        reduction.add(reduction.start(), np.arange(63), costs)


@pytest.mark.parametrize("name", ["top", "front", "networks"])
def test_counts_that_a_jit_has_cut_are_refused(name: str) -> None:
    reduction = REDUCTIONS[name]
    index = in_64_bits(np.arange(64))
    with pytest.raises(TypeError, match="cut them"):
        jax.jit(reduction.add)(reduction.start(), index, costs_of(np.full(64, 2**40)))


@each
def test_few_shapes_are_compiled(reduction: Reduction[Any, Any], caplog: pytest.LogCaptureFixture) -> None:
    costs = random_costs(6, N)
    reduction.add(reduction.start(), np.arange(64), costs[:64])
    with jax.log_compiles():
        for n in range(1, 65, 7):
            reduction.add(reduction.start(), np.arange(n), costs[:n])
        assert not [r for r in caplog.records if "_add" in r.getMessage()]
        reduction.add(reduction.start(), np.arange(300), random_costs(6, 300))
        assert [r for r in caplog.records if "_add" in r.getMessage()]  # a length that is new


def test_counts() -> None:
    costs = random_costs(7, N)
    count = Count().result(state_of(Count(), costs, np.arange(N), [50]))
    assert count.seen == N
    assert count.sound == costs.sound.sum() and count.valid == (costs.sound & costs.fits).sum()
    for reason in jm.Reason:
        assert count.reasons[reason] == ((costs.reasons & int(reason)) != 0).sum()
    assert count.reasons[jm.Reason.OVERFLOW] > 0 and count.reasons[jm.Reason.TERMINATES] == 0


def test_over_the_cost_model() -> None:
    """Costs of real tuples, on the device and from NumPy."""
    index = np.arange(64)
    reduction = TopK("energy", 5)
    costs = jm.cost(one_level_batch(64))
    state = reduction.add(reduction.start(), index, costs)
    costs = jax.tree.map(np.asarray, costs)
    same_states(state, reduction.add(reduction.start(), index, costs))
    best = reduction.result(state)
    taken = np.flatnonzero(costs.valid)
    order = taken[np.argsort(costs.energy[taken], kind="stable")][:5]
    np.testing.assert_array_equal(best.index, order)
    np.testing.assert_array_equal(best.values, costs.energy[order])
    assert len(order) == 5
