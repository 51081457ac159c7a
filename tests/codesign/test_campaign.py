"""Campaigns: tuples without repeats, exact totals, points without figures."""

from __future__ import annotations

import numpy as np
import pytest

import jaxmaestro as jm
from jaxmaestro.codesign import Points, evaluate_tuples, join, plan, run_campaign
from jaxmaestro.codesign.campaign import NEVER, exact_product
from jaxmaestro.description import DescriptionError, Hardware, Layer, Network
from jaxmaestro.equations.pricing import area_of
from jaxmaestro.spaces import DATAFLOWS, Workloads, seed_dataflow
from tests.codesign.problems import conv

HARDWARE = (
    Hardware(256, 100, 3000, 1000, 1, 1, 50, name="a"),
    Hardware(32, 100, 3000, 500, 1, 1, 250, name="b"),
)
LAYERS = (conv(24, 14), conv(8, 28, filters=3), conv(1, 14, kind="DSCONV", filters=3), conv(40, 1))
COUNTS = np.array([[1, 2, 0, 3], [0, 0, 2, 1], [0, 0, 5, 0]], np.int32)


def points() -> Points:
    return Points(DATAFLOWS, HARDWARE)


def test_depthwise_layers_are_evaluated_once_for_all_dataflows() -> None:
    todo = plan(LAYERS, points())
    assert len(todo.pairs) == 3 * 3 + 1 and len(todo) == 10 * 2
    assert len(set(todo.pair[2])) == 1 and len(set(todo.pair[0])) == 3
    for row, layer in enumerate(LAYERS):
        for column, name in enumerate(DATAFLOWS):
            assert todo.pairs[todo.pair[row, column]] == (layer, seed_dataflow(name, layer))


def test_equal_shapes_under_other_names_are_one() -> None:
    twin = Layer.of("another name", "CONV", dict(LAYERS[0].dimensions))
    assert len(plan([LAYERS[0], twin], points()).pairs) == 3


def test_totals_are_those_of_whole_networks() -> None:
    campaign = run_campaign(Workloads(LAYERS, COUNTS), points())
    for i, counts in enumerate(COUNTS):
        for p, name in enumerate(campaign.points.names):
            flow, machine = name.split("/")
            hardware = HARDWARE[0] if machine == "a" else HARDWARE[1]
            mapped = [
                jm.MappedLayer(layer, seed_dataflow(flow, layer))
                for layer, times in zip(LAYERS, counts, strict=True)
                for _ in range(times)
            ]
            costs = jm.evaluate(Network("one", tuple(mapped)), hardware).costs
            if flow == "KC-P" and machine == "b" and i < 2:  # clusters of 64 on 32 PEs
                assert not campaign.legal[i, p]
                assert campaign.latency[i, p] == NEVER and np.isinf(campaign.energy[i, p])
            else:
                assert campaign.latency[i, p] == int(np.sum(costs.runtime)) > 0
                assert campaign.energy[i, p] == pytest.approx(float(np.sum(costs.energy)), rel=1e-13)
    assert campaign.live.tolist() == [True, False, True, True, True, True]
    assert campaign.legal[2].all()  # depthwise layers alone run on any
    assert campaign.layer_evaluations == COUNTS.sum() * 6


def test_ranges_of_pairs_join_to_the_whole() -> None:
    todo = plan(LAYERS, points())
    whole = evaluate_tuples(todo)
    parts = join([evaluate_tuples(todo, start, start + 3) for start in range(0, 10, 3)])
    for field in ("runtime", "energy", "legal", "sound"):
        assert np.array_equal(getattr(whole, field), getattr(parts, field)), field


def test_sums_beyond_the_integers_of_float64_are_exact() -> None:
    rng = np.random.default_rng(3)
    counts = rng.integers(0, 50, (20, 30)).astype(np.int32)
    runtime = rng.integers(2**50, 2**52, (30, 4))
    found = exact_product(counts, runtime)
    expected = [
        [sum(int(c) * int(t) for c, t in zip(row, runtime[:, p], strict=True)) for p in range(4)]
        for row in counts
    ]
    assert found.dtype == np.int64 and found.tolist() == expected
    assert (found > 2**53).any()
    assert (found != (counts.astype(float) @ runtime.astype(float)).astype(np.int64)).any()
    small = runtime >> 30
    assert exact_product(counts, small).tolist() == (counts.astype(object) @ small.astype(object)).tolist()


def test_sums_beyond_64_bits_are_refused() -> None:
    with pytest.raises(OverflowError, match="64 bits"):
        exact_product(np.array([[2, 2]], np.int32), np.full((2, 1), 2**61))


def test_area_is_that_of_the_accelerator() -> None:
    expected = [
        float(area_of(*map(np.float32, (h.num_pes, 1, h.noc_bandwidth, 100, 3000)))) for h in HARDWARE
    ]
    assert points().area == pytest.approx(expected * 3, rel=1e-5)


def test_what_is_no_campaign_is_refused() -> None:
    with pytest.raises(DescriptionError, match="no dataflows"):
        Points((), HARDWARE)
    with pytest.raises(DescriptionError, match="two accelerators have one name"):
        Points(DATAFLOWS, (HARDWARE[0], HARDWARE[0]))
    with pytest.raises(DescriptionError, match="without layers"):
        plan([], points())
    with pytest.raises(DescriptionError, match="no point 'KC-P/z'"):
        points().index("KC-P/z")
