"""How a product is cut: nothing twice, nothing left out, nothing long."""

from __future__ import annotations

import math

import jax
import numpy as np
import pytest

from jaxmaestro import Batch, Hardware, Layer, encode_product
from jaxmaestro.streaming.axes import Axis
from jaxmaestro.streaming.plan import Plan, spans
from tests.streaming.stand_in import DIFFERENT, FLOWS, LAYERS, POINTS, PRODUCT, Lists

SIZES = [1, 2, 3, 5, 8, 12, 17, 1000]


def rows(batch: Batch) -> list[bytes]:
    """What each tuple of a batch is, by value."""
    pairs = [
        (batch.layers, batch.layer),
        (batch.mappings, batch.mapping),
        (batch.hardware, batch.accelerator),
    ]
    leaves = [np.asarray(leaf)[index] for table, index in pairs for leaf in jax.tree.leaves(table)]
    return [b"".join(leaf[i].tobytes() for leaf in leaves) for i in range(len(batch))]


def test_equal_entries_are_found_whatever_they_are_called() -> None:
    plan = Plan.of(LAYERS, FLOWS, POINTS, 10)
    assert [axis.number.tolist() for axis in plan.axes] == [[0, 1, 2, 0, 2], [0, 1, 0], [0, 1, 0, 2]]
    assert [axis.first.tolist() for axis in plan.axes] == [[0, 1, 2], [0, 1], [0, 1, 3]]
    assert (plan.tuples, plan.distinct) == (5 * 3 * 4, 3 * 2 * 3)


def test_equal_means_all_tables() -> None:
    a, b = np.array([1, 1, 2, 1]), np.array([[0, 0], [0, 1], [0, 0], [0, 0]])
    axis = Axis.of({"a": a}, [b])
    assert axis.number.tolist() == [0, 1, 2, 0]
    assert axis.copies(0, 1).tolist() == [0, 3]
    assert axis.copies(1, 3).tolist() == [1, 2]
    assert axis.digest != Axis.of({"a": a[::-1]}, [b]).digest


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("lists", [PRODUCT, DIFFERENT], ids=["equal", "different"])
def test_chunks_are_the_product(lists: Lists, size: int) -> None:
    plan = Plan.of(*lists, size)
    product = rows(encode_product(*lists))
    seen: list[int] = []
    evaluated = []
    numbers = []
    for box, chunks in plan.work():
        batch = plan.batch(box)
        assert len(batch) == len(box) <= size
        here = rows(batch)
        evaluated += here
        for chunk in chunks:
            assert 0 < len(chunk) <= size
            index = chunk.index()
            assert (np.diff(index) > 0).all()
            layer, flow, point = chunk.entries()
            assert {layer.dtype, flow.dtype, point.dtype} == {np.dtype(np.int32)}
            flows, points = len(lists[1]), len(lists[2])
            np.testing.assert_array_equal((layer * flows + flow) * points + point, index)
            # Costs that are positions in the box say which tuple each row of the chunk is given.
            picked = chunk.pick(np.arange(len(box)))  # type: ignore[arg-type]
            assert [here[i] for i in picked] == [product[i] for i in index]  # type: ignore[attr-defined]
            seen += index.tolist()
            numbers.append(chunk.number)
    assert sorted(seen) == list(range(len(product)))
    assert len(evaluated) == len(set(evaluated)) == len(set(product))
    assert numbers == list(range(len(numbers)))
    if plan.distinct == plan.tuples:
        assert seen == sorted(seen)


@pytest.mark.parametrize("size", SIZES)
def test_chunks_are_whole_hardware_rows_where_those_fit(size: int) -> None:
    plan = Plan.of(*DIFFERENT, size)
    points = len(DIFFERENT[2])
    for box in plan.boxes():
        layers, flows, row = box.shape
        if size >= points:
            assert row == points
        else:
            assert layers == flows == 1


def test_mappings_of_gemms_are_encoded_where_there_are_gemms() -> None:
    assert Plan.of(LAYERS[:1], FLOWS[:2], POINTS, 10).tables.mappings.gemm.tolist() == [False, False]
    assert Plan.of(LAYERS[1:2], FLOWS[:2], POINTS, 10).tables.mappings.gemm.tolist() == [True, True]
    both = Plan.of(LAYERS[:2], FLOWS[:2], POINTS, 10).tables.mappings.gemm.tolist()
    assert both == [False, False, True, True]


def test_a_billion_tuples_are_not_built() -> None:
    layers = [Layer.of(f"l{i}", "GEMM", {"M": i + 1, "N": 2, "K": 3}) for i in range(1000)]
    points = [Hardware(num_pes=i % 100 + 1, simd_lanes=i // 100 + 1) for i in range(5000)]
    flows = [FLOWS[1]] * 200
    plan = Plan.of(layers, flows, points, 262_144)
    assert plan.tuples == 10**9
    box, chunks = next(plan.work())
    held = [array for chunk in chunks for array in chunk.copies]
    assert max(map(len, held)) <= 5000
    assert len(box) <= 262_144
    assert sum(map(len, chunks)) == len(box) * 200
    assert plan.batch(box).layer.nbytes <= 4 * 262_144


def test_spans_are_few_and_nearly_equal() -> None:
    for total in range(1, 30):
        for size in range(1, 12):
            found = list(spans(total, size))
            lengths = [stop - start for start, stop in found]
            assert len(found) == math.ceil(total / size)
            assert max(lengths) <= size
            assert max(lengths) - min(lengths) <= 1
            assert [i for start, stop in found for i in range(start, stop)] == list(range(total))
