"""Accelerators, the selection of models, the seed's dataflows."""

from __future__ import annotations

import numpy as np
import pytest

from jaxmaestro.description import DescriptionError, Hardware, Layer
from jaxmaestro.formats import parse_dataflow
from jaxmaestro.spaces import (
    HARDWARE_SPACE,
    HardwareSpace,
    above_line,
    fork_points,
    fork_select,
    pareto_front,
    seed_dataflow,
    seeded_points,
    select_models,
)


def key(hardware: Hardware) -> tuple[int, object, int]:
    return hardware.num_pes, hardware.noc_bandwidth, hardware.offchip_bandwidth


def test_fork_points() -> None:
    points = fork_points()
    numbers = [int(point.name.removeprefix("accelerator_")) for point in points]
    assert numbers == [n for n in range(1, 52) if n != 11]
    # Sums over the seed's 50 files.
    assert np.sum([key(point) for point in points], 0).tolist() == [8096, 33200, 12350]
    assert len({key(point) for point in points}) == 50
    assert points[0] == Hardware(256, 100, 3000, 1000, 1, 1, 50)
    assert key(points[10]) == (256, 800, 350) and points[10].name == "accelerator_12"
    low, high = sum(p.num_pes < 64 for p in points), sum(p.num_pes >= 64 for p in points)
    assert (low, high) == (18, 32)


def test_seeded_points() -> None:
    points = seeded_points()
    assert len({key(point) for point in points}) == len(points) == 51
    assert [point.name for point in points] == [f"accelerator_{n}" for n in range(1, 52)]
    space = HARDWARE_SPACE
    for point in points:
        assert point.num_pes in space.num_pes and point.noc_bandwidth in space.noc_bandwidth
        assert point.offchip_bandwidth in space.offchip_bandwidth
        assert (point.l1_size, point.l2_size, point.noc_latencies[0]) == (100, 3000, 1)
    # The preset must not change from one version to another.
    assert [key(point) for point in points[:3]] == [(128, 900, 275), (128, 600, 300), (64, 1000, 350)]
    assert np.sum([key(point) for point in points], 0).tolist() == [7952, 35300, 12375]


def test_whole_hardware_space() -> None:
    points = HARDWARE_SPACE.sample(1, 432)
    assert len({key(point) for point in points}) == len(HARDWARE_SPACE) == 432
    assert HARDWARE_SPACE.sample(1, 5) != HARDWARE_SPACE.sample(2, 5)
    with pytest.raises(DescriptionError, match="433 accelerators are asked for; ask for 1 to 432"):
        HARDWARE_SPACE.sample(1, 433)
    with pytest.raises(DescriptionError, match="0 accelerators"):
        HardwareSpace(num_pes=(8,)).sample(0, 0)


def test_pareto_front_by_hand() -> None:
    accuracy = np.array([70.0, 71.0, 71.0, 69.0, 72.0, 70.0])
    flops = np.array([2.0, 3.0, 4.0, 2.5, 9.0, 2.0])
    # 2 and 3 are beaten; of the equal rows 0 and 5 the first stands for both.
    assert pareto_front(accuracy, flops).tolist() == [0, 1, 4]
    assert above_line(np.array([0.0, 3.0, 2.0]), np.array([0.0, 1.0, 2.0])).tolist() == [1]


def test_select_models() -> None:
    rng = np.random.default_rng(0)
    flops = rng.uniform(200, 1100, 3_000)
    accuracy = 66 + np.log(flops) + rng.normal(0, 0.2, 3_000)
    front, pool = pareto_front(accuracy, flops), above_line(accuracy, flops)
    for select in (select_models, fork_select):
        chosen = select(accuracy, flops, 100, 3)
        drawn = np.setdiff1d(chosen, front)
        assert np.array_equal(chosen, np.unique(chosen)) and np.isin(front, chosen).all()
        assert np.isin(drawn, pool).all() and 100 - len(front) <= len(drawn) <= 100
        assert np.array_equal(chosen, select(accuracy, flops, 100, 3))
        assert not np.array_equal(chosen, select(accuracy, flops, 100, 4))
    assert np.array_equal(select_models(accuracy, flops, 10_000), np.union1d(pool, front))
    with pytest.raises(DescriptionError, match="10000 models are asked for of"):
        fork_select(accuracy, flops, 10_000)
    with pytest.raises(DescriptionError, match="not finite"):
        select_models([1.0, float("nan")], [1.0, 2.0])
    with pytest.raises(DescriptionError, match=r"shapes \(2,\) and \(3,\)"):
        pareto_front([1.0, 2.0], [1.0, 2.0, 3.0])


CONV = Layer.of("c", "CONV", {"K": 4, "C": 4, "R": 3, "S": 3, "Y": 8, "X": 8})
DEEP = Layer.of("d", "DSCONV", {"K": 1, "C": 4, "R": 3, "S": 3, "Y": 8, "X": 8})

SEED_TEXTS = {
    "KC-P": (
        "SpatialMap(1,1) K; TemporalMap(64,64) C; TemporalMap(Sz(R),Sz(R)) R; TemporalMap(Sz(S),Sz(S)) S;"
        "TemporalMap(Sz(R),1) Y; TemporalMap(Sz(S),1) X; Cluster(64,P); SpatialMap(1,1) C;"
        "TemporalMap(Sz(R),1) Y; TemporalMap(Sz(S),1) X; TemporalMap(Sz(R),Sz(R)) R;"
        "TemporalMap(Sz(S),Sz(S)) S;"
    ),
    "YR-P": (
        "SpatialMap(1,1) Y'; TemporalMap(1,1) X'; TemporalMap(1,1) C; TemporalMap(16,16) K;"
        "TemporalMap(Sz(R),Sz(R)) R; TemporalMap(Sz(S),Sz(S)) S; Cluster(Sz(R),P); SpatialMap(1,1) Y;"
        "SpatialMap(1,1) R; TemporalMap(Sz(S),Sz(S)) S;"
    ),
    "X-P": (
        "TemporalMap(1,1) K; TemporalMap(1,1) C; TemporalMap(Sz(R),1) Y; SpatialMap(Sz(S),1) X;"
        "TemporalMap(Sz(R),Sz(R)) R; TemporalMap(Sz(S),Sz(S)) S;"
    ),
}
SEED_DEPTHWISE = (
    "SpatialMap(1,1) C; TemporalMap(Sz(R),1) Y; TemporalMap(Sz(S),1) X; TemporalMap(Sz(R),Sz(R)) R;"
    "TemporalMap(Sz(S),Sz(S)) S;"
)


@pytest.mark.parametrize("name", sorted(SEED_TEXTS))
def test_seed_dataflow(name: str) -> None:
    assert seed_dataflow(name, CONV) == parse_dataflow(f"Dataflow {{ {SEED_TEXTS[name]} }}")
    assert seed_dataflow(name, DEEP) == parse_dataflow(f"Dataflow {{ {SEED_DEPTHWISE} }}")
    assert seed_dataflow(name, CONV).name == name


def test_refused_dataflows() -> None:
    with pytest.raises(DescriptionError, match="'YK-P' is no dataflow of the seed; give KC-P, YR-P, X-P"):
        seed_dataflow("YK-P", CONV)
    with pytest.raises(DescriptionError, match="layer g: the seed has no dataflow for a GEMM"):
        seed_dataflow("X-P", Layer.of("g", "GEMM", {"M": 1, "N": 1, "K": 1}))
