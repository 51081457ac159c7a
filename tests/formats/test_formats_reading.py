"""The three formats as people write them: every typographic variant gives the same description."""

from __future__ import annotations

from pathlib import Path

import pytest

from jaxmaestro.description import (
    UNLIMITED,
    Cluster,
    Dataflow,
    Hardware,
    Layer,
    LayerType,
    SpatialMap,
    Sz,
    TemporalMap,
)
from jaxmaestro.formats import (
    parse_dataflow,
    parse_hardware,
    parse_mapping,
    parse_model,
    read_dataflow,
    read_hardware,
    read_mapping,
    read_model,
)

PLAIN = """\
Network net {
  Layer conv1 {
    Type: CONV
    Stride { X: 2, Y: 2 }
    Dimensions { K: 64, C: 3, R: 7, S: 7, Y: 224, X: 224 }
    Dataflow {
      TemporalMap(16,16) K;
      SpatialMap(Sz(R),1) Y;
      TemporalMap(Sz(S),1) X;
      TemporalMap(Sz(R),Sz(R)) R;
      TemporalMap(7,7) S;
      Cluster(16, P);
      SpatialMap(1,1) K;
    }
  }
}
"""
HEAD = "".join(PLAIN.splitlines(keepends=True)[2:5])
CONV1 = Layer.of("conv1", "CONV", {"K": 64, "C": 3, "R": 7, "S": 7, "Y": 224, "X": 224}, {"X": 2, "Y": 2})
FLOW1 = Dataflow(
    (
        TemporalMap(16, 16, "K"),
        SpatialMap(Sz("R"), 1, "Y"),
        TemporalMap(Sz("S"), 1, "X"),
        TemporalMap(Sz("R"), Sz("R"), "R"),
        TemporalMap(7, 7, "S"),
        Cluster(16, "P"),
        SpatialMap(1, 1, "K"),
    )
)


def _without(text: str, *marks: str) -> str:
    for mark in marks:
        text = text.replace(mark, " ")
    return text


VARIANTS = {
    "plain": PLAIN,
    "no colons": _without(PLAIN, ":"),
    "no commas": _without(PLAIN, ","),
    "no semicolons": _without(PLAIN, ";"),
    "no separators at all": _without(PLAIN, ":", ",", ";", "(", ")"),
    "tight": PLAIN.replace(": ", ":").replace(", ", ","),
    "braces touch words": PLAIN.replace(" {", "{").replace("{ ", "{").replace(" }", "}"),
    "tabs": PLAIN.replace("  ", "\t\t").replace("; ", ";\t"),
    "carriage returns": PLAIN.replace("\n", "\r\n"),
    "one line": PLAIN.replace("\n", " "),
    "each word on a line": "\n".join(PLAIN.split()),
    "space before bracket": PLAIN.replace("Map(", "Map (").replace("Cluster(", "Cluster ("),
    "spaces in brackets": PLAIN.replace("(", "( ").replace(")", " )").replace(",", " , "),
    "arrows": PLAIN.replace(": ", " -> "),
    "no end of last line": PLAIN.rstrip("\n"),
    "comments": PLAIN.replace(";", "; // (1,1) K; }")
    .replace("{\n", "{ //good\n")
    .replace("  Type", "//x\nType"),
    "comment touches a word": PLAIN.replace("CONV\n", "CONV//MatMul -> M(seq)xK\n"),
    "commented-out accelerator": PLAIN + "//Accelerator {\n//  PE { NumPEs: 128; }\n//}\n",
    "accelerator": "Accelerator { PE { NumPEs: 128; VectorWidth: 4 } Buffer { GlobalL2: 2 } }\n" + PLAIN,
    "accelerator after": PLAIN + "Accelerator {\n  NoC { Bandwidth: 64; }\n}\n",
    "brace too many at the end": PLAIN + "}\n",
    "constants": "Constant KTile 16;\nConstant Width: 224\n"
    + PLAIN.replace("16", "KTile").replace("X: 224", "X: Width"),
    "constant of a constant": "Constant A 16;\nConstant KTile A;\n" + PLAIN.replace("16", "KTile"),
    "constant in a stride": "Constant Two 2;\n" + PLAIN.replace("X: 2,", "X: Two,"),
    "constant redefined": "Constant KTile 4;\nConstant KTile 16;\n" + PLAIN.replace("16", "KTile"),
    "whole number with a point": PLAIN.replace("K: 64", "K: 64.0").replace("224 }", "+224. }"),
    "dimension twice, same size": PLAIN.replace("K: 64", "K: 64, K: 64"),
    "type last": PLAIN.replace("    Type: CONV\n", "").replace("    }\n", "    }\n    Type: CONV\n"),
    "dataflow first": PLAIN.replace(HEAD, "").replace("    }\n  }", "    }\n" + HEAD + "  }"),
    "several names, the last one counts": PLAIN.replace("conv1", "block-2: conv1"),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_read_alike(variant: str) -> None:
    network = parse_mapping(VARIANTS[variant])
    assert network.name == "net"
    assert [m.layer for m in network] == [CONV1]
    assert network[0].dataflow == FLOW1


def test_curly_apostrophes_are_primes() -> None:
    text = PLAIN.replace("Y: 224, X: 224", "Y\u2019: 218, X\u2032: 218").replace(") X;", ") X\u2019;")
    network = parse_mapping(text)
    assert list(network[0].layer) == ["K", "C", "R", "S", "Y'", "X'"]
    assert network[0].dataflow is not None
    assert network[0].dataflow.directives[2] == TemporalMap(Sz("S"), 1, "X'")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "flow.m"
    text = "// row-stationary\u201d\nDataflow {\n SpatialMap(1,1) Y\u2019;\n TemporalMap(3,3) R;\n}\n"
    path.write_bytes(text.encode(encoding))
    assert read_dataflow(path).directives == (SpatialMap(1, 1, "Y'"), TemporalMap(3, 3, "R"))


def test_names_are_the_last_word_and_may_be_keywords() -> None:
    text = PLAIN.replace("conv1", "Conv2d-17").replace("Network net", "Network torchvision.models.vgg")
    network = parse_mapping(text)
    assert (network.name, network[0].layer.name) == ("torchvision.models.vgg", "17")
    network = parse_mapping(PLAIN.replace("conv1", "Layer").replace("net", "Network"))
    assert (network.name, network[0].layer.name) == ("Network", "Layer")


def test_nameless_network_and_layer() -> None:
    network = parse_mapping(PLAIN.replace("conv1", "").replace("net", ""))
    assert (network.name, network[0].layer.name) == ("", "Layer")


def test_several_networks_are_one_under_the_last_name() -> None:
    network = parse_mapping(PLAIN + "Constant A 3\n" + PLAIN.replace("net", "second"))
    assert (network.name, len(network)) == ("second", 2)


def test_layer_without_dataflow_takes_none() -> None:
    layer = "  Layer conv2 {\n Type: CONV\n Dimensions { K: 8, C: 8, R: 3, S: 7, Y: 9, X: 9 }\n"
    text = PLAIN[: PLAIN.rindex("}")] + layer + "%s }\n}\n"
    for empty in ("", "Dataflow { }"):
        second = parse_mapping(text.replace("%s", empty))[1]
        assert second.dataflow is None
        assert second.layer["S"] == 7


def test_every_layer_type() -> None:
    sizes = "N: 2, G: 3, K: 4, C: 5, R: 1, S: 1, Y: 6, X: 7"
    layers = [
        f"Layer l{t.value} {{ Type: {t.value} Dimensions {{ {sizes} }} }}"
        for t in LayerType
        if t.is_convolution
    ]
    gemm = "Layer g { Type: GEMM Dimensions { K: 2, M: 3, N: 4 } }"
    network = parse_model("Network n { " + " ".join([*layers, gemm]) + " }")
    assert [m.layer.type for m in network] == list(LayerType)
    assert network[-1].layer.dimensions == (("K", 2), ("M", 3), ("N", 4))


def test_lines_are_those_of_the_file() -> None:
    mapped = parse_mapping("// first\n\n" + PLAIN)[0]
    assert mapped.layer.line == 4
    assert mapped.dataflow is not None
    assert [d.line for d in mapped.dataflow] == list(range(9, 16))


def test_model_has_no_dataflows_even_from_a_mapping(tmp_path: Path) -> None:
    path = tmp_path / "model.m"
    path.write_text(PLAIN)
    model = read_model(path)
    assert [m.dataflow for m in model] == [None]
    assert [m.layer for m in model] == [CONV1]
    assert read_mapping(path)[0].dataflow == FLOW1
    assert read_mapping(str(path)).source == str(path)


def test_dataflow_file_with_constants_and_name(tmp_path: Path) -> None:
    path = tmp_path / "kcp.m"
    path.write_text("Constant T 64;\n Dataflow {\n\tSpatialMap(1,1) K;\n Cluster(T, L)\nSpatialMap (T,T) C}")
    flow = read_dataflow(path)
    assert flow.name == "kcp"
    assert flow.directives == (SpatialMap(1, 1, "K"), Cluster(64, "L"), SpatialMap(64, 64, "C"))
    assert parse_dataflow("Dataflow { TemporalMap(Sz(X), 2) X }").directives == (
        TemporalMap(Sz("X"), 2, "X"),
    )


def test_filter_tiles_unlike_the_dimension_can_be_read_unchecked() -> None:
    network = parse_mapping(PLAIN.replace("(7,7) S", "(3,3) S"), check=False)
    assert network[0].dataflow is not None
    assert network[0].dataflow.directives[4] == TemporalMap(3, 3, "S")


@pytest.mark.parametrize(
    "text",
    [
        "num_pes: 256\nl1_size_cstr: 100\nl2_size_cstr: 3000\nnoc_bw_cstr: 1000\noffchip_bw_cstr: 50\n",
        "num_pes 256 l1_size_cstr 100, l2_size_cstr 3000; noc_bw_cstr 1000 offchip_bw_cstr(50)",
        "// eyeriss\r\noffchip_bw_cstr: 50 // slow\r\nl2_size_cstr:3000\nnum_pes:256\nnoc_bw_cstr -> 1000\n"
        "l1_size_cstr: 100",
    ],
)
def test_hardware_variants(text: str) -> None:
    expected = Hardware(
        num_pes=256,
        l1_size=100,
        l2_size=3000,
        noc_bandwidth=1000,
        noc_hops=1,
        hop_latency=1,
        offchip_bandwidth=50,
    )
    assert parse_hardware(text) == expected


def test_hardware_defaults_are_those_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "tiny.m"
    path.write_text("NoC_NumHops: 3\n")
    hardware = read_hardware(path)
    assert hardware == Hardware(
        num_pes=1,
        l1_size=UNLIMITED,
        l2_size=UNLIMITED,
        noc_bandwidth=UNLIMITED,
        noc_hops=3,
        hop_latency=1,
        offchip_bandwidth=UNLIMITED,
    )
    assert hardware.noc_latencies == (3, 3, 3, 3)
    assert hardware.name == "tiny"
    assert parse_hardware("") == Hardware(num_pes=1, hop_latency=1, offchip_bandwidth=UNLIMITED)
