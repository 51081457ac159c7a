"""Files and descriptions that are refused: what is no mapping, models, hardware, dataflows, names."""

from __future__ import annotations

from pathlib import Path

import pytest

from jaxmaestro.description import (
    Cluster,
    Dataflow,
    DescriptionError,
    Hardware,
    Layer,
    MappedLayer,
    Network,
    SpatialMap,
    TemporalMap,
)
from jaxmaestro.formats import (
    format_hardware,
    format_mapping,
    parse_dataflow,
    parse_hardware,
    parse_mapping,
    parse_model,
    read_mapping,
    validate_network,
    write_mapping,
)


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("", 1, 0, ("no Network",)),
        ("// nothing\n", 1, 0, ("no Network",)),
        ("Network n { }", 0, 0, ("no layers",)),
        ("Network n {", 1, 0, ("end of the file", "'}' is missing")),
        ("\x00\x7fELF", 1, 1, ("\\x00", "Network")),
        ("Accelerator { PE {", 1, 0, ("end of the file", "'}' is missing")),
    ],
)
def test_files_that_hold_no_network(text: str, line: int, column: int, words: tuple[str, ...]) -> None:
    for parse in (parse_mapping, parse_model):
        with pytest.raises(DescriptionError) as caught:
            parse(text, "bad.m")
        assert (caught.value.line, caught.value.column) == (line, column)
        assert all(word in str(caught.value) for word in ("bad.m", *words))


def test_models_are_checked_for_their_layers_alone() -> None:
    text = "Network n { Layer one {\nType: CONV Dimensions { K: 8, C: 8, R: 3, S: 3, Y: 9, X: 9 }\n%s } }"
    illegal = "Dataflow { TemporalMap(2,1) R; }"
    assert len(parse_model(text % illegal)) == 1
    text = text.replace("K: 8", "K: 0") % ""
    with pytest.raises(DescriptionError, match=r"^bad\.m:2:25: layer one: dimension K is 0"):
        parse_model(text, "bad.m")
    assert parse_model(text, check=False)[0].layer["K"] == 0


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("num_pes: 4\nfoo: 3\n", 2, 1, ("unknown key foo", "num_pes, l1_size_cstr")),
        ("num_pe: 4\n", 1, 1, ("unknown key num_pe", "did you mean num_pes?")),
        ("noc_num_hops: 1\n", 1, 1, ("unknown key noc_num_hops",)),
        ("num_pes: 4\nnum_pes: 8\n", 2, 1, ("num_pes is given twice",)),
        ("num_pes: 0\n", 1, 10, ("num_pes is 0", "at least 1")),
        ("num_pes: -4\n", 1, 10, ("num_pes is -4", "at least 1")),
        ("noc_bw_cstr: 0\n", 1, 14, ("noc_bw_cstr is 0",)),
        ("offchip_bw_cstr: 0", 1, 18, ("offchip_bw_cstr is 0",)),
        ("l1_size_cstr: -1", 1, 15, ("l1_size_cstr is -1", "at least 0")),
        ("num_pes: many", 1, 10, ("'many'", "a number is expected")),
        ("num_pes: 2.5", 1, 10, ("'2.5' is neither",)),
        ("num_pes:\nl1_size_cstr: 3", 2, 1, ("'l1_size_cstr'", "a number is expected")),
        ("num_pes:", 1, 0, ("end of the file", "a number")),
        ("num_pes { 4 }", 1, 9, ("'{'", "a number")),
        ("{ num_pes: 4 }", 1, 1, ("'{'", "a key")),
        ("num_pes: 99999999999", 1, 10, ("too large",)),
    ],
)
def test_hardware_is_refused(text: str, line: int, column: int, words: tuple[str, ...]) -> None:
    with pytest.raises(DescriptionError) as caught:
        parse_hardware(text, "hw.m")
    assert (caught.value.source, caught.value.line, caught.value.column) == ("hw.m", line, column)
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("Dataflow { }", 1, ("the dataflow is empty",)),
        ("", 1, ("end of the file", "Dataflow")),
        ("Network n {\n}", 1, ("'Network'", "read_mapping")),
        ("Dataflow {\nSpatialMap(1,1) K;\n", 3, ("end of the file", "'}' is missing")),
        ("Dataflow {\nSpatialMap(T,1) K;\n}", 2, ("'T' is neither",)),
        ("Dataflow { SpatialMap(1,1) K; }\n}", 2, ("'}'", "end of the file")),
    ],
)
def test_dataflow_is_refused(text: str, line: int, words: tuple[str, ...]) -> None:
    with pytest.raises(DescriptionError) as caught:
        parse_dataflow(text, "flow.m")
    assert (caught.value.source, caught.value.line) == ("flow.m", line)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DescriptionError, match=r"none\.m: cannot be read: No such file"):
        read_mapping(tmp_path / "none.m")
    with pytest.raises(DescriptionError, match=r"cannot be read: Is a directory"):
        read_mapping(tmp_path)


def _network(*directives: TemporalMap | SpatialMap | Cluster, **sizes: int) -> Network:
    layer = Layer.of("a", "CONV", {"K": 8, "C": 8, "R": 3, "S": 3, "Y": 9, "X": 9} | sizes)
    return Network.of("net", [layer], Dataflow(directives) if directives else None)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (_network(), "layer a: the layer has no dataflow"),
        (Network("net", ()), "the network has no layers"),
        (_network(SpatialMap(1, 1, "K"), C=0), "layer a: dimension C is 0"),
        (_network(SpatialMap(1, 1, "M")), "SpatialMap(1,1) M maps M, which the layer does not have"),
        (_network(SpatialMap(1, 0, "K")), "the offset of SpatialMap(1,0) K is 0"),
        (_network(TemporalMap(1, 1, "K")), "no SpatialMap in cluster level 1"),
        (_network(SpatialMap(1, 1, "K"), TemporalMap(2, 2, "R")), "2 of the layer's 3 R"),
    ],
)
def test_networks_made_in_python_are_checked_alike(network: Network, words: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        validate_network(network)
    assert words in str(caught.value)


def test_duplicates_made_in_python_are_found() -> None:
    layer = Layer("a", Layer.of("", "CONV", {}).type, (("K", 8), ("K", 9)), (("X", 1), ("X", 2)))
    with pytest.raises(DescriptionError, match=r"dimension K is given twice"):
        validate_network(Network.of("net", [layer]))


@pytest.mark.parametrize("name", ["conv 1", "conv-1", "a{b", "a//b", "", "x\ny"])
def test_names_that_the_format_cannot_hold(name: str, tmp_path: Path) -> None:
    network = Network.of("net", [Layer.of(name, "GEMM", {"M": 1, "N": 1, "K": 1})])
    with pytest.raises(DescriptionError, match=r"cannot hold the layer name .*; call it \w+"):
        write_mapping(network, tmp_path / "net.m")
    assert list(tmp_path.iterdir()) == []


def test_descriptions_that_the_formats_cannot_hold(tmp_path: Path) -> None:
    empty = Network("net", (MappedLayer(_network()[0].layer, Dataflow(())),))
    with pytest.raises(DescriptionError, match=r"layer a: the dataflow is empty"):
        format_mapping(empty)
    for hardware, words in [
        (Hardware(noc_bandwidth=(1, 2)), "one NoC bandwidth for all levels"),
        (Hardware(noc_hops=(1, 2), hop_latency=1), "one NoC latency for all levels"),
        (Hardware(simd_lanes=4), "4 SIMD lanes"),
    ]:
        with pytest.raises(DescriptionError, match=words):
            format_hardware(hardware)
    with pytest.raises(DescriptionError, match=r"cannot be written: No such file"):
        write_mapping(_network(SpatialMap(1, 1, "K")), tmp_path / "nowhere" / "net.m")
