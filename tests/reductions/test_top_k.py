"""The k smallest: of arrays and of streams, against sorting all of them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jaxmaestro import Costs
from jaxmaestro.reductions import OBJECTIVES, Objective, TopK, top_k
from tests.reductions.sweeps import costs_of, cuts, random_costs, state_of

ELEMENTS = {
    np.int64: st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3),
    np.int32: st.integers(-(2**31), 2**31 - 1) | st.integers(-3, 3),
    np.float64: st.floats(allow_subnormal=False) | st.sampled_from([0.0, -0.0, 1.0, -1.0]),
    np.float32: st.floats(width=32, allow_subnormal=False) | st.sampled_from([0.0, -0.0, 1.0, -1.0]),
}


def expected_rows(values: np.ndarray, mask: np.ndarray, k: int) -> np.ndarray:
    rows = np.flatnonzero(mask & (values == values))
    return rows[np.argsort(values[rows], kind="stable")][:k]


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(list(ELEMENTS)), st.sampled_from([1, 2000]), st.sampled_from([3, 90]))
def test_top_k_is_the_start_of_a_stable_sort(data: Any, dtype: Any, n: int, k: int) -> None:
    values = data.draw(hnp.arrays(dtype, n, elements=ELEMENTS[dtype]))
    mask = data.draw(hnp.arrays(bool, n))
    rows, best = top_k(values, k, mask)
    wanted = expected_rows(values, mask, k)
    assert best.dtype == dtype and rows.dtype == np.int32
    np.testing.assert_array_equal(rows[: len(wanted)], wanted)
    np.testing.assert_array_equal(best[: len(wanted)], values[wanted])
    np.testing.assert_array_equal(rows[len(wanted) :], -1)
    largest = np.inf if np.issubdtype(dtype, np.floating) else np.iinfo(dtype).max
    np.testing.assert_array_equal(best[len(wanted) :], largest)


@pytest.mark.parametrize("n", [5000, 4096])
def test_top_k_of_sorted_and_equal_values(n: int) -> None:
    """The blocks that it looks into are chosen well in whatever order the values come."""
    for values in (np.arange(n), -np.arange(n), np.zeros(n), np.arange(n) // 7, np.arange(n) % 7):
        rows, _ = top_k(values, 50)
        np.testing.assert_array_equal(rows, expected_rows(values, np.ones(n, bool), 50))


def test_top_k_is_traceable_and_keeps_64_bits() -> None:
    values = np.array([[2**53 + 1, 2**53, 2**60], [7, 2**40, 7]])
    with jax.enable_x64(True):
        values = jnp.asarray(values)
    assert not jax.config.jax_enable_x64
    rows, best = jax.jit(jax.vmap(lambda v: top_k(v, 2)))(values)
    np.testing.assert_array_equal(rows, [[1, 0], [0, 2]])
    np.testing.assert_array_equal(best, [[2**53, 2**53 + 1], [7, 7]])


def test_top_k_refuses() -> None:
    with pytest.raises(ValueError, match="k is 0"):
        top_k(np.arange(3), 0)
    with pytest.raises(ValueError, match="shape"):
        top_k(np.zeros((2, 2)), 1)
    with pytest.raises(TypeError, match="complex"):
        top_k(np.zeros(2, complex), 1)


def brute_values(costs: Costs, objective: Objective) -> np.ndarray:
    if callable(objective):
        return np.asarray(objective(costs))
    if objective == "edp":
        return costs.runtime.astype(np.float64) * costs.energy
    return np.asarray(getattr(costs, objective))


def traffic(costs: Costs) -> Any:
    """What a user might rank by: a function of arrays of either kind."""
    return costs.runtime - 3 * costs.num_macs


@settings(max_examples=25, deadline=None)
@given(
    st.data(),
    st.integers(0, 99),
    st.sampled_from([*OBJECTIVES, traffic]),
    st.sampled_from(["sound", "valid"]),
)
def test_a_stream_keeps_the_k_smallest(data: Any, seed: int, objective: Objective, require: Any) -> None:
    n, k = 120, 7
    costs = random_costs(seed, n)
    index = 10**9 + np.arange(n)
    reduction = TopK(objective, k, require)
    best = reduction.result(state_of(reduction, costs, index, data.draw(cuts(n))))
    values = brute_values(costs, objective)
    wanted = expected_rows(values, np.asarray(costs.sound if require == "sound" else costs.valid), k)
    np.testing.assert_array_equal(best.index, index[wanted])
    np.testing.assert_array_equal(best.values, values[wanted])
    assert best.values.dtype == values.dtype


def test_illegal_tuples_and_nan_never_win() -> None:
    costs = costs_of([0, 5, 4, 9], energy=[0.0, np.nan, 2.0, 1.0], sound=[False, True, True, True])
    assert TopK("runtime", 9).result(_one_chunk(TopK("runtime", 9), costs)).index.tolist() == [2, 1, 3]
    assert TopK("energy", 9).result(_one_chunk(TopK("energy", 9), costs)).index.tolist() == [3, 2]
    none = costs_of([0, 0], sound=[False, False])
    best = TopK(k=2).result(_one_chunk(TopK(k=2), none))
    assert best.index.size == 0 and best.values.size == 0


def _one_chunk(reduction: TopK, costs: Costs) -> Any:
    return reduction.add(reduction.start(), np.arange(len(costs)), costs)


def test_cycles_beyond_double_precision_are_told_apart() -> None:
    costs = costs_of([2**60 + 2, 2**60 + 1, 2**60])
    best = TopK(k=2).result(_one_chunk(TopK(k=2), costs))
    assert best.index.tolist() == [2, 1]
    assert best.values.tolist() == [2**60, 2**60 + 1]


def test_a_stream_of_both_precisions_is_refused() -> None:
    reduction = TopK()
    state = _one_chunk(reduction, costs_of(np.array([3, 4])))
    state = reduction.add(state, np.array([2, 3]), costs_of(np.array([1, 2], np.float32)))
    with pytest.raises(ValueError, match="one precision"):
        reduction.result(state)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="k is 0"):
        TopK(k=0)
    with pytest.raises(ValueError, match="objective is 'speed'"):
        TopK("speed")
    with pytest.raises(ValueError, match="require is 'all'"):
        TopK(require="all")  # type: ignore[arg-type]
