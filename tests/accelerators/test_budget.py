"""Budgets: what they leave for buffers, to the byte; rooflines by hand; spaces without a point."""

from __future__ import annotations

import numpy as np
import pytest

from jaxmaestro import encode, evaluate_batch
from jaxmaestro.accelerators import (
    EDGE,
    Budget,
    DesignSpace,
    digamma_area,
    reference_area,
    reference_power,
    roofline,
)
from jaxmaestro.accelerators.roofline import elements
from jaxmaestro.description import DescriptionError, Hardware, Layer
from jaxmaestro.formats import parse_dataflow

POINT = Hardware(num_pes=256, l1_size=0, l2_size=0, noc_bandwidth=16, hop_latency=1, offchip_bandwidth=16)


def test_digamma_counts_bits() -> None:
    sized = POINT.replace(l1_size=100, l2_size=5000)
    assert digamma_area(sized) == pytest.approx(256 * 282 + (256 * 100 + 5000) * 8 * 0.086)
    assert EDGE.area_of(sized) == pytest.approx(digamma_area(sized) / 1e6)


def test_reference_is_what_the_cost_model_prices() -> None:
    layer = Layer.of("conv", "CONV", {"K": 8, "C": 8, "Y": 10, "X": 10, "R": 3, "S": 3})
    flow = parse_dataflow("Dataflow { SpatialMap(1,1) K; TemporalMap(1,1) C; TemporalMap(3,1) Y; }")
    costs = evaluate_batch(encode([layer], [flow], [POINT]))
    sized = POINT.replace(l1_size=int(costs.l1_size[0]), l2_size=int(costs.l2_size[0]))
    assert reference_area(sized) == pytest.approx(float(costs.area[0]), rel=1e-12)
    assert reference_power(sized) == pytest.approx(float(costs.power[0]), rel=1e-12)


@pytest.mark.parametrize(
    "budget",
    [EDGE, Budget(area=41.0, model="reference"), Budget(power=600.0), Budget(area=0.2, power=900.0)],
    ids=str,
)
def test_memory_is_all_that_is_left(budget: Budget) -> None:
    left = budget.memory(POINT)
    for l1 in (1, 17, left // 512):
        filled = POINT.replace(l1_size=l1, l2_size=left - 256 * l1)
        assert budget.keeps(filled)
        assert not budget.keeps(filled.replace(l2_size=filled.l2_size + 2))


def test_no_room() -> None:
    assert EDGE.memory(POINT.replace(num_pes=709)) < 709
    with pytest.raises(DescriptionError, match=r"the smallest, 1,?000 PEs, takes 0\.28"):
        DesignSpace((1000, 2000), (16,), (16,)).points(EDGE)
    with pytest.raises(DescriptionError, match=r"of 100 mW: the smallest, 1,?000 PEs, takes \d{4,}\S* mW;"):
        DesignSpace((2000, 1000), (16,), (16,)).points(Budget(power=100.0))
    with pytest.raises(DescriptionError, match="num_pes of the accelerators"):
        DesignSpace((), (16,), (16,))
    for wrong in ({}, {"area": -1.0}, {"area": 1.0, "model": "cacti"}, {"power": float("nan")}):
        with pytest.raises(DescriptionError):
            Budget(**wrong)  # type: ignore[arg-type]


def test_buffers_from_a_list() -> None:
    space = DesignSpace((256,), (16,), (16,), l1_sizes=(64, 128), l2_sizes=(1024, 65536))
    assert space.sized(POINT, 65, 10) == POINT.replace(l1_size=128, l2_size=1024)
    assert space.largest_l2(np.array([1023, 1024, 70000])).tolist() == [-1, 1024, 65536]


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (
            Layer.of("c", "CONV", {"K": 4, "C": 3, "Y": 7, "X": 9, "R": 3, "S": 3}),
            (189, 108, 4 * 5 * 7),
        ),
        (
            Layer.of("s", "CONV", {"K": 4, "C": 3, "Y": 7, "X": 7, "R": 1, "S": 1}, {"Y": 2, "X": 2}),
            (3 * 16, 12, 4 * 16),
        ),
        (Layer.of("d", "DSCONV", {"C": 5, "Y": 8, "X": 8, "R": 3, "S": 3}), (320, 45, 5 * 36)),
        (Layer.of("g", "GEMM", {"M": 2, "N": 3, "K": 5}), (10, 15, 6)),
    ],
)
def test_roofline(layer: Layer, expected: tuple[int, int, int]) -> None:
    assert elements(layer) == expected
    traffic = max(expected[0] + expected[1], expected[2])
    assert roofline(layer, Hardware(num_pes=10**9, offchip_bandwidth=1)) == traffic
    assert roofline(layer, Hardware(num_pes=7, offchip_bandwidth=10**9)) == max(layer.macs / 7, 1)
