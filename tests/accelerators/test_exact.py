"""What is said to be exact, against trying everything: composed buffers, packings, pipelines."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from jaxmaestro.accelerators import (
    EDGE,
    Budget,
    DesignSpace,
    Pipeline,
    assign,
    genetic_packing,
    mapped,
    options_of,
    pack,
    random_packing,
)
from jaxmaestro.accelerators.compose import Archive, compose
from jaxmaestro.description import DescriptionError, Hardware, Layer

POINT = Hardware(num_pes=4, l1_size=0, l2_size=0)


@pytest.mark.parametrize("goal", ["latency", "energy", "edp"])
@pytest.mark.parametrize("sizes", [(), (20, 45)])
def test_composed_buffers_are_the_best(goal: str, sizes: tuple[int, ...]) -> None:
    draws = np.random.default_rng(3)
    space = DesignSpace((4,), (1,), (1,), l1_sizes=sizes)
    found = 0
    for _ in range(60):
        u, e, memory = 3, 5, 300
        figures = np.concatenate(
            [
                draws.integers(1, 60, (u, e, 2)),
                draws.integers(6, 60, (u, e, 1)),
                draws.integers(6, 260, (u, e, 1)),
            ],
            -1,
        ).astype(np.float64)
        figures[draws.random((u, e)) < 0.2] = np.inf
        repeats = draws.integers(1, 4, u).astype(np.float64)
        best = np.inf
        for place in itertools.product(range(e), repeat=u):
            taken = figures[np.arange(u), place]
            if not np.isfinite(taken).all():
                continue
            l1 = min((s for s in sizes if s >= taken[:, 2].max()), default=taken[:, 2].max())
            if sizes and l1 not in sizes:
                continue
            if 4 * l1 + taken[:, 3].max() <= memory:
                latency, energy = repeats @ taken[:, :2]
                best = min(best, {"latency": latency, "energy": energy, "edp": latency * energy}[goal])
        choice = compose(Archive.of(POINT, figures, memory), repeats, memory, space, goal)
        if choice is None:
            assert not np.isfinite(best)
            continue
        found += 1
        assert choice.value(goal) == pytest.approx(best, rel=1e-12)
        assert 4 * choice.hardware.l1_size + choice.hardware.l2_size <= memory
    assert found > 20


def test_packings_are_the_best() -> None:
    draws = np.random.default_rng(0)
    packed = 0
    for trial in range(120):
        n, m = draws.integers(1, 6), draws.integers(1, 7)
        cost = draws.integers(1, 40, (n, m)).astype(float) if trial % 2 else draws.random((n, m))
        weight = draws.random((n, m)) if trial % 3 else draws.integers(1, 9, (n, m)).astype(float)
        cost[draws.random((n, m)) < 0.1] = np.inf
        limit = weight.min(1).sum() + draws.random() * (weight.max(1) - weight.min(1)).sum()
        every = itertools.product(range(m), repeat=n)
        rows = np.arange(n)
        fitting = (cost[rows, c].sum() for c in every if weight[rows, c].sum() <= limit)
        best = min(fitting, default=np.inf)
        if not np.isfinite(best):
            with pytest.raises(DescriptionError, match="the least that the layers can do with"):
                pack(cost, weight, limit)
            continue
        packed += 1
        found = pack(cost, weight, limit)
        assert found.proven and found.weight <= limit
        assert found.cost == pytest.approx(best, rel=1e-12)
        assert found.cost == pytest.approx(cost[rows, found.choice].sum(), rel=1e-12)
    assert packed > 80


def test_packings_with_little_room_have_a_bound() -> None:
    draws = np.random.default_rng(1)
    weight = draws.random((14, 12))
    # As cost falls with weight, nearly everything is undominated.
    cost = 1 / (0.05 + weight) + 0.01 * draws.random((14, 12))
    limit = 0.4 * weight.max(1).sum()
    exact, narrow = pack(cost, weight, limit), pack(cost, weight, limit, most=3)
    assert exact.proven
    assert narrow.bound <= exact.cost * (1 + 1e-12) <= narrow.cost * (1 + 2e-12)
    for other in (
        random_packing(cost, weight, limit, 2000, 0),
        genetic_packing(cost, weight, limit, 2000, 0),
    ):
        assert other is None or (other.cost >= exact.cost * (1 - 1e-12) and other.weight <= limit)


def test_genetic_packing_is_no_straw_man() -> None:
    """It comes near the optimum, where most options have no cost and many draws are beyond the limit."""
    draws = np.random.default_rng(4)
    weight = draws.random((20, 140)) * 1e5
    cost = 1e6 / (0.05 + weight / 1e5) + draws.random((20, 140))
    cost[draws.random(cost.shape) < 0.6] = np.inf
    limit = 0.3 * weight.max(1).sum()
    exact, other = pack(cost, weight, limit), genetic_packing(cost, weight, limit, 10_000, 0)
    assert exact is not None and other is not None
    assert exact.cost <= other.cost <= 1.2 * exact.cost and other.weight <= limit


LAYERS = (
    Layer.of("conv", "CONV", {"K": 8, "C": 6, "Y": 12, "X": 12, "R": 3, "S": 3}),
    Layer.of("depthwise", "DSCONV", {"C": 12, "Y": 10, "X": 10, "R": 3, "S": 3}),
    Layer.of("gemm", "GEMM", {"M": 12, "N": 10, "K": 16}),
)


@pytest.mark.parametrize("style", ["nvdla", "shidiannao", "eyeriss"])
@pytest.mark.parametrize("limited", ["area", "power"])
def test_pipelines_are_the_best(style: str, limited: str) -> None:
    pipeline = Pipeline(
        LAYERS, EDGE, style=style, share=0.4, limited=limited, num_pes=(1, 2, 4, 12), levels=(1, 2, 3)
    )
    options = options_of(pipeline)
    found = assign(pipeline, options)
    every = np.array(list(itertools.product(range(12), repeat=3)))
    rows = np.arange(3)
    cost, weight = options.cost[rows, every].sum(1), options.weight[rows, every].sum(1)
    assert found.packing.proven
    assert found.packing.cost == pytest.approx(cost[weight <= found.limit].min(), rel=1e-12)
    assert found.packing.weight <= found.limit == pytest.approx(0.4 * options.largest)
    assert [pair.layer.name for pair in mapped(pipeline, found)] == [layer.name for layer in LAYERS]


def test_pipelines_that_cannot_be() -> None:
    with pytest.raises(DescriptionError, match="the least that the layers can do with"):
        assign(Pipeline(LAYERS, Budget(area=1e-4), num_pes=(1, 2), levels=(1,)))
    for wrong in ({"style": "tpu"}, {"share": 0.0}, {"goal": "edp"}, {"limited": "power"}):
        with pytest.raises(DescriptionError):
            Pipeline(LAYERS, EDGE, **wrong)  # type: ignore[arg-type]
