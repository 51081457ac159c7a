"""What is written reads back as what it was, for any description that a format can hold."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from jaxmaestro.description import (
    UNLIMITED,
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
from jaxmaestro.formats import (
    format_dataflow,
    format_hardware,
    format_mapping,
    format_model,
    parse_dataflow,
    parse_hardware,
    parse_mapping,
    parse_model,
    read_dataflow,
    read_hardware,
    read_mapping,
    read_model,
    write_dataflow,
    write_hardware,
    write_mapping,
    write_model,
)

KEYWORDS = ["Network", "Layer", "Type", "Stride", "Dimensions", "Dataflow", "Sz", "Cluster", "Constant"]
DIMENSIONS = [*LayerType.CONV.dimension_names, "M"]

names = st.one_of(
    st.sampled_from(KEYWORDS),
    st.from_regex(r"[A-Za-z0-9_.'\[\]#+*=/é]{1,12}", fullmatch=True).filter(lambda name: "//" not in name),
)
numbers = st.one_of(st.integers(1, 512), st.integers(0, UNLIMITED))
dimensions = st.sampled_from(DIMENSIONS)
sizes = st.one_of(numbers, st.builds(Sz, dimensions))
maps = st.one_of(
    st.builds(TemporalMap, sizes, sizes, dimensions), st.builds(SpatialMap, sizes, sizes, dimensions)
)
clusters = st.builds(Cluster, sizes, st.sampled_from(["P", "L"]))
dataflows = st.builds(Dataflow, st.lists(st.one_of(maps, maps, clusters), min_size=1, max_size=12).map(tuple))
pairs = st.dictionaries(dimensions, numbers, max_size=9).map(lambda d: tuple(d.items()))
strides = st.dictionaries(dimensions, st.integers(1, UNLIMITED), max_size=4).map(lambda d: tuple(d.items()))
layers = st.builds(Layer, names, st.sampled_from(LayerType), pairs, strides)
mapped_layers = st.builds(MappedLayer, layers, st.one_of(st.none(), dataflows))
networks = st.builds(Network, st.one_of(st.just(""), names), st.lists(mapped_layers, max_size=5).map(tuple))
accelerators = st.builds(
    Hardware,
    num_pes=st.integers(1, UNLIMITED),
    l1_size=numbers,
    l2_size=numbers,
    noc_bandwidth=st.integers(1, UNLIMITED),
    noc_hops=numbers,
    hop_latency=st.just(1),
    offchip_bandwidth=st.integers(1, UNLIMITED),
)


@given(networks)
def test_mapping(network: Network) -> None:
    again = parse_mapping(format_mapping(network), check=False)
    assert again == network
    assert format_mapping(again) == format_mapping(network)


@given(networks)
def test_model(network: Network) -> None:
    bare = dataclasses.replace(network, layers=tuple(MappedLayer(m.layer) for m in network))
    assert parse_model(format_model(network), check=False) == bare


@given(dataflows)
def test_dataflow(dataflow: Dataflow) -> None:
    assert parse_dataflow(format_dataflow(dataflow)) == dataflow


@given(accelerators)
def test_hardware(hardware: Hardware) -> None:
    assert parse_hardware(format_hardware(hardware)) == hardware


@given(accelerators, st.integers(0, 9), st.integers(0, 9))
def test_hop_latency_is_written_as_hops(hardware: Hardware, hops: int, latency: int) -> None:
    hardware = hardware.replace(noc_hops=hops, hop_latency=latency, noc_bandwidth=(5, 5))
    again = parse_hardware(format_hardware(hardware))
    assert again.noc_latencies == hardware.noc_latencies
    assert again.noc_bandwidths == hardware.noc_bandwidths


@settings(max_examples=20)
@given(st.text("Network Layer{};,:()->/\n'Sz0123456789KCTemporalMap", max_size=60))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    for parse in (parse_mapping, parse_model, parse_dataflow, parse_hardware):
        try:
            parse("Network n { Layer a { " * (parse is parse_mapping) + text)
        except DescriptionError as error:
            assert str(error)
        else:
            assert parse is not parse_mapping or "Type" in text


def test_files(tmp_path: Path) -> None:
    flow = Dataflow((SpatialMap(1, 1, "K"), Cluster(Sz("R"), "P"), SpatialMap(Sz("S"), 1, "X")))
    layer = Layer.of("a", "CONV", {"K": 8, "C": 8, "R": 3, "S": 3, "Y": 9, "X": 9}, {"X": 2, "Y": 2})
    network = Network("net", (MappedLayer(layer, flow), MappedLayer(layer)))
    hardware = Hardware(num_pes=64, noc_bandwidth=16, hop_latency=1, offchip_bandwidth=50)
    path = tmp_path / "file.m"
    path.write_text("of before")
    write_mapping(network, path)
    assert read_mapping(path) == network
    write_model(network, str(path))
    assert read_model(path) == Network.of("net", [layer, layer])
    write_dataflow(flow, path)
    assert read_dataflow(path) == flow
    write_hardware(hardware, path)
    assert read_hardware(path) == hardware
    assert [p.name for p in tmp_path.iterdir()] == ["file.m"]


def test_text_is_what_one_would_write_by_hand() -> None:
    flow = Dataflow((SpatialMap(1, 1, "K"), TemporalMap(Sz("R"), 1, "Y")))
    layer = Layer.of("a", "CONV", {"K": 8, "C": 4}, {"X": 2})
    assert format_mapping(Network("net", (MappedLayer(layer, flow),))) == (
        "Network net {\n\tLayer a {\n\t\tType: CONV\n\t\tStride { X: 2 }\n\t\tDimensions { K: 8, C: 4 }\n"
        "\t\tDataflow {\n\t\t\tSpatialMap(1,1) K;\n\t\t\tTemporalMap(Sz(R),1) Y;\n\t\t}\n\t}\n}\n"
    )
    assert format_hardware(Hardware(num_pes=256, hop_latency=1)) == (
        "num_pes: 256\nNoC_NumHops: 1\noffchip_bw_cstr: 70000\n"
    )
