"""The adaptive search loses nothing, its bounds hold, and both come from its own evaluations alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from jaxmaestro.codesign import (
    Constraints,
    Figures,
    Outcome,
    adaptive,
    certify,
    cover,
    fully_coupled,
    on_each_point,
    on_product,
    semi_decoupled,
)
from tests.codesign.problems import made_up, poisoned, random_problem
from tests.codesign.test_methods import SHARES, problems


def losses(outcome: Outcome, coupled: Outcome) -> np.ndarray:
    """Loss by constraint; infinite where there is an answer and none was found, 0 where there is none."""
    found = np.nan_to_num(outcome.accuracy, nan=-np.inf)
    return np.where(np.isnan(coupled.accuracy), 0.0, coupled.accuracy - found)


@pytest.mark.parametrize("alike", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_lost_with_fewer_evaluations(seed: int, alike: float) -> None:
    campaign, accuracy = random_problem(seed, alike=alike)
    figures = Figures.of(campaign, accuracy)
    for constraints in problems(campaign):
        coupled = fully_coupled(figures, constraints)
        found = adaptive(campaign, accuracy, constraints, [seed], size=5)
        assert np.array_equal(found.outcome.accuracy, coupled.accuracy, equal_nan=True)
        assert (found.bound == 0).all()
        assert found.outcome.evaluations < coupled.evaluations / 3
        check = found.outcome.architecture[found.outcome.architecture >= 0]
        assert set(check) <= set(found.members) and set(found.added) <= set(check)
        assert found.inverted.sum() == np.isin(found.outcome.architecture, found.added).sum()


@pytest.mark.parametrize("seed", range(4))
def test_bounds_hold_when_it_stops_early(seed: int) -> None:
    campaign, accuracy = random_problem(seed, alike=0.3)
    for constraints in problems(campaign):
        coupled = fully_coupled(Figures.of(campaign, accuracy), constraints)
        bounds = []
        for budget in (6, 12, 20, 1000):
            found = adaptive(campaign, accuracy, constraints, [0], size=3, budget=budget)
            assert (losses(found.outcome, coupled) <= found.bound).all()
            bounds.append(found.bound)
        assert (bounds[0] > 0).any() and (bounds[-1] == 0).all()
        assert all((late <= early).all() for early, late in itertools.pairwise(bounds))


def test_the_tolerance_is_kept_and_saves_evaluations() -> None:
    campaign, accuracy = random_problem(7, alike=0.3)
    constraints = on_each_point(campaign, SHARES, SHARES)
    coupled = fully_coupled(Figures.of(campaign, accuracy), constraints)
    exact = adaptive(campaign, accuracy, constraints, [0])
    loose = adaptive(campaign, accuracy, constraints, [0], tolerance=0.3)
    assert (losses(loose.outcome, coupled) <= loose.bound).all()
    assert (loose.bound <= 0.3).all() and (loose.bound > 0).any()
    assert loose.outcome.evaluations < exact.outcome.evaluations


@pytest.mark.parametrize("seed", range(3))
def test_answers_and_bounds_use_what_was_evaluated_and_nothing_else(seed: int) -> None:
    campaign, accuracy = random_problem(seed, alike=0.4)
    constraints = on_product(campaign, SHARES, SHARES, (0.4, 1.0))
    for budget in (None, 12):
        found = adaptive(campaign, accuracy, constraints, [1], size=4, budget=budget)
        other = poisoned(campaign, found.outcome.evaluated, seed)
        assert not np.array_equal(other.latency, campaign.latency)
        again = adaptive(other, accuracy, constraints, [1], size=4, budget=budget)
        assert np.array_equal(found.outcome.architecture, again.outcome.architecture)
        assert np.array_equal(found.outcome.evaluated, again.outcome.evaluated)
        assert np.array_equal(found.bound, again.bound)


def test_a_proxy_that_ranks_the_other_way_round_costs_no_accuracy() -> None:
    # One layer each beside a common one; the second point ranks the architectures backwards.
    counts = np.concatenate([np.ones((8, 1), int), np.eye(8, dtype=int)], 1).astype(np.int32)
    forth = np.concatenate([[5], np.arange(1, 9) * 10])
    back = np.concatenate([[5], np.arange(8, 0, -1) * 10])
    runtime = np.stack([forth, back], 1)
    campaign = made_up(counts, runtime, np.ones_like(runtime, dtype=float), ("X-P", "YR-P"))
    accuracy = 70 - np.arange(8) / 10  # the quickest on the proxy is the most accurate
    latency = np.array([15 + 10 * i for i in range(8)])
    allowed = np.tile([False, True], (8, 1))
    constraints = Constraints(latency, np.full(8, np.inf), allowed)
    semi = semi_decoupled(Figures.of(campaign, accuracy), constraints, [0])
    assert np.isnan(semi.accuracy[:7]).all()
    found = adaptive(campaign, accuracy, constraints, [0])
    assert found.outcome.architecture.tolist() == [7, 6, 5, 4, 3, 2, 1, 0]
    assert found.inverted.tolist() == [0, 7] and found.added.tolist() == [1, 2, 3, 4, 5, 6, 7]


def test_what_nothing_meets_is_certified_too() -> None:
    campaign, accuracy = random_problem(0)
    none = Constraints(np.array([0, 10**9]), np.array([1e12, -1.0]), np.ones((2, 6), bool))
    found = adaptive(campaign, accuracy, none, [0])
    assert found.outcome.architecture.tolist() == [-1, -1] and found.bound.tolist() == [0, 0]
    unfinished = adaptive(campaign, accuracy, none, [0], budget=1)
    assert np.isinf(unfinished.bound[0])


@pytest.mark.parametrize("size", [None, 3])
def test_the_loss_of_a_fixed_set_is_bounded(size: int | None) -> None:
    for seed in range(3):
        campaign, accuracy = random_problem(seed, alike=0.2)
        figures = Figures.of(campaign, accuracy)
        for constraints in problems(campaign):
            coupled = fully_coupled(figures, constraints)
            semi = semi_decoupled(figures, constraints, [2], size)
            loss = losses(semi, coupled)
            assert (loss <= certify(campaign, accuracy, constraints, semi)).all()
            told = Outcome(semi.architecture, semi.point, semi.accuracy, np.ones_like(semi.evaluated))
            assert np.array_equal(certify(campaign, accuracy, constraints, told), loss)


def test_a_cover_has_every_layer() -> None:
    campaign, _ = random_problem(3)
    counts = campaign.workloads.counts
    chosen = cover(counts)
    assert (counts[chosen].any(0) == counts.any(0)).all()
    assert len(chosen) < len(counts) / 4
