"""Descriptions made in Python: what has the wrong type or range is refused by name, where it is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from jaxmaestro import (
    Cluster,
    Dataflow,
    DescriptionError,
    Hardware,
    Layer,
    LayerType,
    MappedLayer,
    Network,
    SpatialMap,
    Sz,
    TemporalMap,
)
from jaxmaestro.description import UNLIMITED
from jaxmaestro.description.network import batched_tensors

SIZES = {"K": 8, "C": 4, "R": 3, "S": 3, "Y": 11, "X": 11}
LAYER = Layer.of("conv", "CONV", SIZES)
FLOW = Dataflow((SpatialMap(1, 1, "K"),))
TOO_LARGE = "2147483648, which is too large; numbers go up to 2147483647"


def layer(dimension: str = "K", size: Any = 8, **fields: Any) -> Layer:
    return Layer(**{"name": "a", "type": LayerType.CONV, "dimensions": ((dimension, size),)} | fields)


def strided(*strides: Any) -> Layer:
    return layer(strides=strides)


ANY: Any = None  # what follows hands over values that the annotations forbid
REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    # Layers
    "size as text": (
        lambda: layer(size="8"),
        "layer a: dimension K is '8', which is no integer; give an integer",
    ),
    "size as float": (
        lambda: layer(size=8.0),
        "layer a: dimension K is 8.0, which is no integer; give an integer",
    ),
    "size as bool": (lambda: layer(size=True), "layer a: dimension K is True, which is no integer"),
    "size as NumPy bool": (lambda: layer(size=np.bool_(1)), "layer a: dimension K is "),
    "size as NumPy float": (lambda: layer(size=np.float32(8)), "layer a: dimension K is "),
    "size as array": (lambda: layer(size=np.arange(2)), "layer a: dimension K is array([0, 1]), which is no"),
    "no size": (lambda: layer(size=None), "layer a: dimension K is None, which is no integer"),
    "size beyond 32 bits": (lambda: layer(size=2**31), f"layer a: dimension K is {TOO_LARGE}"),
    "size of many digits": (
        lambda: layer(size=10**5000),
        "layer a: dimension K is too large; numbers go up to",
    ),
    "size of minus many digits": (lambda: layer(size=-(10**5000)), "layer a: dimension K is far below zero"),
    "dimension name": (lambda: layer(3), "layer a: the name of a dimension is 3, which is no str"),
    "dimensions as text": (
        lambda: layer(dimensions="K8"),
        "layer a: dimensions of a Layer is 'K8', which is no sequence; give pairs",
    ),
    "dimensions as number": (lambda: layer(dimensions=8), "layer a: dimensions of a Layer is 8, which is no"),
    "dimensions as array": (
        lambda: layer(dimensions=np.array(8)),
        "dimensions of a Layer is array(8), which is",
    ),
    "dimensions as set": (
        lambda: layer(dimensions={("K", 8)}),
        "dimensions of a Layer is {('K', 8)}, which is",
    ),
    "dimension without size": (
        lambda: layer(dimensions=("K", 8)),
        "layer a: dimensions of a Layer hold 'K', which is no pair; give pairs such as (\"K\", 64), or",
    ),
    "layer name": (lambda: layer(name=1), "the name of a Layer is 1, which is no str; give a str"),
    "layer line": (lambda: layer(line="3"), "the line of a Layer is '3', which is no integer"),
    "layer type": (
        lambda: layer(type="conv"),
        "layer a: the type of a Layer is 'conv', which is no layer type; "
        "types are CONV, DSCONV, NGCONV, TRCONV, GEMM",
    ),
    "layer type as number": (
        lambda: layer(type=[3]),
        "layer a: the type of a Layer is [3], which is no layer",
    ),
    "layer type of Layer.of": (lambda: Layer.of("a", "FC", SIZES), "the type of a Layer is 'FC'"),
    "sizes of Layer.of": (lambda: Layer.of("a", "CONV", SIZES | {"K": ANY}), "layer a: dimension K is None"),
    "stride zero": (lambda: strided(("Y", 0)), "layer a: the stride of Y is 0; it must be at least 1"),
    "stride negative": (
        lambda: strided(("X'", -2)),
        "layer a: the stride of X' is -2; it must be at least 1",
    ),
    "stride without effect": (lambda: strided(("K", 0)), "layer a: the stride of K is 0; it must be"),
    "stride as float": (lambda: strided(("Y", 2.0)), "layer a: the stride of Y is 2.0, which is no integer"),
    "stride beyond 32 bits": (lambda: strided(("Y", 2**31)), f"layer a: the stride of Y is {TOO_LARGE}"),
    "stride of nothing": (
        lambda: strided(("y", 2)),
        "layer a: a stride of y, which is no dimension; strides are those of X and Y",
    ),
    "stride of a number": (lambda: strided((1, 2)), "the dimension of a stride is 1, which is no str"),
    "strides as one number": (
        lambda: layer(strides=2),
        "layer a: strides of a Layer is 2, which is no sequence",
    ),
    "strides of Layer.of": (lambda: Layer.of("a", "CONV", SIZES, {"X": 0}), "layer a: the stride of X is 0"),
    # Directives
    "Sz of a number": (
        lambda: Sz(ANY),
        'the dimension of a Sz is None, which is no str; give a name such as "K"',
    ),
    "map size as text": (
        lambda: TemporalMap("Sz(R)", 1, "Y"),  # type: ignore[arg-type]
        "the size of a TemporalMap is 'Sz(R)', which is no integer; give an integer or Sz(\"K\")",
    ),
    "map size as float": (lambda: SpatialMap(1.5, 1, "K"), "the size of a SpatialMap is 1.5"),  # type: ignore[arg-type]
    "map offset as bool": (
        lambda: SpatialMap(1, False, "K"),
        "the offset of a SpatialMap is False, which is no",
    ),
    "map offset beyond 32 bits": (
        lambda: TemporalMap(1, 2**31, "K"),
        f"the offset of a TemporalMap is {TOO_LARGE}",
    ),
    "map size far below zero": (
        lambda: TemporalMap(-(2**40), 1, "K"),
        "the size of a TemporalMap is -1099511627776; it must be at least -2147483647",
    ),
    "map dimension": (
        lambda: TemporalMap(1, 1, Sz("K")),  # type: ignore[arg-type]
        "the dimension of a TemporalMap is Sz(dimension='K'), which is no str; give a name such as \"K\"",
    ),
    "map line": (lambda: TemporalMap(1, 1, "K", "P"), "the line of a TemporalMap is 'P'"),  # type: ignore[arg-type]
    "cluster size": (lambda: Cluster("P"), "the size of a Cluster is 'P', which is no integer"),  # type: ignore[arg-type]
    "cluster size beyond 32 bits": (lambda: Cluster(2**31), f"the size of a Cluster is {TOO_LARGE}"),
    "cluster kind": (
        lambda: Cluster(4, ANY),
        'the kind of a Cluster is None, which is no str; give "P" (physical)',
    ),
    "cluster line": (lambda: Cluster(4, "P", -1), "the line of a Cluster is -1; it must be at least 0"),
    # Dataflows
    "dataflow as text": (
        lambda: Dataflow("SpatialMap(1,1) K;"),  # type: ignore[arg-type]
        "directives of a Dataflow is 'SpatialMap(1,1) K;', which is no sequence; "
        "read text with parse_dataflow and a file with read_dataflow",
    ),
    "text in a dataflow": (
        lambda: Dataflow((Cluster(4), "SpatialMap")),  # type: ignore[arg-type]
        "directive 1 of a Dataflow is 'SpatialMap', which is no directive; read text with parse_dataflow",
    ),
    "size in a dataflow": (
        lambda: Dataflow([Sz("K")]),  # type: ignore[arg-type,list-item]
        "directive 0 of a Dataflow is Sz(dimension='K'), which is no directive; give TemporalMap",
    ),
    "one directive as dataflow": (
        lambda: Dataflow(Cluster(4)),  # type: ignore[arg-type]
        "directives of a Dataflow is Cluster(size=4, kind='P'), which is no sequence; give TemporalMap",
    ),
    "dataflow name": (lambda: Dataflow((), ANY), "the name of a Dataflow is None, which is no str"),
    # Networks
    "dataflow of a layer as text": (
        lambda: MappedLayer(LAYER, "flow.m"),  # type: ignore[arg-type]
        "layer conv: the dataflow of a MappedLayer is 'flow.m', which is no Dataflow; read text with",
    ),
    "dataflow of a layer as list": (
        lambda: MappedLayer(LAYER, [Cluster(4)]),  # type: ignore[arg-type]
        "which is no Dataflow; make one with Dataflow(directives)",
    ),
    "layer of a mapped layer": (
        lambda: MappedLayer("conv"),  # type: ignore[arg-type]
        "the layer of a MappedLayer is 'conv', which is no Layer; make one with Layer.of(name",
    ),
    "layers as text": (lambda: Network("n", "conv"), "layers of a Network is 'conv', which is no sequence"),  # type: ignore[arg-type]
    "bare layer in a network": (
        lambda: Network("n", (LAYER,)),  # type: ignore[arg-type]
        "which is no MappedLayer; give MappedLayer objects, or make the network with Network.of",
    ),
    "network name": (lambda: Network(ANY, ()), "the name of a Network is None, which is no str"),
    "network source": (lambda: Network("n", (), ANY), "the source of a Network is None, which is no str"),
    "layer for layers": (lambda: Network.of("n", 3), "layers of a Network is 3, which is no sequence"),  # type: ignore[arg-type]
    # Hardware
    "PEs as float": (lambda: Hardware(num_pes=16.0), "num_pes is 16.0, which is no integer; give an integer"),  # type: ignore[arg-type]
    "PEs as text": (lambda: Hardware(num_pes="16"), "num_pes is '16', which is no integer"),  # type: ignore[arg-type]
    "PEs beyond 32 bits": (lambda: Hardware(num_pes=2**31), f"num_pes is {TOO_LARGE}"),
    "lanes as bool": (lambda: Hardware(simd_lanes=True), "simd_lanes is True, which is no integer"),
    "no off-chip bandwidth": (
        lambda: Hardware(offchip_bandwidth=ANY),
        "offchip_bandwidth is None, which is no",
    ),
    "negative L1": (lambda: Hardware(l1_size=-1), "l1_size is -1; it must be at least 0"),
    "negative L2": (lambda: Hardware(l2_size=-1), "l2_size is -1; it must be at least 0"),
    "L2 beyond 32 bits": (lambda: Hardware(l2_size=2**31), f"l2_size is {TOO_LARGE}"),
    "negative latency": (lambda: Hardware(hop_latency=-1), "hop_latency is -1; it must be at least 0"),
    "negative hops": (lambda: Hardware(noc_hops=-1), "noc_hops is -1; it must be at least 0"),
    "negative hops of a level": (
        lambda: Hardware(noc_hops=(1, -2)),
        "noc_hops[1] is -2; it must be at least 0",
    ),
    "bandwidth as text": (
        lambda: Hardware(noc_bandwidth="16"),  # type: ignore[arg-type]
        "noc_bandwidth is '16', which is no integer; give an integer, or a sequence of 1 to 4 of them",
    ),
    "bandwidth as float": (lambda: Hardware(noc_bandwidth=1.5), "noc_bandwidth is 1.5, which is no integer"),  # type: ignore[arg-type]
    "bandwidth of a level": (
        lambda: Hardware(noc_bandwidth=(1, "2")),
        "noc_bandwidth[1] is '2', which is no",
    ),  # type: ignore[arg-type]
    "bandwidth of a level beyond 32 bits": (
        lambda: Hardware(noc_bandwidth=(2**31,)),
        f"noc_bandwidth[0] is {TOO_LARGE}",
    ),
    "no level": (
        lambda: Hardware(noc_bandwidth=()),
        "noc_bandwidth has 0 values; give an integer, or a sequence",
    ),
    "five levels": (
        lambda: Hardware(noc_hops=(1,) * 5),
        "noc_hops has 5 values; give an integer, or a sequence",
    ),
    "latency beyond 32 bits": (
        lambda: Hardware(noc_hops=(1, 2**16), hop_latency=2**15),
        f"noc_hops times hop_latency is {TOO_LARGE}",
    ),
    "hardware name": (lambda: Hardware(name=ANY), "the name of a Hardware is None, which is no str"),
    "replaced value": (lambda: Hardware().replace(num_pes="4"), "num_pes is '4', which is no integer"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str) -> None:
    make, message = REFUSED[case]
    with pytest.raises(DescriptionError) as caught:
        make()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_layer_of_a_file_is_refused_with_its_line() -> None:
    with pytest.raises(DescriptionError) as caught:
        Layer("a", LayerType.CONV, (("K", 8),), (("X", 0),), line=12)
    assert (caught.value.line, caught.value.layer, caught.value.fix) == (12, "a", "it must be at least 1")


@pytest.mark.parametrize("kind", [np.int8, np.int32, np.uint16, np.int64, np.array])
def test_integers_of_numpy_become_integers(kind: Callable[[int], Any]) -> None:
    made = Layer("conv", LayerType.CONV, [(n, kind(s)) for n, s in SIZES.items()], [["X", kind(1)]])  # type: ignore[arg-type,list-item]
    assert made == Layer.of("conv", "CONV", SIZES, {"X": 1})
    flow = Dataflow((TemporalMap(kind(3), kind(1), "Y"), Cluster(kind(4))))
    assert repr(flow) == repr(Dataflow((TemporalMap(3, 1, "Y"), Cluster(4))))
    point = Hardware(kind(4), noc_bandwidth=kind(5), noc_hops=(kind(1), kind(2)))
    assert repr(point) == repr(Hardware(4, noc_bandwidth=5, noc_hops=(1, 2)))
    numbers = (
        [size for _, size in made.dimensions]
        + [d.size for d in flow]
        + [point.num_pes, *point.noc_bandwidths]
    )
    assert {type(n) for n in numbers} == {int}


def test_products_of_small_numpy_integers_do_not_overflow() -> None:
    assert Layer.of("a", "GEMM", {n: np.int8(100) for n in "MNK"}).macs == 1_000_000


def test_lists_become_tuples_and_can_be_hashed() -> None:
    flow = Dataflow([SpatialMap(1, 1, "K")])  # type: ignore[arg-type]
    network = Network("n", [MappedLayer(LAYER, flow)])  # type: ignore[arg-type]
    made = Layer("conv", "CONV", [[n, s] for n, s in SIZES.items()], [])  # type: ignore[arg-type,list-item]
    point = Hardware(noc_bandwidth=[4, 5], noc_hops=np.array([1, 2]))  # type: ignore[arg-type]
    assert {flow, made, network.layers[0]} == {FLOW, LAYER, MappedLayer(LAYER, FLOW)}
    assert hash(network) == hash(Network.of("n", [LAYER], FLOW))
    assert hash(point) == hash(Hardware(noc_bandwidth=(4, 5), noc_hops=(1, 2)))
    assert (point.noc_bandwidths, point.noc_latencies) == ((4, 5, 5, 5), (0, 0, 0, 0))


def test_generators_and_mappings_are_taken() -> None:
    assert Dataflow(d for d in FLOW) == FLOW  # type: ignore[arg-type]
    assert Network.of("n", (each for each in [LAYER])).layers == (MappedLayer(LAYER),)
    assert Layer("conv", "CONV", SIZES) == LAYER  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", list(LayerType))
def test_layer_types_may_be_named(kind: LayerType) -> None:
    made = Layer("a", kind.value, ())  # type: ignore[arg-type]
    assert made.type is kind
    assert made == Layer.of("a", kind, {})


@pytest.mark.parametrize("value", [0, -1, -UNLIMITED, UNLIMITED])
def test_what_the_cost_function_flags_can_be_described(value: int) -> None:
    assert layer(size=value)["K"] == value
    assert (
        TemporalMap(value, value, "K").offset
        == SpatialMap(value, 1, "K").size
        == Cluster(value).size
        == value
    )
    point = Hardware(value, noc_bandwidth=(1, value), offchip_bandwidth=value, simd_lanes=value)
    assert (point.num_pes, point.noc_bandwidths[1], point.offchip_bandwidth) == (value,) * 3


def test_limits_that_are_allowed() -> None:
    point = Hardware(l1_size=0, l2_size=UNLIMITED, noc_hops=0, hop_latency=UNLIMITED)
    assert point.noc_latencies == (0, 0, 0, 0)


@pytest.mark.parametrize("name", ["N", "G", "K", "C", "R", "S", "M"])
def test_strides_without_effect_are_allowed(name: str) -> None:
    made = Layer.of("conv", "CONV", SIZES, {name: 2})
    assert made.stride(name) == 2
    assert made.macs == LAYER.macs


@pytest.mark.parametrize(
    ("declared", "strides", "macs"),
    [
        ({"Y": 11, "X": 11}, {}, 9 * 9),
        ({"Y": 11, "X": 11}, {"Y": 2, "X": 3}, 5 * 3),
        ({"Y": 11, "X": 11}, {"Y'": 2, "X'": 3}, 5 * 3),
        ({"Y": 12, "X": 2}, {"Y": 2}, 0),
        ({"Y'": 9, "X'": 7}, {}, 9 * 7),
        ({"Y'": 9, "X'": 7}, {"Y": 2, "X": 3}, 9 * 7),
        ({"Y'": 9, "X'": 7}, {"Y'": 2, "X'": 3}, 9 * 7),
        ({"Y": 11, "X'": 7}, {"Y": 2, "X": 3}, 5 * 7),
        ({"Y'": -1, "X'": 7}, {}, 0),
    ],
)
def test_macs_of_inputs_and_of_outputs(declared: dict[str, int], strides: dict[str, int], macs: int) -> None:
    channels = {"K": 8, "C": 4, "R": 3, "S": 3}
    for kind in ("CONV", "TRCONV"):
        assert Layer.of("a", kind, channels | declared, strides).macs == macs * 8 * 4 * 9
    assert Layer.of("a", "DSCONV", channels | declared, strides).macs == macs * 4 * 9
    assert (
        Layer.of("a", "NGCONV", channels | declared | {"N": 2, "G": 5}, strides).macs == macs * 8 * 4 * 9 * 10
    )


@pytest.mark.parametrize("kind", list(LayerType))
def test_macs_need_every_dimension(kind: LayerType) -> None:
    sizes = dict.fromkeys(kind.required, 3)
    assert Layer.of("a", kind, sizes).macs > 0
    for missing in kind.required:
        made = Layer.of("a", kind, {n: s for n, s in sizes.items() if n != missing})
        with pytest.raises(DescriptionError) as caught:
            _ = made.macs
        assert str(caught.value).startswith(
            f"layer a: without dimension {missing} its MACs are not known; {kind.value}"
        )
        network = Network.of("n", [LAYER, made])
        with pytest.raises(DescriptionError, match="layer a: without dimension"):
            _ = network.macs
        assert str(network).splitlines() == ["Network n: 2 layers, ? MACs", f"    0 {LAYER}", f"    1 {made}"]
        assert repr(made) in repr(network)


def test_networks_print_their_macs() -> None:
    assert str(Network.of("", [LAYER, LAYER])).startswith(
        f"Network (unnamed): 2 layers, {2 * LAYER.macs:,} MACs\n"
    )
    assert str(Network("n", ())) == "Network n: 0 layers, 0 MACs"


def test_the_first_layer_of_a_type_decides_on_a_batch() -> None:
    kinds = ["GEMM", "TRCONV", "DSCONV", "CONV", "DSCONV", "NGCONV", "TRCONV"]
    with_n = [True, False, True, True, False, False, True]
    layers = [
        Layer.of(str(i), k, {"N": 2} if n else {}) for i, (k, n) in enumerate(zip(kinds, with_n, strict=True))
    ]
    assert batched_tensors(layers) == [True, False, True, False, True, False, False]
    assert batched_tensors(each for each in layers[3:]) == [True, False, False, True]
    assert batched_tensors([]) == []


def test_costs_say_why_a_layer_is_not_valid() -> None:
    from jaxmaestro import evaluate

    legal = Dataflow((SpatialMap(1, 1, "K"), *(TemporalMap(Sz(d), Sz(d), d) for d in "RS")))
    layers = (MappedLayer(LAYER, legal), MappedLayer(LAYER, Dataflow((TemporalMap(1, 1, "K"),))))
    costs = evaluate(Network("net", layers), Hardware(num_pes=8, l1_size=0, noc_bandwidth=1000))
    head, first, second = str(costs).splitlines()
    assert head.startswith("net: ")
    assert first.endswith("nJ  L1_SIZE")
    assert second.endswith("nJ  ILLEGAL_SPATIAL")
    assert repr(costs) == str(costs)
    assert str(evaluate(Network("net", layers[:1]), Hardware(num_pes=8))).endswith("nJ  ok")
