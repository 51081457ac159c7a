"""Malformed mapping files and illegal mappings: each its own message, with line, layer and remedy."""

from __future__ import annotations

import dataclasses

import pytest

from jaxmaestro.description import DescriptionError
from jaxmaestro.formats import parse_mapping, validate_network

MAPPING = """\
Network net {
Layer one {
Type: CONV
Stride { X: 1, Y: 1 }
Dimensions { K: 8, C: 8, R: 3, S: 3, Y: 10, X: 10 }
Dataflow {
TemporalMap(4,4) K;
TemporalMap(Sz(R),Sz(R)) R;
TemporalMap(3,3) S;
TemporalMap(3,1) Y;
SpatialMap(1,1) C;
Cluster(4,P);
SpatialMap(1,1) K;
}
}
Layer two {
Type: CONV
Dimensions { K: 8, C: 8, R: 3, S: 3, Y: 10, X: 10 }
}
}
"""


@dataclasses.dataclass(frozen=True)
class Bad:
    """``old`` replaced by ``new`` in MAPPING: where the error is, and words of its message."""

    old: str
    new: str
    line: int
    column: int
    layer: str
    words: tuple[str, ...]


def bad(old: str, new: str, place: tuple[int, int], layer: str, *words: str) -> Bad:
    return Bad(old, new, *place, layer, words)


MALFORMED = {
    # Syntax
    "misspelt Network": bad("Network", "Netwrok", (1, 1), "", "'Netwrok'", "Network"),
    "misspelt Layer": bad("Layer two", "Layr two", (16, 1), "", "'Layr'", "Layer or }"),
    "misspelt Type": bad("Type: CONV\nStride", "Typ: CONV\nStride", (3, 1), "one", "'Typ'", "Dimensions"),
    "misspelt TemporalMap": bad("TemporalMap(4", "TemporaMap(4", (7, 1), "one", "'TemporaMap'", "SpatialMap"),
    "layer outside a network": bad("Network net {", "", (2, 1), "", "'Layer'", "inside Network NAME"),
    "dataflow file": bad("Network net {\nLayer one", "Dataflow", (1, 1), "", "'Dataflow'", "read_dataflow"),
    "hardware file": bad("Network net", "num_pes: 3 Network net", (1, 1), "", "'num_pes'", "read_hardware"),
    "dataflow not closed": bad(
        "}\n}\nLayer two", "Layer two", (14, 1), "one", "'Layer'", "not closed with '}'"
    ),
    "layer not closed": bad(
        "}\n}\nLayer two", "}\nLayer two", (15, 1), "one", "'Layer'", "not closed with '}'"
    ),
    "file ends early": bad(
        "Y: 10, X: 10 }\n}\n}\n", "Y: 10,", (18, 0), "two", "end of the file", "'}' is missing"
    ),
    "network closed early": bad("Layer two", "}\nLayer two", (17, 1), "", "'Layer'", "inside Network"),
    "no brace after Dimensions": bad("Dimensions {", "Dimensions", (5, 12), "one", "'K'", "{ is expected"),
    "no brace after Stride": bad("Stride {", "Stride", (4, 8), "one", "'X'", "{ is expected"),
    "Stride after Dimensions": bad(
        "X: 10 }\n}\n}", "X: 10 } Stride { X: 2 }\n}\n}", (18, 53), "two", "Stride after", "move"
    ),
    "two Types": bad("Stride {", "Type: CONV\nStride {", (4, 1), "one", "second Type", "leave one"),
    "two Dataflows": bad(
        "Dataflow {", "Dataflow { }\nDataflow {", (7, 1), "one", "second Dataflow", "leave one"
    ),
    "two Dimensions": bad(
        "Dataflow {", "Dimensions { K: 8 }\nDataflow {", (6, 1), "one", "second Dimensions"
    ),
    "no Type": bad("Type: CONV\nStride", "Stride", (2, 1), "one", "no Type", "add Type"),
    "no Dimensions": bad(
        "Dimensions { K: 8, C: 8, R: 3, S: 3, Y: 10, X: 10 }\nData", "Data", (2, 1), "one", "no Dim"
    ),
    "map without dimension": bad(
        "(4,4) K;", "(4,4);", (8, 1), "one", "'TemporalMap'", "a dimension is expected"
    ),
    "map without offset": bad(
        "SpatialMap(1,1) K", "SpatialMap(1) K", (14, 1), "one", "'}'", "(size, offset) DIMENSION"
    ),
    "map without anything": bad(
        "TemporalMap(4,4) K;", "TemporalMap;", (8, 1), "one", "a size", "is expected"
    ),
    "cluster without kind": bad("Cluster(4,P)", "Cluster(4)", (13, 1), "one", "P or L", "Cluster(size, P)"),
    "constant without value": bad(
        "Network net", "Constant A\nNetwork net", (2, 1), "", "'Network'", "a size"
    ),
    "size without value": bad("Y: 10, X: 10 }\nData", "Y: 10, X: }\nData", (5, 48), "one", "'}'", "a size"),
    # Words
    "layer type FC": bad(
        "CONV\nStride", "FC\nStride", (3, 7), "one", "FC is not supported", "CONV, DSCONV", "GEMM"
    ),
    "layer type POOL": bad("CONV\nStride", "POOL\nStride", (3, 7), "one", "POOL is not supported", "pooling"),
    "layer type LSTM": bad(
        "CONV\nStride", "LSTM\nStride", (3, 7), "one", "LSTM is not supported", "GEMM layers"
    ),
    "layer type unknown": bad(
        "CONV\nStride", "Conf\nStride", (3, 7), "one", "Conf is not supported", "TRCONV"
    ),
    "undefined constant": bad(
        "(4,4) K", "(KTile,4) K", (7, 13), "one", "'KTile' is neither", "Constant NAME"
    ),
    "constant defined late": bad(
        "Layer two {\nType: CONV\nDimensions { K: 8",
        "} Constant A 8; Network n {\nLayer two {\nType: CONV\nDimensions { K: B",
        (19, 17),
        "two",
        "'B' is neither",
    ),
    "fraction": bad("(4,4) K", "(4.5,4) K", (7, 13), "one", "'4.5' is neither a whole number"),
    "number with a tail": bad("(4,4) K", "(4,4x) K", (7, 15), "one", "'4x' is neither a whole number"),
    "control characters": bad("(4,4) K", "(\x1b[2J,4) K", (7, 13), "one", "\\x1b[2J"),
    "too large": bad("K: 8, C", "K: 5000000000, C", (5, 17), "one", "5000000000 is too large", "2147483647"),
    "endless": bad("K: 8, C", f"K: {'9' * 9999}, C", (5, 17), "one", "is too large"),
    # Dimensions
    "size zero": bad("K: 8, C: 8", "K: 0, C: 8", (5, 14), "one", "dimension K is 0", "at least 1"),
    "size negative": bad("K: 8, C: 8", "K: -8, C: 8", (5, 14), "one", "dimension K is -8", "at least 1"),
    "unknown dimension": bad("K: 8, C: 8", "K: 8, Q: 8, C: 8", (5, 20), "one", "no dimension Q", "N, G, K"),
    "dimension twice": bad("K: 8, C: 8", "K: 8, C: 8, K: 9", (5, 26), "one", "K is given twice, as 8 and 9"),
    "Y and Y'": bad("Y: 10, X", "Y: 10, Y': 8, X", (5, 45), "one", "both Y and Y'", "leave out Y'"),
    "K missing": bad("K: 8, C: 8", "C: 8", (2, 1), "one", "dimension K is missing", "CONV needs K, C"),
    "X missing": bad("Y: 10, X: 10", "Y: 10", (2, 1), "one", "dimension X is missing", "CONV needs"),
    "G missing": bad(
        "CONV\nStride", "NGCONV\nStride", (2, 1), "one", "dimension G is missing", "NGCONV needs"
    ),
    "GEMM with K alone": bad(
        "CONV\nStride", "GEMM\nStride", (5, 20), "one", "GEMM has no dimension C", "M, N, K"
    ),
    "stride zero": bad("X: 1, Y: 1", "X: 1, Y: 0", (4, 16), "one", "stride of Y is 0", "at least 1"),
    "stride of nothing": bad("X: 1, Y: 1", "X: 1, Q: 2", (4, 16), "one", "stride of Q", "X and Y"),
    "stride twice": bad("X: 1, Y: 1", "X: 1, X: 2", (4, 16), "one", "stride X is given twice", "as 1 and 2"),
    "N in the first layer alone": bad(
        "K: 8, C: 8", "N: 2, K: 8, C: 8", (16, 1), "two", "no dimension N", "N: 1"
    ),
    # Dataflows
    "no dataflow at all": bad(
        MAPPING[MAPPING.index("Dataflow") : MAPPING.index("}\nLayer two")],
        "",
        (2, 1),
        "one",
        "no dataflow",
        "add Dataflow",
    ),
    "map size zero": bad(
        "(4,4) K", "(0,4) K", (7, 1), "one", "size of TemporalMap(0,4) K is 0", "at least 1"
    ),
    "map size negative": bad("(4,4) K", "(-4,4) K", (7, 1), "one", "size", "is -4", "at least 1"),
    "map offset zero": bad("(4,4) K", "(4,0) K", (7, 1), "one", "offset of TemporalMap(4,0) K is 0"),
    "map of an unknown dimension": bad(
        "(4,4) K", "(4,4) Q", (7, 1), "one", "maps Q", "no dimension", "K, C, R"
    ),
    "map of a missing dimension": bad("(4,4) K", "(4,4) G", (7, 1), "one", "maps G", "does not have"),
    "Sz of a missing dimension": bad("Sz(R),Sz(R)", "Sz(N),Sz(R)", (8, 1), "one", "Sz(N)", "no dimension N"),
    "Sz of a missing dimension in Cluster": bad("Cluster(4", "Cluster(Sz(M)", (12, 1), "one", "Sz(M)"),
    "cluster size zero": bad("Cluster(4", "Cluster(0", (12, 1), "one", "size of Cluster(0,P) is 0"),
    "cluster kind": bad("(4,P)", "(4,Q)", (12, 1), "one", "kind Q", "P (physical)"),
    "R tile and offset differ": bad(
        "Sz(R),Sz(R)", "Sz(R),7", (8, 1), "one", "all of R", "size 3 and offset 7", "Sz(R)"
    ),
    "S tile is not S": bad(
        "(3,3) S", "(1,1) S", (9, 1), "one", "all of S", "1 of the layer's 3 S", "Sz(S),Sz(S)"
    ),
    "R tile is larger than R": bad(
        "Sz(R),Sz(R)", "7,7", (8, 1), "one", "7 of the layer's 3 R", "Sz(R),Sz(R)"
    ),
    "inherited S tile": bad(
        "Layer two {\nType: CONV\nDimensions { K: 8, C: 8, R: 3, S: 3",
        "Layer two {\nType: CONV\nDimensions { K: 8, C: 8, R: 3, S: 5",
        (16, 1),
        "two",
        "all of S",
        "layer before",
    ),
    "no spatial map above": bad(
        "SpatialMap(1,1) C", "TemporalMap(1,1) C", (7, 1), "one", "no SpatialMap", "level 1 (of 2"
    ),
    "no spatial map below": bad(
        "SpatialMap(1,1) K", "TemporalMap(1,1) K", (13, 1), "one", "no SpatialMap", "level 2 (of 2"
    ),
    "level without maps": bad("SpatialMap(1,1) K;\n", "", (12, 1), "one", "no SpatialMap", "level 2 (of 2"),
    "three spatial maps": bad(
        "SpatialMap(1,1) K;",
        "SpatialMap(1,1) K;\nSpatialMap(1,1) R;\nSpatialMap(1,1) S;",
        (15, 1),
        "one",
        "3 SpatialMaps",
        "at most 2",
    ),
    "five levels": bad(
        "SpatialMap(1,1) K;",
        "SpatialMap(1,1) K;\n" + "Cluster(2,P);\nSpatialMap(1,1) K;\n" * 3,
        (18, 1),
        "one",
        "4 Cluster directives make 5 levels",
        "there can be 3",
    ),
    "K of a DSCONV": bad(
        "CONV\nStride", "DSCONV\nStride", (7, 1), "one", "no DSCONV tensor has", "C, R, S, Y, X"
    ),
    "N where the first layer has none": bad(
        "X: 10 }\n}\n}",
        "X: 10, N: 2 }\nDataflow {\nSpatialMap(1,1) N;\nCluster(2,P)\nSpatialMap(1,1) C;\n}\n}\n}",
        (20, 1),
        "two",
        "no CONV tensor has",
    ),
    "G of a CONV": bad(
        "K: 8, C: 8, R: 3, S: 3, Y: 10, X: 10 }\nDataflow {",
        "G: 2, K: 8, C: 8, R: 3, S: 3, Y: 10, X: 10 }\nDataflow { TemporalMap(1,1) G;",
        (6, 12),
        "one",
        "TemporalMap(1,1) G",
        "no CONV tensor has",
    ),
    "Y' without R": bad(
        "SpatialMap(1,1) K;", "SpatialMap(1,1) Y';", (13, 1), "one", "Y' is mapped", "TemporalMap(Sz(R)"
    ),
    "Y' and Y below": bad(
        "SpatialMap(1,1) K;",
        "SpatialMap(1,1) Y;\nTemporalMap(1,1) Y';",
        (14, 1),
        "one",
        "both Y and Y'",
        "leave out",
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_mapping_is_refused(case: str) -> None:
    wrong = MALFORMED[case]
    assert MAPPING.count(wrong.old) >= 1
    text = MAPPING.replace(wrong.old, wrong.new, 1)
    with pytest.raises(DescriptionError) as caught:
        parse_mapping(text, "bad.m")
    error = caught.value
    assert (error.line, error.column, error.layer) == (wrong.line, wrong.column, wrong.layer), str(error)
    place = ":".join(str(p) for p in ("bad.m", wrong.line, wrong.column) if p)
    assert str(error).startswith(place + ": " + (f"layer {wrong.layer}: " if wrong.layer else ""))
    for word in wrong.words:
        assert word in str(error)
    assert "\n" not in str(error)
    assert len(str(error)) < 400


def test_the_mapping_that_they_spoil_is_legal() -> None:
    assert [m.layer.name for m in parse_mapping(MAPPING)] == ["one", "two"]


def test_messages_are_all_different() -> None:
    messages = set()
    for wrong in MALFORMED.values():
        with pytest.raises(DescriptionError) as caught:
            parse_mapping(MAPPING.replace(wrong.old, wrong.new, 1))
        messages.add(str(caught.value))
    assert len(messages) == len(MALFORMED)


@pytest.mark.parametrize(
    "case",
    [
        c
        for c, w in MALFORMED.items()
        if c.startswith(("R tile", "S tile", "no spatial", "K of", "Y'", "N in"))
    ],
)
def test_unchecked_reading_leaves_it_to_the_cost_function(case: str) -> None:
    wrong = MALFORMED[case]
    assert len(parse_mapping(MAPPING.replace(wrong.old, wrong.new, 1), check=False)) == 2


def test_filter_tiles_can_be_allowed_alone() -> None:
    text = MAPPING.replace("(3,3) S", "(1,1) S")
    network = parse_mapping(text, check=False)
    validate_network(network, filter_tiles=False)
    with pytest.raises(DescriptionError, match=r"all of S"):
        validate_network(network)
    spoilt = parse_mapping(text.replace("SpatialMap(1,1) K", "TemporalMap(1,1) K"), check=False)
    with pytest.raises(DescriptionError, match=r"no SpatialMap"):
        validate_network(spoilt, filter_tiles=False)
