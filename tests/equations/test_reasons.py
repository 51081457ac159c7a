"""Validity: each reason by a tuple that has it, and what flagged tuples may and may not look like."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxmaestro import (
    Cluster,
    Costs,
    Dataflow,
    Hardware,
    Layer,
    Reason,
    SpatialMap,
    Sz,
    TemporalMap,
)
from jaxmaestro.description.reasons import ILLEGAL, UNFIT, UNSOUND
from tests.equations.test_laws import law, seeds
from tests.equations.trials import ROWS, Trial, differing_fields, evaluate_trials, has_figures, random_trials

S, T = SpatialMap, TemporalMap
SMALL = Layer.of("small", "CONV", {"K": 4, "C": 4, "R": 3, "S": 3, "Y": 8, "X": 8})
FOUR = Hardware(num_pes=4)
PLAIN = (S(1, 1, "K"), T(1, 1, "C"), T(Sz("R"), 1, "Y"), T(Sz("S"), 1, "X"))
WITHOUT_SPATIAL = (T(1, 1, "K"), *PLAIN[1:], *ROWS)
FEWER, MORE, BELOW = Reason.FEWER_MACS, Reason.MORE_MACS, Reason.BELOW_ROOFLINE


def trial(*directives: object, layer: Layer = SMALL, **hardware: object) -> Trial:
    return Trial(layer, Dataflow(directives), FOUR.replace(**hardware))  # type: ignore[arg-type]


def product(m: int, n: int, k: int) -> Layer:
    return Layer.of("product", "GEMM", {"M": m, "N": n, "K": k})


RAGGED = Trial(
    Layer.of("ragged", "CONV", {"K": 64, "C": 64, "R": 3, "S": 3, "Y": 56, "X": 56}),
    Dataflow(
        (
            *(S(21, 21, "C"), T(64, 64, "K"), T(56, 56, "Y'"), T(55, 55, "X'"), *ROWS),
            Cluster(15),
            *(T(1, 1, "Y'"), S(1, 1, "K"), T(1, 1, "C"), T(1, 1, "X'"), *ROWS),
        )
    ),
    Hardware(num_pes=30, hop_latency=1),
)
"""Tiles of 55 and 56 outputs where there are 54: the reference takes the rest for -1 and -2 outputs."""

BIG = Layer.of("big", "CONV", {"K": 8, "C": 1025, "R": 3, "S": 3, "Y": 2052, "X": 2052})
HUGE = Layer.of("huge", "CONV", {"K": 1, "C": 2**16, "R": 1, "S": 1, "Y": 256, "X": 256})

EXAMPLES: dict[str, tuple[Trial, Reason]] = {
    "nothing": (trial(*PLAIN, *ROWS), Reason(0)),
    # Judged by the figures
    "two spatial maps that share an edge": (
        trial(
            *(T(1, 1, "N"), S(2, 2, "K"), S(3, 3, "M")),
            layer=product(7, 7, 2),
            num_pes=256,
            hop_latency=3,
        ),
        FEWER,
    ),
    "overlapping tiles": (trial(T(2, 1, "C"), S(1, 1, "K"), *PLAIN[2:], *ROWS), MORE),
    "the ragged layer": (RAGGED, FEWER | BELOW),
    "tiles beyond the layer": (
        trial(
            *(S(1, 1, "C"), T(6, 2, "Y"), T(Sz("S"), 1, "X"), Cluster(1), *ROWS, S(1, 1, "X")),
            layer=Layer.of("deep", "DSCONV", {"C": 8, "R": 5, "S": 5, "Y": 14, "X": 20}),
            num_pes=1,
        ),
        BELOW,
    ),
    "no case has work": (
        trial(
            *(S(1, 1, "Y"), T(7, 7, "C"), S(11, 11, "X"), ROWS[1]),
            layer=Layer.of("deep", "DSCONV", {"C": 7, "R": 5, "S": 5, "Y": 5, "X": 20}),
            num_pes=1,
        ),
        Reason.NO_WORK | Reason.NEGATIVE | FEWER | BELOW,
    ),
    "2^32 iterations of one case": (
        trial(
            *(T(1, 1, "C"), S(1, 1, "K"), T(1, 1, "Y'"), T(1, 1, "X'"), *ROWS),
            *(Cluster(Sz("R")), S(1, 1, "Y"), S(1, 1, "R")),
            layer=BIG,
            num_pes=24,
        ),
        Reason.OVERFLOW | FEWER | BELOW,
    ),
    "buffers beyond 31 bits": (
        trial(S(1, 1, "K"), layer=HUGE),
        Reason.OVERFLOW | Reason.L1_SIZE | Reason.L2_SIZE,
    ),
    # Illegal
    "clusters of more PEs than there are": (
        trial(*PLAIN, *ROWS, Cluster(8), S(1, 1, "C")),
        Reason.ILLEGAL_CLUSTER,
    ),
    "no PEs": (trial(*PLAIN, *ROWS, num_pes=0), Reason.ILLEGAL_CLUSTER),
    "filter rows one by one": (
        trial(S(1, 1, "K"), T(1, 1, "C"), T(1, 1, "R"), T(3, 3, "S")),
        Reason.ILLEGAL_FILTER_TILE | MORE,
    ),
    "filter rows by another offset": (
        trial(S(1, 1, "K"), T(1, 1, "C"), T(3, 1, "R"), T(3, 3, "S")),
        Reason.ILLEGAL_FILTER_TILE,
    ),
    "a map of a dimension that the layer lacks": (
        trial(*PLAIN, *ROWS, T(1, 1, "G")),
        Reason.MISSING_DIMENSION,
    ),
    "a layer without channels": (
        trial(S(1, 1, "K"), layer=Layer.of("flat", "CONV", {"K": 4, "R": 3, "S": 3, "Y": 8, "X": 8})),
        Reason.MISSING_DIMENSION,
    ),
    "Sz of a dimension that the layer lacks": (
        trial(S(1, 1, "K"), T(Sz("G"), 1, "C")),
        Reason.MISSING_DIMENSION,
    ),
    "a map that dies below the top": (
        trial(*PLAIN, *ROWS, Cluster(2), S(1, 1, "N")),
        Reason.MISSING_DIMENSION,
    ),
    "no spatial map": (trial(*WITHOUT_SPATIAL), Reason.ILLEGAL_SPATIAL),
    "no spatial map below": (trial(*PLAIN, *ROWS, Cluster(2), T(1, 1, "C")), Reason.ILLEGAL_SPATIAL),
    "three spatial maps": (trial(S(1, 1, "K"), S(1, 1, "C"), S(3, 1, "Y")), Reason.ILLEGAL_SPATIAL),
    "rows mapped twice": (trial(*PLAIN, *ROWS, T(3, 1, "Y")), Reason.DUPLICATE),
    "outputs without their filter": (trial(S(1, 1, "K"), T(1, 1, "Y'"), ROWS[1]), Reason.UNDEFINED),
    "the next tile of a whole dimension": (
        trial(
            *(T(1, 1, "K"), S(8, 10, "N"), Cluster(1), T(26, 26, "N"), T(4, 4, "M"), S(42, 42, "K")),
            layer=product(5, 49, 32),
            num_pes=30,
        ),
        Reason.TERMINATES,
    ),
    "a tile of nothing": (trial(T(0, 1, "C"), *PLAIN[:1], *ROWS), Reason.NONPOSITIVE),
    "an offset of nothing": (trial(T(1, 0, "C"), *PLAIN[:1], *ROWS), Reason.NONPOSITIVE),
    "a cluster of nothing": (trial(*PLAIN, *ROWS, Cluster(0), S(1, 1, "C")), Reason.NONPOSITIVE),
    "a layer of nothing": (
        trial(S(1, 1, "K"), layer=Layer.of("none", "CONV", {"K": 0, "C": 4, "R": 3, "S": 3, "Y": 8, "X": 8})),
        Reason.NONPOSITIVE,
    ),
    "no NoC": (trial(*PLAIN, *ROWS, noc_bandwidth=0), Reason.NONPOSITIVE),
    "no memory bus": (trial(*PLAIN, *ROWS, offchip_bandwidth=0), Reason.NONPOSITIVE),
    "no lanes": (trial(*PLAIN, *ROWS, simd_lanes=0), Reason.NONPOSITIVE),
    # Beyond the limits of the hardware
    "a small L1": (trial(*PLAIN, *ROWS, l1_size=1), Reason.L1_SIZE),
    "a small L2": (trial(*PLAIN, *ROWS, l2_size=1), Reason.L2_SIZE),
    "a narrow NoC": (trial(*PLAIN, *ROWS, noc_bandwidth=1), Reason.NOC_BANDWIDTH),
    "a narrow memory bus": (trial(*PLAIN, *ROWS, offchip_bandwidth=1), Reason.OFFCHIP_BANDWIDTH),
    "everything small": (
        trial(*PLAIN, *ROWS, l1_size=1, l2_size=1, noc_bandwidth=1, offchip_bandwidth=1),
        UNFIT,
    ),
}


@pytest.fixture(scope="module")
def costs() -> dict[str, Costs]:
    found = evaluate_trials([example for example, _ in EXAMPLES.values()])
    return {name: found[i] for i, name in enumerate(EXAMPLES)}


@pytest.mark.parametrize("name", EXAMPLES)
def test_exactly_the_reasons_that_there_are(name: str, costs: dict[str, Costs]) -> None:
    _, expected = EXAMPLES[name]
    found = costs[name]
    assert Reason.decode(int(found.reasons)) == Reason.decode(int(expected))
    assert bool(found.sound) == (not expected & UNSOUND)
    assert bool(found.fits) == (not expected & (UNFIT | ILLEGAL))
    assert bool(found.valid) == (not expected)


def test_every_reason_has_an_example() -> None:
    shown = {reason for _, reasons in EXAMPLES.values() for reason in Reason if reason & reasons}
    # CAPACITY remains only where the cost function is traced (tests/equations/test_transforms.py).
    assert shown == set(Reason) - {Reason.CAPACITY}
    assert UNSOUND & UNFIT == 0
    assert ILLEGAL & UNSOUND == ILLEGAL
    assert all(reason & (UNSOUND | UNFIT) for reason in Reason)


def test_the_layer_that_searchers_exploit(costs: dict[str, Costs]) -> None:
    ragged = costs["the ragged layer"]
    assert (ragged.num_macs, ragged.layer_macs, ragged.runtime) == (49_536, 107_495_424, 993)
    assert 107_495_424 / 30 / 993 > 3_600


def test_what_overflowed_is_what_the_references_counter_makes_of_it(costs: dict[str, Costs]) -> None:
    found = costs["2^32 iterations of one case"]
    assert found.layer_macs == BIG.macs == 8 * 1025 * 9 * 2050**2
    assert 0 < found.num_macs < found.layer_macs


ILLEGAL_NAMES = [name for name, (_, reasons) in EXAMPLES.items() if reasons & ILLEGAL]
KEPT = ("num_pes", "noc_bandwidth", "simd_lanes", "layer_macs", "reasons", "sound", "fits")
"""What is known of a tuple whether it is legal or not."""


@pytest.mark.parametrize("name", ILLEGAL_NAMES)
def test_illegal_tuples_are_all_zero(name: str, costs: dict[str, Costs]) -> None:
    for field in dataclasses.fields(Costs):
        if field.name not in KEPT:
            assert not np.any(getattr(costs[name], field.name)), field.name


@law
@given(seeds, st.integers(2, 5))
def test_illegal_neighbours_change_nothing(seed: int, distance: int) -> None:
    legal = random_trials(seed, 128)
    mixed: list[Trial] = []
    places = []
    for number, each in enumerate(legal):
        if number % distance == 0:
            mixed.append(EXAMPLES[ILLEGAL_NAMES[(number // distance) % len(ILLEGAL_NAMES)]][0])
        places.append(len(mixed))
        mixed.append(each)
    alone, among = evaluate_trials(legal), evaluate_trials(mixed)
    assert not differing_fields(alone, among[np.array(places)])


@law
@given(seeds)
def test_figures_are_numbers(seed: int) -> None:
    trials = random_trials(seed, 600)
    costs = evaluate_trials(trials)
    figures = has_figures(costs)
    assert figures.sum() > 300
    for field in dataclasses.fields(Costs):
        values = np.asarray(getattr(costs, field.name)).reshape(600, -1)
        assert np.isfinite(values).all(), field.name
        if field.name not in KEPT:
            assert not values[~figures].any(), field.name
    assert (costs.runtime[costs.sound] > 0).all()
    assert np.isfinite(costs.arithmetic_intensity[costs.sound]).all()
    assert (costs.num_macs[costs.sound] == costs.layer_macs[costs.sound]).all()
    units = costs.num_pes.astype(np.int64) * costs.simd_lanes
    assert (costs.runtime * units >= costs.layer_macs)[costs.sound].all()


def test_sound_figures_are_not_negative() -> None:
    layer = Layer.of("strided", "CONV", {"K": 4, "C": 8, "R": 3, "S": 3, "Y": 148, "X": 4}, {"X": 4, "Y": 2})
    top = (T(1, 1, "Y'"), T(1, 1, "X'"), *ROWS, S(1, 1, "K"), Cluster(16), *ROWS, S(1, 1, "C"))
    costs = evaluate_trials([trial(*top, layer=layer, num_pes=100), *random_trials(0, 1000)])
    assert Reason.NEGATIVE in Reason(int(costs.reasons[0]))
    for field in dataclasses.fields(Costs):
        values = np.asarray(getattr(costs, field.name)).reshape(1001, -1)
        assert not (costs.sound & (values < 0).any(1)).any(), field.name
