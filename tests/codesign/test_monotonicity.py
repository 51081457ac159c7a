"""Rank correlations against scipy, inversions and displacements against brute force, shares by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from jaxmaestro.codesign import (
    KINDS,
    Points,
    agreements,
    discordant,
    growth,
    latency_shares,
    most_displaced,
    plan,
    spearman,
)
from jaxmaestro.codesign.shares import kind_of
from jaxmaestro.description import Hardware
from jaxmaestro.spaces import Workloads
from tests.codesign.problems import conv, random_problem, with_costs


def test_srcc_is_scipys_ties_included() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 12, (40, 7)).astype(np.int64) * 10**15
    assert np.unique(values[:, 0]).size < 40  # ties
    assert spearman(values) == pytest.approx(stats.spearmanr(values).statistic, abs=1e-12)


def test_points_without_a_ranking_have_no_srcc() -> None:
    values = np.array([[1, 5, 3], [2, 5, 1], [3, 5, 2]])
    found = spearman(values, np.array([True, True, False]))
    assert found[0, 0] == pytest.approx(1) and np.isnan(found[1]).all() and np.isnan(found[2]).all()
    with pytest.raises(ValueError, match="2 or more"):
        spearman(values[:1])


def test_agreements_are_over_pairs_of_different_points() -> None:
    matrix = np.array([[1, 0.5, 0.8, np.nan], [0.5, 1, 0.95, np.nan], [0.8, 0.95, 1, np.nan], [np.nan] * 4])
    inside, across = agreements(matrix, np.array([0, 0, 1, 1]), ["A", "B"])
    assert (inside.first, inside.second, inside.pairs, inside.minimum) == ("A", "A", 1, 0.5)
    assert (across.pairs, across.minimum, across.median, across.below) == (2, 0.8, 0.875, 0.5)


def test_discordant_counts_pairs_in_opposite_order() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 9, (2, 15))
    pairs = list(itertools.combinations(range(15), 2))
    opposite = sum((a[i] - a[j]) * (b[i] - b[j]) < 0 for i, j in pairs)
    assert discordant(a, b) == opposite / len(pairs) > 0


def test_no_ranking_of_an_srcc_moves_an_architecture_further_than_allowed() -> None:
    n, furthest = 6, {}
    for order in itertools.permutations(range(n)):
        moved = np.array(order) - np.arange(n)
        squares = int((moved**2).sum())
        furthest[squares] = max(furthest.get(squares, 0), int(np.abs(moved).max()))
    for squares, far in furthest.items():
        assert far <= most_displaced(1 - 6 * squares / (n * (n * n - 1)), n)
    assert most_displaced(1.0, n) == 0
    assert most_displaced(0.9997, 1046) == 239  # as the docstring says


def test_kinds() -> None:
    layers = (
        conv(2, 32, filters=3),
        conv(1, 40, "DSCONV", 3),
        conv(2, 40),
        conv(2, 39),
        conv(2, 20),
        conv(2, 19),
        conv(2, 2),
        conv(2, 1),
    )
    assert [kind_of(layer) for layer in layers] == [0, 1, 2, 3, 3, 4, 4, 5]
    assert len(KINDS) == 6


def test_shares_add_up_and_growth_is_the_power() -> None:
    layers = (conv(3, 10), conv(3, 20), conv(3, 40), conv(3, 1))
    counts = np.array([[4, 0, 0, 1], [0, 4, 0, 3], [0, 0, 4, 2]], np.int32)
    points = Points(("X-P",), (Hardware(64, name="square"), Hardware(65, name="line")))
    columns = np.array([10, 20, 40])
    runtime = np.array([[*columns**2, 0], [*columns, 0]]).T
    campaign = with_costs(Workloads(layers, counts), plan(layers, points), runtime, runtime * 1.0)
    assert growth(campaign) == pytest.approx([2, 1])
    shares = latency_shares(campaign)
    assert shares.latency.sum(0) == pytest.approx(1) and shares.variance.sum(0) == pytest.approx(1)
    assert shares.latency[2:5, 0] == pytest.approx(1 / 3)  # one architecture each
    assert shares.without[5][0, 1] == pytest.approx(1)


def test_growth_needs_maps_of_several_widths() -> None:
    campaign, _ = random_problem(0)
    assert np.isnan(growth(campaign)).all()
