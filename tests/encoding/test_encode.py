"""Encoding: tuples, products and networks become rows of tables; nothing here is compiled."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxmaestro import (
    Batch,
    Cluster,
    Dataflow,
    DescriptionError,
    Hardware,
    Layer,
    LayerType,
    MappedLayer,
    Network,
    Reason,
    SpatialMap,
    Sz,
    TemporalMap,
    encode,
    encode_network,
    encode_product,
)
from jaxmaestro.encoding import slots
from tests.equations.trials import Trial, random_trials


def convolution(name: str = "conv", kind: str = "CONV", **sizes: int) -> Layer:
    return Layer.of(name, kind, {"K": 4, "C": 3, "R": 3, "S": 3, "Y": 8, "X": 8} | sizes)


GEMM = Layer.of("gemm", "GEMM", {"M": 5, "N": 6, "K": 7})
ONE = Dataflow((SpatialMap(1, 1, "K"), TemporalMap(Sz("R"), 1, "Y")))
TWO = Dataflow((SpatialMap(1, 1, "K"), Cluster(2), TemporalMap(2, 2, "N"), SpatialMap(1, 1, "K")))
POINTS = [Hardware(num_pes=n) for n in (4, 8, 16)]


def tuples(batch: Batch) -> list[Any]:
    """What each tuple of a batch is, by value: its rows of the three tables, as hashable leaves."""
    found = []
    for layer, mapping, point in zip(batch.layer, batch.mapping, batch.accelerator, strict=True):
        rows = ((batch.layers, layer), (batch.mappings, mapping), (batch.hardware, point))
        found.append(tuple(leaf[i].tobytes() for table, i in rows for leaf in jax.tree.leaves(table)))
    return found


def parts(trials: list[Trial]) -> tuple[list[Layer], list[Dataflow], list[Hardware]]:
    return [t.layer for t in trials], [t.dataflow for t in trials], [t.hardware for t in trials]


# Tuples and products


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 5), st.integers(1, 4))
def test_a_product_is_the_explicit_list(seed: int, layers: int, flows: int, points: int) -> None:
    """The last of the three varies fastest."""
    drawn = parts(random_trials(seed, max(layers, flows, points)))
    some = drawn[0][:layers], drawn[1][:flows], drawn[2][:points]
    batch = encode_product(*some)
    assert len(batch) == layers * flows * points
    explicit = encode(*zip(*[(a, d, h) for a in some[0] for d in some[1] for h in some[2]], strict=True))
    assert (batch.levels, batch.extras) == (explicit.levels, explicit.extras)
    assert batch.variants == explicit.variants
    assert tuples(batch) == tuples(explicit)
    assert len(batch.layers.sliding) == layers
    assert len(batch.hardware.num_pes) == points


def test_the_place_of_a_tuple_in_a_product() -> None:
    layers, flows = [convolution(), GEMM], [ONE, TWO]
    batch = encode_product(layers, flows, POINTS)
    for number in range(12):
        of_pair, point = number // 3, number % 3
        assert (batch.layer[number], batch.accelerator[number]) == (of_pair // 2, point)
        one = encode([layers[of_pair // 2]], [flows[of_pair % 2]], [POINTS[point]])
        assert batch.mappings.kind[batch.mapping[number], 0].tolist() == one.mappings.kind[0, 0].tolist()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.integers(0, 19), min_size=1, max_size=40))
def test_taken_tuples_are_those_tuples(seed: int, rows: list[int]) -> None:
    batch = encode(*parts(random_trials(seed, 20)))
    taken = batch.take(np.array(rows))
    everything = tuples(batch)
    assert tuples(taken) == [everything[row] for row in rows]
    assert taken.layers is batch.layers


def test_equal_descriptions_share_a_row() -> None:
    batch = encode([convolution()] * 3 + [GEMM], [ONE] * 4, POINTS + POINTS[:1])
    assert batch.layer.tolist() == [0, 0, 0, 1]
    assert batch.mapping.tolist() == [0, 0, 0, 1]  # K is another dimension in a GEMM
    assert batch.accelerator.tolist() == [0, 1, 2, 0]
    assert len(batch.hardware.num_pes) == 3


def test_a_single_entry_is_repeated() -> None:
    layers = [convolution(), convolution(K=5), GEMM]
    assert tuples(encode(layers, [ONE], [POINTS[0]])) == tuples(encode(layers, [ONE] * 3, [POINTS[0]] * 3))
    assert len(encode([GEMM], [ONE], POINTS)) == 3


@pytest.mark.parametrize(
    ("counts", "which"), [((2, 3, 3), "layers"), ((3, 2, 3), "dataflows"), ((1, 3, 2), "hardware")]
)
def test_lists_of_different_lengths_are_refused(counts: tuple[int, int, int], which: str) -> None:
    lists = [[convolution()] * counts[0], [ONE] * counts[1], [POINTS[0]] * counts[2]]
    with pytest.raises(ValueError, match=f"^{which} has"):
        encode(*lists)  # type: ignore[arg-type]


def test_batches_are_numpy_arrays_of_32_bits() -> None:
    batch = encode(*parts(random_trials(0, 50)))
    for leaf in jax.tree.leaves(batch):
        assert isinstance(leaf, np.ndarray)
        assert leaf.dtype in (np.int32, np.uint32, np.bool_)


# Layers and dataflows


def test_outputs_become_the_inputs_that_they_need() -> None:
    by_outputs = Layer.of("conv", "CONV", {"K": 4, "C": 3, "R": 3, "S": 2, "Y'": 6, "X'": 7})
    table = encode([by_outputs], [ONE], POINTS[:1]).layers
    assert table.sizes[0, [slots.Y, slots.X]].tolist() == [8, 8]
    assert table.references[0, [slots.OUT_Y, slots.OUT_X]].tolist() == [6, 7]
    assert table.flags[0] == 0


def test_one_output_dimension_alone_has_no_stride_in_the_reference() -> None:
    layer = Layer.of("conv", "CONV", {"K": 4, "C": 3, "R": 3, "S": 2, "Y'": 6, "X": 8})
    assert encode([layer], [ONE], POINTS[:1]).layers.flags[0] == Reason.UNDEFINED


def test_unknown_dimensions_are_refused_by_name() -> None:
    with pytest.raises(DescriptionError, match="GEMM has no dimension R") as error:
        encode([Layer.of("odd", "GEMM", {"M": 1, "N": 1, "K": 1, "R": 3})], [ONE], POINTS[:1])
    assert error.value.layer == "odd"


def test_a_transposed_convolution_has_the_rows_of_a_convolution() -> None:
    two = encode([convolution(), convolution(kind="TRCONV")], [ONE], POINTS[:1])
    first, second = tuples(two)
    assert first == second


FIVE_LEVELS = (SpatialMap(1, 1, "K"),) + (Cluster(1), SpatialMap(1, 1, "K")) * 4
FLAGS: dict[str, tuple[tuple[Any, ...], Reason]] = {
    "five levels": (FIVE_LEVELS, Reason.ILLEGAL_CLUSTER),
    "four levels": (FIVE_LEVELS[:-2], Reason(0)),
    "no spatial map": ((TemporalMap(1, 1, "K"),), Reason.ILLEGAL_SPATIAL),
    "three spatial maps": (tuple(SpatialMap(1, 1, d) for d in "KCY"), Reason.ILLEGAL_SPATIAL),
    "a dimension twice": ((SpatialMap(1, 1, "K"), TemporalMap(2, 2, "K")), Reason(0)),
    "a dimension three times": ((SpatialMap(1, 1, "K"), *[TemporalMap(2, 2, "K")] * 2), Reason.DUPLICATE),
    "rows twice": ((SpatialMap(1, 1, "Y"), TemporalMap(2, 2, "Y'")), Reason.DUPLICATE),
    "an unknown dimension": ((SpatialMap(1, 1, "K"), TemporalMap(1, 1, "Q")), Reason.MISSING_DIMENSION),
    "no size": ((SpatialMap(0, 1, "K"),), Reason.NONPOSITIVE),
    "no offset": ((SpatialMap(1, -1, "K"),), Reason.NONPOSITIVE),
    "no cluster": ((SpatialMap(1, 1, "K"), Cluster(0), SpatialMap(1, 1, "C")), Reason.NONPOSITIVE),
}


@pytest.mark.parametrize("name", FLAGS)
def test_what_is_wrong_with_a_dataflow_by_itself(name: str) -> None:
    directives, expected = FLAGS[name]
    batch = encode([convolution()], [Dataflow(directives)], POINTS[:1])
    assert Reason.decode(int(batch.mappings.flags[0])) == Reason.decode(int(expected))


def test_the_first_of_two_directives_over_a_dimension_is_kept_apart() -> None:
    batch = encode([convolution()], [Dataflow((SpatialMap(1, 1, "K"), TemporalMap(2, 3, "K")))], POINTS[:1])
    assert batch.extras
    assert batch.mappings.extra[0, 0].tolist() == [slots.K, 2, 1, -1, 1, -1, 0]
    at = (0, 0, slots.K)
    table = batch.mappings
    assert (table.kind[at], table.size[at], table.offset[at], table.position[at]) == (1, 2, 3, 1)


def test_hardware_is_innermost_level_first_and_repeats_the_last() -> None:
    point = Hardware(num_pes=4, noc_bandwidth=(8, 4), noc_hops=(1, 2, 3), hop_latency=2, l1_size=2**31 - 1)
    table = encode([GEMM], [ONE], [point]).hardware
    assert table.noc_bandwidth[0].tolist() == [8, 4, 4, 4]
    assert table.noc_latency[0].tolist() == [2, 4, 6, 6]
    assert table.l1_size[0] == 2**31 - 1


# Networks


def mapped(*layers: tuple[Layer, Dataflow | None]) -> Network:
    return Network("net", tuple(MappedLayer(layer, flow) for layer, flow in layers))


def test_a_network_is_each_layer_on_every_accelerator() -> None:
    network = mapped((convolution("a"), ONE), (GEMM, TWO), (convolution("b", K=9), ONE))
    batch = encode_network(network, POINTS)
    explicit = encode(
        [m.layer for m in network for _ in POINTS],
        [m.dataflow for m in network for _ in POINTS if m.dataflow],
        POINTS * 3,
    )
    assert tuples(batch) == tuples(explicit)


def test_a_layer_without_a_dataflow_takes_the_one_before() -> None:
    network = mapped((convolution("a"), TWO), (convolution("b", K=9), None), (convolution("c"), ONE))
    filled = mapped((convolution("a"), TWO), (convolution("b", K=9), TWO), (convolution("c"), ONE))
    assert tuples(encode_network(network, POINTS)) == tuples(encode_network(filled, POINTS))
    with pytest.raises(DescriptionError, match="no dataflow") as error:
        encode_network(mapped((convolution("a"), None), (convolution("b"), ONE)), POINTS)
    assert error.value.layer == "a"


@pytest.mark.parametrize("kind", [LayerType.CONV, LayerType.TRCONV])
def test_the_first_layer_of_a_type_decides_whether_there_is_a_batch(kind: LayerType) -> None:
    """A transposed convolution is a convolution here; a depth-wise one is a type of its own."""
    plain, batched = convolution("a"), convolution("b", kind.value, N=2)
    deep = convolution("c", "DSCONV", N=2)

    def has_batch(*layers: Layer) -> list[bool]:
        batch = encode_network(Network.of("net", layers, ONE), POINTS[:1])
        return [bool(batch.layers.coupled[row, slots.INPUT, slots.N]) for row in batch.layer]

    assert has_batch(plain, batched, deep) == [False, False, True]
    assert has_batch(batched, plain, deep) == [True, True, True]
    assert has_batch(batched) == [True]


def test_names_and_lines_do_not_make_other_tables() -> None:
    there = dataclasses.replace(convolution("a"), line=7)
    assert tuples(encode([there], [ONE], POINTS[:1])) == tuples(encode([convolution("b")], [ONE], POINTS[:1]))
