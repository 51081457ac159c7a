"""Co-design: within the budget and above the roofline by evaluation anew, repeatable, resumable."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from jaxmaestro.accelerators import (
    Budget,
    DesignSpace,
    Exploration,
    GeneticLoop,
    OneLoop,
    Outcome,
    Problem,
    RefusedError,
    TwoLoop,
    check,
    genetic_loop,
    one_loop,
    two_loop,
)
from jaxmaestro.accelerators.problem import Arrays
from jaxmaestro.description import DescriptionError, Layer

BUDGET = Budget(area=0.02)
SPACE = DesignSpace((8, 16, 32), (64,), (64,))
LAYERS = [
    (Layer.of("conv", "CONV", {"K": 16, "C": 8, "Y": 10, "X": 10, "R": 3, "S": 3}), 2),
    (Layer.of("gemm", "GEMM", {"M": 16, "N": 24, "K": 32}), 1),
    (Layer.of("again", "CONV", {"K": 16, "C": 8, "Y": 10, "X": 10, "R": 3, "S": 3}), 1),
]
PROBLEM = Problem.of(LAYERS, SPACE, BUDGET)
EXPLORATION = Exploration(population=32)
ONE = OneLoop(rounds=2, steps=3, exploration=EXPLORATION)
TWO = TwoLoop(trials=6, batch=3, steps=4, exploration=EXPLORATION)
# With 64 its mappings run the program of the other loops.
GENETIC = GeneticLoop(population=64, generations=8, every=4)

Run = Callable[..., Outcome]
LOOPS: list[tuple[Run, Any]] = [(one_loop, ONE), (two_loop, TWO), (genetic_loop, GENETIC)]
IDS = ["one_loop", "two_loop", "genetic"]


pytestmark = pytest.mark.usefixtures("quickly")


def same(one: Outcome, other: Outcome) -> bool:
    """Whether all but the seconds is the same."""
    histories = [
        [dataclasses.replace(moment, seconds=0.0) for moment in outcome.history] for outcome in (one, other)
    ]
    fronts = np.array_equal(one.front.figures, other.front.figures)
    return one.designs == other.designs and fronts and histories[0] == histories[1]


def test_layers_of_one_shape_are_one() -> None:
    assert [layer.name for layer in PROBLEM.layers] == ["conv", "gemm"]
    assert PROBLEM.repeats == (3, 1)


@pytest.mark.parametrize(("run", "method"), LOOPS, ids=IDS)
def test_designs_hold_when_evaluated_anew(run: Run, method: Any) -> None:
    outcome = run(PROBLEM, method)
    assert set(outcome.designs) == {"latency", "edp"}
    for goal, design in outcome.designs.items():
        found = check(design.network("net"), design.hardware, design.repeats, BUDGET, design)
        assert 0 < found.area <= 0.02
        assert found.area == pytest.approx(
            (
                282 * design.hardware.num_pes
                + 0.688 * (design.hardware.num_pes * design.hardware.l1_size + design.hardware.l2_size)
            )
            / 1e6
        )
        assert found.latency >= found.roofline
        assert (found.l1_need, found.l2_need) == (design.hardware.l1_size, design.hardware.l2_size)
        assert outcome.history[-1].best[goal] == {"latency": design.latency, "edp": design.edp}[goal]
        assert getattr(design, goal) == min(getattr(other, goal) for other in outcome.designs.values())
    figures = outcome.front.figures[:, :3]
    worse = (figures[:, None] <= figures[None]).all(-1) & (figures[:, None] < figures[None]).any(-1)
    assert len(figures) and not worse.any()
    assert (outcome.front.area <= 0.02).all()


@pytest.mark.parametrize(("run", "method"), LOOPS, ids=IDS)
def test_resumed_is_as_if_it_had_not_been_stopped(run: Run, method: Any) -> None:
    kept: dict[str, Arrays] = {}

    def until_first(name: str, compute: Callable[[], Arrays]) -> Arrays:
        if name not in kept:
            if kept:
                raise KeyboardInterrupt
            kept[name] = compute()
        return kept[name]

    with pytest.raises(KeyboardInterrupt):
        run(PROBLEM, method, until_first)
    assert len(kept) == 1
    resumed = run(PROBLEM, method, lambda name, compute: kept[name] if name in kept else compute())
    assert same(resumed, run(PROBLEM, method))


def test_a_row_does_not_depend_on_the_others() -> None:
    alone = one_loop(
        dataclasses.replace(PROBLEM, space=dataclasses.replace(SPACE, num_pes=(32,))),
        dataclasses.replace(ONE, rounds=1),
    )
    wide = one_loop(PROBLEM, dataclasses.replace(ONE, rounds=1))
    assert wide.designs["latency"].latency <= alone.designs["latency"].latency


def test_what_is_not_so_is_refused() -> None:
    design = one_loop(PROBLEM, ONE).designs["latency"]
    network = design.network("net")

    def checked(**changes: Any) -> None:
        given = {"hardware": design.hardware, "budget": BUDGET, "said": design} | changes
        check(network, given["hardware"], design.repeats, given["budget"], given["said"])

    checked()
    with pytest.raises(RefusedError, match="beyond the budget"):
        checked(budget=Budget(area=0.001))
    with pytest.raises(RefusedError, match="L1_SIZE"):
        checked(hardware=design.hardware.replace(l1_size=design.hardware.l1_size - 1))
    with pytest.raises(RefusedError, match="not"):
        checked(said=dataclasses.replace(design, latency=design.latency - 1))


def test_bad_input() -> None:
    with pytest.raises(DescriptionError, match="goals"):
        Problem.of(LAYERS, SPACE, BUDGET, goals=("area",))
    with pytest.raises(DescriptionError, match="layers"):
        Problem.of([], SPACE, BUDGET)
    with pytest.raises(DescriptionError, match="within the budget"):
        one_loop(dataclasses.replace(PROBLEM, budget=Budget(area=0.001)), ONE)
    with pytest.raises(DescriptionError, match="outer search"):
        TwoLoop(outer="grid")
    with pytest.raises(DescriptionError, match="rounds"):
        OneLoop(rounds=0)


def test_parzen() -> None:
    pytest.importorskip("optuna")
    outcome = two_loop(PROBLEM, dataclasses.replace(TWO, outer="tpe"))
    assert same(outcome, two_loop(PROBLEM, dataclasses.replace(TWO, outer="tpe")))
