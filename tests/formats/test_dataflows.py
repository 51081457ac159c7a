"""Dataflows of layers by kind: from directives, from files."""

from __future__ import annotations

from pathlib import Path

import pytest

from jaxmaestro.description import Dataflow, DescriptionError, Layer, LayerType, SpatialMap, TemporalMap
from jaxmaestro.formats.dataflows import KINDS, dataflows_by_kind, kind_of, read_dataflows

SIZES = {"K": 8, "C": 8, "R": 3, "S": 3, "Y": 9, "X": 9}
LAYERS = {
    "conv": Layer.of("a", "CONV", SIZES),
    "conv_strided": Layer.of("b", "CONV", SIZES, {"Y": 1, "X": 2}),
    "depthwise": Layer.of("c", "DSCONV", SIZES),
    "depthwise_strided": Layer.of("d", "DSCONV", SIZES, {"Y": 2, "X": 2}),
    "gemm": Layer.of("e", "GEMM", {"M": 8, "N": 8, "K": 8}),
}
MAPPING = """
Network n {
    Layer first { Type: CONV Dimensions { K: 4, C: 4, R: 1, S: 1, Y: 4, X: 4 }
        Dataflow { SpatialMap(1,1) K; } }
    Layer same { Type: CONV Dimensions { K: 4, C: 4, R: 1, S: 1, Y: 4, X: 4 } }
    Layer b { Type: CONV Dimensions { K: 4, C: 4, R: 1, S: 1, Y: 4, X: 4 } Dataflow { SpatialMap(1,1) C; } }
    Layer stride { Type: CONV Stride { Y: 2, X: 2 } Dimensions { K: 4, C: 4, R: 1, S: 1, Y: 4, X: 4 }
        Dataflow { SpatialMap(1,1) Y; } }
}
"""


def test_kinds_of_layers() -> None:
    assert {kind: kind_of(layer) for kind, layer in LAYERS.items()} == {kind: kind for kind in KINDS}
    assert kind_of(Layer.of("f", LayerType.NGCONV, {"G": 2, **SIZES})) == "conv"


def test_a_strided_kind_takes_the_unstrided_ones() -> None:
    found = dataflows_by_kind("", {"conv": ["SpatialMap(1,1) K"], "gemm": None}, "flow")
    assert found == dict.fromkeys(("conv", "conv_strided"), Dataflow([SpatialMap(1, 1, "K")], "flow"))
    other = dataflows_by_kind("", {"conv_strided": ["SpatialMap(1,1) C"]}, "flow")
    assert list(other) == ["conv_strided"]


def test_a_file_of_conf(tmp_path: Path) -> None:
    path = tmp_path / "flow.yaml"
    path.write_text(
        "dataflows:\n  F:\n    title: t\n    conv: ['SpatialMap(2,2) K']\n    gemm: ['SpatialMap(1,1) M']\n"
    )
    dataflow = read_dataflows(path)
    assert (
        dataflow(LAYERS["conv"]) == dataflow(LAYERS["conv_strided"]) == Dataflow([SpatialMap(2, 2, "K")], "F")
    )
    assert dataflow(LAYERS["gemm"]).directives == (SpatialMap(1, 1, "M"),)
    with pytest.raises(DescriptionError, match=r"flow\.yaml.*layer c.*no dataflow for a DSCONV; add one"):
        dataflow(LAYERS["depthwise"])


def test_a_dataflow_file_is_for_every_layer(tmp_path: Path) -> None:
    path = tmp_path / "flow.m"
    path.write_text("// Network\nDataflow { TemporalMap(1,1) K; }")
    assert all(
        read_dataflows(path)(layer).directives == (TemporalMap(1, 1, "K"),) for layer in LAYERS.values()
    )


def test_a_mapping_file_lends_the_nearest_layers(tmp_path: Path) -> None:
    path = tmp_path / "net.m"
    path.write_text(MAPPING)
    dataflow = read_dataflows(path)
    by_dimension = {
        name: dataflow(Layer.of(name, kind, SIZES | more, strides)).directives[0].dimension  # type: ignore[union-attr]
        for name, kind, more, strides in (
            ("same", "CONV", {}, {}),
            ("b", "CONV", {}, {"Y": 2, "X": 2}),
            ("other", "CONV", {}, {}),
            ("strided", "CONV", {}, {"Y": 2, "X": 2}),
            ("grouped", "NGCONV", {"G": 2}, {"Y": 2, "X": 2}),
        )
    }
    assert by_dimension == {"same": "K", "b": "C", "other": "K", "strided": "Y", "grouped": "Y"}
    for kind in ("gemm", "depthwise"):
        with pytest.raises(DescriptionError, match=r"net\.m.*no dataflow for a"):
            dataflow(LAYERS[kind])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yaml", None, r"a\.yaml: cannot be read: No such file"),
        ("a.m", None, r"a\.m: cannot be read: No such file"),
        ("a.yaml", "defaults: [kc_p]", r"a\.yaml: is no file of one dataflow; see conf/dataflow"),
        ("a.yaml", "a: [", r"a\.yaml: cannot be read: while parsing"),
        ("a.yaml", "dataflows: {F: 3}", "F has no lists of directives"),
        ("a.yaml", "dataflows: {F: {conv: 3}}", "F has no lists of directives"),
        ("a.yaml", "dataflows: {F: {conv: [3]}}", "F has no lists of directives"),
        (
            "a.yaml",
            "dataflows: {F: {conv: [SpatialMap(1) K]}}",
            r"F\.conv: cannot read the directive 'Spatial",
        ),
        ("a.m", "Dataflow { Map(1,1) K; }", r"a\.m:1"),
    ],
)
def test_what_is_no_dataflow_is_one_line(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(DescriptionError, match=message) as error:
        read_dataflows(tmp_path / name)
    assert "\n" not in str(error.value)
