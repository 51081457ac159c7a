"""Pareto fronts of arrays and of streams, against comparing every pair."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jaxmaestro.reductions import Objective, ParetoFront, pareto_mask
from tests.reductions.sweeps import costs_of, cuts, random_costs, state_of


def brute_front(objectives: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Rows that no other dominates; of equal rows the first."""
    mask = mask & ~np.isnan(objectives).any(1)
    a, b = objectives[:, None], objectives[None]
    no_worse, better = (a <= b).all(2), (a < b).any(2)
    first = np.arange(len(objectives))[:, None] < np.arange(len(objectives))
    out = (no_worse & (better | first) & mask[:, None]).any(0)
    return mask & ~out


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from([np.int64, np.float64]), st.integers(1, 3))
def test_the_front_is_what_nothing_dominates(data: Any, dtype: Any, m: int) -> None:
    n = 300  # two tiles
    seed, spread = data.draw(st.integers(0, 999)), data.draw(st.sampled_from([3, 30, 10**6]))
    rng = np.random.default_rng(seed)
    objectives = rng.integers(-spread, spread, (n, m)).astype(dtype)
    if dtype != np.int64 and data.draw(st.booleans()):
        objectives[rng.random((n, m)) < 0.1] = np.nan
        objectives[rng.random((n, m)) < 0.1] = -np.inf
    mask = data.draw(hnp.arrays(bool, n))
    np.testing.assert_array_equal(pareto_mask(objectives, mask), brute_front(objectives, mask))


@pytest.mark.parametrize("m", [2, 3])
def test_a_front_of_everything_and_of_nothing(m: int) -> None:
    n = 1000  # several tiles of a front that only grows
    objectives = np.stack([np.arange(n), -np.arange(n), np.zeros(n, int)][:m], 1)
    assert pareto_mask(objectives).all()
    assert not pareto_mask(objectives, np.zeros(n, bool)).any()
    same = pareto_mask(np.ones((n, m)))
    assert same[0] and not same[1:].any()
    assert np.asarray(pareto_mask(np.ones((1, m), np.float32))).tolist() == [True]


def test_many_points_of_two_objectives() -> None:
    rng = np.random.default_rng(0)
    n = 200_000
    x, y = rng.integers(0, 10**6, n), rng.integers(0, 10**6, n)
    kept = np.asarray(pareto_mask(np.stack([x, y], 1)))
    order = np.lexsort((np.arange(n), y, x))
    below = np.minimum.accumulate(y[order])
    wanted = np.zeros(n, bool)
    wanted[order] = np.concatenate([[True], below[1:] < below[:-1]])
    np.testing.assert_array_equal(kept, wanted)


def test_pareto_mask_is_traceable_and_keeps_64_bits() -> None:
    with jax.enable_x64(True):
        objectives = jnp.asarray([[[2**53, 1], [2**53 + 1, 1]], [[1, 2**60], [0, 2**60 + 1]]])
    kept = jax.jit(jax.vmap(pareto_mask))(objectives)
    np.testing.assert_array_equal(kept, [[True, False], [True, True]])


def test_pareto_mask_refuses() -> None:
    with pytest.raises(ValueError, match="shape"):
        pareto_mask(np.zeros(3))
    with pytest.raises(TypeError, match="bool"):
        pareto_mask(np.zeros((2, 2), bool))


@settings(max_examples=25, deadline=None)
@given(
    st.data(),
    st.integers(0, 99),
    st.booleans(),
    st.sampled_from([("runtime",), ("runtime", "energy"), ("energy", "area", "runtime")]),
)
def test_a_stream_keeps_the_front(data: Any, seed: int, few: bool, names: tuple[Objective, ...]) -> None:
    n = 64
    costs = random_costs(seed, n, few=few)
    # Numbers that do not grow with the row: equal points are decided by number.
    index = 10**9 + np.random.default_rng(seed).permutation(n)
    reduction = ParetoFront(names, capacity=64)
    front = reduction.result(state_of(reduction, costs, index, data.draw(cuts(n))))
    columns = [np.asarray(getattr(costs, str(name))) for name in names]
    by_number = np.argsort(index)
    kept = by_number[brute_front(np.stack(columns, 1)[by_number], np.asarray(costs.valid)[by_number])]
    wanted = kept[np.lexsort([column[kept] for column in reversed(columns)])]
    assert not front.overflow and front.lost is None
    np.testing.assert_array_equal(front.index, index[wanted])
    for values, column in zip(front.values, columns, strict=True):
        np.testing.assert_array_equal(values, column[wanted])
        assert values.dtype == column.dtype


def test_a_chunk_of_more_candidates_than_enter_at_a_time() -> None:
    n = 9000  # all on the front, in an order that no sample of the chunk shows
    runtime = np.random.default_rng(0).permutation(n)
    reduction = ParetoFront(capacity=16384)
    state = reduction.add(reduction.start(), np.arange(n), costs_of(runtime, energy=(n - runtime) * 0.5))
    front = reduction.result(state)
    np.testing.assert_array_equal(front.values[0], np.arange(n))
    np.testing.assert_array_equal(front.index, np.argsort(runtime))
    assert not front.overflow


@settings(max_examples=25, deadline=None)
@given(st.data(), st.integers(0, 99), st.sampled_from([1, 6]), st.sampled_from([2, 3]))
def test_an_archive_that_overflows_says_so_and_is_right_as_far_as_it_goes(
    data: Any, seed: int, capacity: int, m: int
) -> None:
    n = 64
    costs = random_costs(seed, n, few=m == 3)
    names = ("runtime", "energy", "area")[:m]
    reduction = ParetoFront(names, capacity)
    front = reduction.result(state_of(reduction, costs, np.arange(n), data.draw(cuts(n))))
    objectives = np.stack([np.asarray(getattr(costs, name)) for name in names], 1)
    true = np.flatnonzero(brute_front(objectives, np.asarray(costs.valid)))
    assert front.overflow or len(true) <= capacity
    if front.overflow:
        assert front.lost is not None
        true = true[objectives[true, 0] < front.lost]
    assert set(front.index.tolist()) == set(true.tolist())


def test_illegal_tuples_do_not_dominate() -> None:
    costs = costs_of([0, 5, 4], energy=[0.0, 1.0, 2.0], sound=[False, True, True])
    reduction = ParetoFront()
    front = reduction.result(reduction.add(reduction.start(), np.arange(3), costs))
    assert front.index.tolist() == [2, 1]
    illegal = costs_of([0, 0], sound=[False, False])
    assert reduction.result(reduction.add(reduction.start(), np.arange(2), illegal)).index.size == 0


def test_bad_arguments() -> None:
    for objectives in ((), "runtime"):
        with pytest.raises(ValueError, match="objectives"):
            ParetoFront(objectives)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="capacity is 0"):
        ParetoFront(capacity=0)
    with pytest.raises(ValueError, match="objective is 'speed'"):
        ParetoFront(("runtime", "speed"))
