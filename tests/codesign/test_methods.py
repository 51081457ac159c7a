"""Methods against brute force; none uses a figure that it did not evaluate."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from jaxmaestro.codesign import (
    Campaign,
    Constraints,
    Figures,
    Outcome,
    adaptive,
    fully_coupled,
    fully_decoupled,
    on_each_point,
    on_product,
    proxy_set,
    score,
    semi_decoupled,
)
from jaxmaestro.description import DescriptionError
from tests.codesign.problems import random_problem

SHARES = (0.02, 0.1, 0.3, 0.6, 1.0)


def problems(campaign: Campaign) -> list[Constraints]:
    return [on_product(campaign, SHARES, SHARES, (0.4, 1.0)), on_each_point(campaign, SHARES, SHARES)]


def brute(figures: Figures, constraints: Constraints, members: set[int]) -> list[float]:
    best = []
    for latency, energy, allowed in zip(
        constraints.latency, constraints.energy, constraints.allowed, strict=True
    ):
        met = [
            figures.accuracy[i]
            for i, p in itertools.product(members, np.flatnonzero(allowed))
            if figures.latency[i, p] <= latency and figures.energy[i, p] <= energy
        ]
        best.append(max(met, default=np.nan))
    return best


def check_answers(outcome: Outcome, figures: Figures, constraints: Constraints) -> None:
    """Every answer is evaluated, allowed and within the limits."""
    for c, (i, p) in enumerate(zip(outcome.architecture, outcome.point, strict=True)):
        assert (i < 0) == (p < 0) == bool(np.isnan(outcome.accuracy[c]))
        if i >= 0:
            assert outcome.evaluated[i, p] and constraints.allowed[c, p]
            assert figures.latency[i, p] <= constraints.latency[c]
            assert figures.energy[i, p] <= constraints.energy[c]
            assert outcome.accuracy[c] == figures.accuracy[i]


@pytest.mark.parametrize("seed", range(3))
def test_answers_are_those_of_brute_force(seed: int) -> None:
    campaign, accuracy = random_problem(seed)
    figures = Figures.of(campaign, accuracy)
    for constraints in problems(campaign):
        coupled = fully_coupled(figures, constraints)
        everyone = set(range(len(accuracy)))
        assert coupled.accuracy.tolist() == pytest.approx(brute(figures, constraints, everyone), nan_ok=True)
        assert coupled.evaluations == 60 * 6 and np.isfinite(coupled.accuracy).any()
        semi = semi_decoupled(figures, constraints, [2], 4)
        members = set(proxy_set(figures, 2, 4).tolist())
        assert semi.accuracy.tolist() == pytest.approx(brute(figures, constraints, members), nan_ok=True)
        assert semi.evaluations == 60 + 4 * 5
        for outcome in (coupled, semi, fully_decoupled(figures, constraints, 1)):
            check_answers(outcome, figures, constraints)


def test_fully_decoupled_takes_the_architecture_first() -> None:
    campaign, accuracy = random_problem(5)
    figures = Figures.of(campaign, accuracy)
    for constraints in problems(campaign):
        first = brute(
            figures,
            dataclasses.replace(constraints, allowed=np.tile(np.arange(6) == 3, (len(constraints), 1))),
            set(range(60)),
        )
        outcome = fully_decoupled(figures, constraints, 3)
        for c, wanted in enumerate(first):
            if np.isnan(wanted):
                assert outcome.architecture[c] == -1
            elif outcome.architecture[c] >= 0:
                assert outcome.accuracy[c] == wanted
        agnostic = fully_decoupled(figures, constraints)
        assert set(agnostic.architecture) <= {-1, int(accuracy.argmax())}
        assert agnostic.evaluations == 6


@pytest.mark.parametrize("seed", range(3))
def test_no_method_uses_what_it_did_not_evaluate(seed: int) -> None:
    campaign, accuracy = random_problem(seed)
    figures = Figures.of(campaign, accuracy)
    rng = np.random.default_rng(seed)
    for constraints in problems(campaign):
        for run in (
            lambda f, c=constraints: semi_decoupled(f, c, [0, 4], 5),
            lambda f, c=constraints: fully_decoupled(f, c, 2),
            lambda f, c=constraints: fully_decoupled(f, c),
        ):
            outcome = run(figures)
            assert not outcome.evaluated.all()
            other = dataclasses.replace(
                figures,
                latency=np.where(
                    outcome.evaluated, figures.latency, rng.integers(0, 9000, figures.latency.shape)
                ),
                energy=np.where(
                    outcome.evaluated, figures.energy, rng.uniform(0, 9000, figures.energy.shape)
                ),
            )
            again = run(other)
            assert np.array_equal(outcome.architecture, again.architecture)
            assert np.array_equal(outcome.point, again.point)


def test_the_whole_front_is_optimal_on_its_proxy_and_wherever_rankings_agree() -> None:
    campaign, accuracy = random_problem(1, alike=1.0)  # every point scales another
    figures = Figures.of(campaign, accuracy)
    for constraints in problems(campaign):
        found = score(semi_decoupled(figures, constraints, [3]), fully_coupled(figures, constraints))
        assert found.exact == 1 and found.unanswered == 0 and found.saved > 1
    campaign, accuracy = random_problem(1, alike=0.0)
    figures = Figures.of(campaign, accuracy)
    constraints = on_each_point(campaign, SHARES, SHARES)
    on_proxy = constraints.allowed[:, 3]
    coupled, semi = fully_coupled(figures, constraints), semi_decoupled(figures, constraints, [3])
    assert np.array_equal(coupled.accuracy[on_proxy], semi.accuracy[on_proxy], equal_nan=True)
    assert not np.array_equal(coupled.accuracy, semi.accuracy, equal_nan=True)


def test_proxy_set_is_a_front_and_keeps_its_ends() -> None:
    campaign, accuracy = random_problem(2)
    figures = Figures.of(campaign, accuracy)
    front = proxy_set(figures, 0)
    triples = np.stack([-accuracy, figures.latency[:, 0], figures.energy[:, 0]], 1)
    for i in range(60):
        beaten = ((triples <= triples[i]).all(1) & (triples < triples[i]).any(1)).any()
        assert not (beaten and i in front) and (beaten or i in front)
    few = proxy_set(figures, 0, 3)
    assert len(few) == 3 and set(few) <= set(front)
    assert {accuracy[front].max(), accuracy[front].min()} <= set(accuracy[few])
    assert proxy_set(figures, 0, 1).tolist() == [front[np.argmax(accuracy[front])]]


def test_score_by_hand() -> None:
    none = np.zeros((2, 5), bool)
    all_ = np.ones((2, 5), bool)
    coupled = Outcome(np.array([0, 0, 1, -1]), np.array([0, 0, 0, -1]), np.array([72, 72, 71, np.nan]), all_)
    mine = Outcome(
        np.array([0, 1, -1, -1]), np.array([0, 0, -1, -1]), np.array([72, 71, np.nan, np.nan]), none
    )
    found = score(mine, coupled)
    assert (found.constraints, found.exact, found.unanswered) == (3, 1 / 3, 1 / 3)
    assert (found.largest_loss, found.mean_loss, found.evaluations, found.saved) == (1.0, 0.5, 0, 10)


def test_limits_are_values_that_occur() -> None:
    campaign, _ = random_problem(0)
    constraints = on_product(campaign, (0.25,), (0.5,), (1.0,))
    assert constraints.latency[0] in campaign.latency and constraints.energy[0] in campaign.energy
    assert (campaign.latency <= constraints.latency[0]).mean() >= 0.25
    assert (campaign.latency < constraints.latency[0]).mean() < 0.25


def test_no_limit_lets_nothing_without_figures_through() -> None:
    campaign, accuracy = random_problem(0)
    legal = campaign.tuples.legal.copy()
    legal[campaign.plan.pair_of_point[0, 2], campaign.points.accelerator[2]] = False  # all have this layer
    campaign = dataclasses.replace(campaign, tuples=dataclasses.replace(campaign.tuples, legal=legal))
    no_limit = np.array([np.iinfo(np.int64).max]), np.array([np.inf])
    constraints = Constraints(*no_limit, np.array([np.arange(6) == 2]))
    assert not campaign.legal[:, 2].any()
    figures = Figures.of(campaign, accuracy)
    for outcome in (
        fully_coupled(figures, constraints),
        fully_decoupled(figures, constraints),
        semi_decoupled(figures, constraints, [0]),
        adaptive(campaign, accuracy, constraints, [0]).outcome,
    ):
        assert outcome.architecture.tolist() == outcome.point.tolist() == [-1]


def test_bad_input_is_refused() -> None:
    campaign, accuracy = random_problem(0)
    with pytest.raises(DescriptionError, match="quantiles of latency"):
        on_product(campaign, (1.2,), (0.5,), (0.5,))
    with pytest.raises(DescriptionError, match="quantiles of energy"):
        on_product(campaign, (0.5,), (np.nan,), (0.5,))
    with pytest.raises(DescriptionError, match="quantiles of area"):
        on_product(campaign, (0.5,), (0.5,), ())
    with pytest.raises(DescriptionError, match="accuracies of shape"):
        Figures.of(campaign, accuracy[:3])
    with pytest.raises(DescriptionError, match="a set of 0"):
        proxy_set(Figures.of(campaign, accuracy), 0, 0)
