"""The float32 mode: as good as stated, and of one mind with the exact one about what is valid."""

from __future__ import annotations

import numpy as np
import pytest

from jaxmaestro import Costs, Reason, evaluate_batch
from tests.equations.trials import Trial, batch_of, evaluate_trials, has_figures, random_trials

COUNT = 1500
ROUNDING = 1e-5
"""Bound of the relative error of runtime and energy (docs/precision.md gives what was measured)."""
CHECKED = ("runtime", "energy", "num_macs", "area", "power", "throughput")


@pytest.fixture(scope="module")
def both() -> tuple[list[Trial], Costs, Costs]:
    """Trials of which both modes give figures, exactly and in float32."""
    trials = random_trials(1, COUNT)
    exact = evaluate_trials(trials)
    approximate = evaluate_batch(batch_of(trials), "float32")[:COUNT]
    rows = has_figures(exact)
    assert rows.sum() > 1000
    return [t for t, kept in zip(trials, rows, strict=True) if kept], exact[rows], approximate[rows]


def error(exact: Costs, approximate: Costs, name: str) -> np.ndarray:
    expected = np.asarray(getattr(exact, name), np.float64)
    found = np.asarray(getattr(approximate, name), np.float64)
    return np.abs(found - expected) / np.where(expected == 0, 1, np.abs(expected))


def test_counts_are_float32(both: tuple[list[Trial], Costs, Costs]) -> None:
    _, _, approximate = both
    for name in (*CHECKED, "l1_reads", "l2_sizes", "ingress_delay", "iterations", "layer_macs"):
        assert getattr(approximate, name).dtype == np.float32, name
    assert approximate.reasons.dtype == np.uint32


@pytest.mark.parametrize("name", CHECKED)
def test_the_error_is_rounding(name: str, both: tuple[list[Trial], Costs, Costs]) -> None:
    trials, exact, approximate = both
    # What is unsound can be a sum of large numbers of either sign, which cancel.
    errors = np.where(exact.sound, error(exact, approximate, name), 0)
    assert errors.max() < ROUNDING, str(trials[int(np.argmax(errors))])


def test_flags_are_the_exact_ones(both: tuple[list[Trial], Costs, Costs]) -> None:
    trials, exact, approximate = both
    differ = exact.reasons != approximate.reasons
    # Occurrences wrap in 32 bits only where they are counted in integers: what else is true then is not.
    wrapped = (exact.reasons & int(Reason.OVERFLOW)) != 0
    assert ((approximate.reasons & int(Reason.OVERFLOW)) != 0)[wrapped].all()
    # Counts that differ by less than rounding cannot be told apart.
    difference = np.abs(exact.num_macs - exact.layer_macs)
    close = (difference > 0) & (difference < ROUNDING * exact.layer_macs)
    assert (wrapped | close).sum() < 10
    differ &= ~wrapped & ~close
    assert not differ.any(), str(trials[int(np.argmax(differ))])
