"""Orders, fronts and crowding against definitions written out."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from jaxmaestro.mapspace import Genes
from jaxmaestro.search.ranking import best_first, crowding, front_first, fronts, repeated

INF = float("inf")


def points(seed: int, n: int, m: int) -> np.ndarray:
    """Few different values, so that there are ties; some rows have failed."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, 6, (n, m)).astype(float)
    drawn[rng.random(n) < 0.2] = INF
    return drawn


def better(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((a <= b).all() and (a < b).any())


@pytest.mark.parametrize("m", [1, 2, 3])
def test_fronts_by_definition(m: int) -> None:
    given = points(m, 40, m)
    rank = np.asarray(fronts(given))
    left = {i for i in range(40) if np.isfinite(given[i, 0])}
    number = 0
    while left:
        now = {i for i in left if not any(better(given[j], given[i]) for j in left)}
        assert {i for i in range(40) if rank[i] == number} == now
        left, number = left - now, number + 1
    assert (rank[~np.isfinite(given[:, 0])] == 40).all()


def test_best_first_is_lexicographic_and_stable() -> None:
    given = points(5, 50, 2)
    order, found = best_first(given, 10)
    expected = sorted(range(50), key=lambda i: (*given[i], i))[:10]
    assert np.asarray(order).tolist() == expected
    assert np.array_equal(found, given[expected])


def test_crowding_is_the_cuboid_of_the_neighbours() -> None:
    given = np.array([[1.0, 9.0], [2.0, 6.0], [4.0, 5.0], [8.0, 1.0], [5.0, 8.0], [INF, INF]])
    room = np.asarray(crowding(given, np.array([0, 0, 0, 0, 1, 6])))
    assert np.isinf(room[[0, 3]]).all()
    assert room[1] == pytest.approx((4 - 1) / 7 + (9 - 5) / 8)
    assert room[2] == pytest.approx((8 - 2) / 7 + (6 - 1) / 8)


def test_an_archive_keeps_the_front_and_its_ends() -> None:
    with jax.enable_x64(True):
        x = np.linspace(0, 1, 30)
        given = np.concatenate([np.stack([x, (1 - x) ** 2], -1), np.stack([x, 2 - x], -1), [[INF, INF]]])
        given = np.concatenate([given, given])[np.random.default_rng(0).permutation(122)]
        order, kept = front_first(given, 8)
    kept = np.asarray(kept)
    assert np.array_equal(kept, given[np.asarray(order)])
    assert (np.diff(kept[:, 0]) > 0).all() and (np.diff(kept[:, 1]) < 0).all()
    assert kept[0, 0] == 0 and kept[-1, 0] == 1
    order, few = front_first(np.array([[1.0, 2.0], [2.0, 3.0], [INF, INF]]), 3)
    assert np.asarray(few).tolist() == [[1.0, 2.0], [INF, INF], [INF, INF]]


def test_repeated_mappings_are_told() -> None:
    tile = np.arange(4 * 2 * 8, dtype=np.int32).reshape(4, 2, 8)
    genes = Genes(
        levels=np.full(4, 2, np.int32),
        spatial=np.zeros((4, 2), np.int32),
        cluster=np.ones((4, 1), np.int32),
        order=np.zeros((4, 2, 8), np.int32),
        tile=tile,
    )
    mixed = genes[np.array([2, 0, 2, 1, 0])]
    assert np.asarray(repeated(mixed)).tolist() == [False, False, True, False, True]


def test_a_small_archive_keeps_the_best_in_the_first_objective() -> None:
    scores = jax.numpy.array([[9.0, 1, 5], [5, 9, 1], [1, 5, 9], [4, 4, 4]])
    for count in (1, 2, 3, 4):
        order, _ = front_first(scores, count)
        assert int(order[0]) == 2 and len(set(order.tolist())) == count
