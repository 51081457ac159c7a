"""Training: seeded, learns, and its command."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from experiments.train_accuracy import SETTINGS, smallest, train
from jaxmaestro.accuracy import AccuracyTable, about
from jaxmaestro.accuracy.metrics import kendall, scores, spearman
from jaxmaestro.accuracy.training import Settings, split
from jaxmaestro.spaces import ALPHANET_FORK, NASBENCH301

QUICK = Settings(members=2, width=16, steps=100, batch=200, learning_rate=1e-2, weight_decay=0.1)


def _table() -> AccuracyTable:
    """Accuracies with an interaction, so that adding up does not explain them."""
    sample = ALPHANET_FORK.sample(0, 4000)
    resolution, depth = sample.resolution / 32.0, sample.depth[:, 1:6].sum(1)
    return AccuracyTable("alphanet_fork", sample, 60 + resolution + 0.02 * resolution * depth)


def test_training_is_seeded_and_learns() -> None:
    table = _table()
    first, record = train(table, QUICK)
    again, same = train(table, QUICK)
    assert record == same
    for name, layer in first["params"].items():
        for key, leaf in layer.items():
            assert np.array_equal(leaf, again["params"][name][key])
    assert record["test"]["spearman"] > 0.99
    assert record["test"]["rmse"] < 0.1 * table.accuracy.std()
    _, other = train(table, dataclasses.replace(QUICK, seed=1))
    assert other["test"] != record["test"]


def test_a_split_is_a_partition() -> None:
    part = split(4321, QUICK)
    whole = np.concatenate([part.train, part.validation, part.test])
    assert len(part.validation) == len(part.test) == 1000
    assert np.array_equal(np.sort(whole), np.arange(4321))


def test_the_shipped_weights_have_the_settings_of_the_command() -> None:
    for name, settings in SETTINGS.items():
        assert dict(about(name).settings) == dataclasses.asdict(settings)


def test_the_smallest_are_small() -> None:
    found = smallest(200)
    assert (np.asarray(found.depth)[:, 1:6] == 3).mean() > 0.85
    assert len(np.unique(found.resolution)) == 4


def test_rank_correlations_with_ties() -> None:
    # Worked by hand: ranks 1, 2.5, 2.5, 4 and 1, 3, 2, 4; 5 of 6 pairs agree, one is tied in a.
    a, b = np.array([1, 2, 2, 3]), np.array([10, 30, 20, 40])
    assert spearman(a, b) == pytest.approx(4.5 / np.sqrt(4.5 * 5))
    assert kendall(a, b) == pytest.approx(5 / np.sqrt(5 * 6))
    assert kendall(a, -b) == pytest.approx(-5 / np.sqrt(5 * 6))
    assert np.isnan(spearman(a, np.ones(4))) and np.isnan(kendall(a, np.ones(4)))
    found = scores(np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 6.0]))
    assert (found.count, found.mae, found.rmse, found.spearman) == (
        3,
        1.0,
        pytest.approx(np.sqrt(5 / 3)),
        1.0,
    )


def test_the_command_refuses_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("normal,reduce,accuracy\n")
    for arguments, message in (
        (["nasbench301", str(path)], "has 0 rows"),
        (["nasbench301", str(tmp_path / "none.csv")], "none.csv"),
    ):
        found = subprocess.run(
            [sys.executable, "-m", "experiments.train_accuracy", *arguments], capture_output=True, text=True
        )
        assert found.returncode == 2 and found.stdout == ""
        assert (
            found.stderr.startswith("error: ") and message in found.stderr and found.stderr.count("\n") == 1
        )


def test_a_table_of_genotypes_is_learned() -> None:
    sample = NASBENCH301.sample(0, 4000)
    separable = (np.asarray(sample.operations) == 3).sum((1, 2, 3))
    _, record = train(AccuracyTable("nasbench301", sample, 90 + 0.3 * separable), QUICK)
    assert record["test"]["spearman"] > 0.95 and record["checks"] == {}
