"""The summary shows whole figures on any terminal."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from omegaconf import DictConfig
from rich.console import Console

from experiments.job import validated
from experiments.report import print_summary
from experiments.results import Totals
from experiments.workloads import Space, build_space

LATENCY, ENERGY = "1,234,567", "86,419,753"


@pytest.fixture
def space(configuration: Callable[..., DictConfig]) -> Space:
    return build_space(validated(configuration("hw=eyeriss_like")))


def shown(space: Space, width: int) -> str:
    """The summary with long figures and reasons everywhere."""
    points = len(space.hardware)
    totals = [
        Totals(
            network=network,
            dataflow=dataflow,
            latency=np.full(points, 1_234_567e6),
            energy=np.full(points, 86_419_753e6),
            complete=np.ones(points, bool),
            refused=0.25,
            reasons={"ILLEGAL_FILTER_TILE": 0.12, "FEWER_MACS": 0.13},
        )
        for network in space.networks
        for dataflow in space.dataflows
    ]
    console = Console(width=width, record=True, highlight=False, file=io.StringIO())
    print_summary(console, space, totals, fits=False)
    return console.export_text()


@pytest.mark.parametrize("width", [60, 80, 100, 132, 200])
def test_figures_are_whole(space: Space, width: int) -> None:
    text = shown(space, width)
    rows = len(space.networks) * len(space.dataflows)
    assert max(map(len, text.splitlines())) <= width
    assert text.count(f" {LATENCY} ") == text.count(f" {ENERGY} ") == rows
    assert "\u2026" not in text
    assert all(name in text for name in (*space.networks, *space.dataflows))


def test_a_narrow_terminal_says_what_it_leaves_out(space: Space) -> None:
    narrow, wide = shown(space, 80), shown(space, 132 + 40)
    points = len(space.hardware)
    assert f"{points}/{points}" in narrow and "ILLEGAL_FILTER_TILE" not in narrow
    assert "A wider terminal also shows: EDP" in narrow and "refused because" in narrow
    assert "A wider terminal" not in wide and "ILLEGAL_FILTER_TILE 12%" in wide and "mJ x Mcycles" in wide
