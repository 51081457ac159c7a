"""Branches, loops, functions and bad input of the ONNX frontend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jaxmaestro.description import DescriptionError

onnx = pytest.importorskip("onnx", reason="the extra [onnx] is not installed")

from onnx import TensorProto, helper  # noqa: E402

from jaxmaestro.frontends.onnx_models import from_onnx  # noqa: E402
from tests.frontends.onnx_networks import Builder, squeezenet  # noqa: E402

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def _value(name: str, kind: int = FLOAT, shape: Any = None) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def _product(name: str, x: str, inner: int, columns: int) -> Any:
    """A graph without inputs of its own: a product of an outer value."""
    weight = TensorProto(name=f"{name}.weight", dims=[inner, columns], data_type=FLOAT)
    node = helper.make_node("MatMul", [x, weight.name], [f"{name}_out"], name)
    return helper.make_graph([node], name, [], [_value(f"{name}_out")], [weight])


def _if(condition: bool | None) -> Any:
    model = Builder(x=(4, 8))
    model.inputs.append(_value("c", BOOL, []))
    if condition is not None:
        model.weights.append(helper.make_tensor("known", BOOL, [], [condition]))
    name = "c" if condition is None else "known"
    branches = {"then_branch": _product("small", "x", 8, 2), "else_branch": _product("large", "x", 8, 5)}
    end = model.node("If", name, **branches)
    return model.model(model.node("Relu", end))


def test_branches() -> None:
    largest, everything = from_onnx(_if(None)), from_onnx(_if(None), branches="all")
    assert [layer.name for layer in largest.layers] == ["large"]
    assert [layer.name for layer in everything.layers] == ["small", "large"]
    assert "the larger branch is counted" in largest.notes[0]
    # The type of the branch's result is known outside.
    assert next(each for each in largest.unmapped if each.name == "Relu").elements == 20


@pytest.mark.parametrize(("condition", "name"), [(True, "small"), (False, "large")])
def test_a_branch_that_is_known(condition: bool, name: str) -> None:
    workload = from_onnx(_if(condition))
    assert [layer.name for layer in workload.layers] == [name] and not workload.notes


def _loop(trips: int | None, kept: bool = True) -> Any:
    model = Builder(x=(4, 8))
    weight = TensorProto(name="step.weight", dims=[8, 8], data_type=FLOAT)
    going_on = helper.make_node("Identity", ["go"], ["go_out"])
    if not kept:
        going_on = helper.make_node("Not", ["go"], ["go_out"])
    body = helper.make_graph(
        [going_on, helper.make_node("MatMul", ["h", "step.weight"], ["h_out"], "step")],
        "body",
        [_value("i", INT64, []), _value("go", BOOL, []), _value("h")],
        [_value("go_out", BOOL, []), _value("h_out"), _value("h_out")],
        [weight],
    )
    if trips is None:
        model.inputs.append(_value("n", INT64, []))
    else:
        model.weights.append(helper.make_tensor("n", INT64, [], [trips]))
    model.weights.append(helper.make_tensor("go_first", BOOL, [], [True]))
    model.nodes.append(helper.make_node("Loop", ["n", "go_first", "x"], ["last", "all"], "loop", body=body))
    return model.model(model.node("Relu", "last"), model.node("Tanh", "all"))


def test_loops() -> None:
    known, unknown, given = from_onnx(_loop(6)), from_onnx(_loop(None)), from_onnx(_loop(None), while_trips=9)
    assert [w.entries[0].count for w in (known, unknown, given)] == [6, 1, 9]
    assert [w.entries[0].unbounded for w in (known, unknown, given)] == [False, True, False]
    assert "give while_trips=" in unknown.notes[0] and not known.notes
    elements = {each.name: each.elements for each in known.unmapped}
    assert elements["Relu"] == 32 and elements["Tanh"] == 6 * 32
    assert from_onnx(_loop(6, kept=False)).entries[0].unbounded


def test_scan_runs_once_a_slice() -> None:
    model = Builder(x=(3, 16), y=(7, 3, 16))
    weight = TensorProto(name="cell.weight", dims=[16, 16], data_type=FLOAT)
    nodes = [
        helper.make_node("MatMul", ["h", "cell.weight"], ["p"], "cell"),
        helper.make_node("Add", ["p", "s"], ["h_out"]),
        helper.make_node("Identity", ["h_out"], ["s_out"]),
    ]
    body = helper.make_graph(
        nodes, "body", [_value("h"), _value("s")], [_value("h_out"), _value("s_out")], [weight]
    )
    node = helper.make_node("Scan", ["x", "y"], ["last", "all"], body=body, num_scan_inputs=1)
    model.nodes.append(node)
    workload = from_onnx(model.model(model.node("Relu", "all")))
    (entry,) = workload.entries
    assert (entry.layer.name, entry.count, entry.macs) == ("cell", 7, 3 * 16 * 16)
    elements = {each.name: each.elements for each in workload.unmapped}
    assert elements["Relu"] == 7 * 48 and elements["Add"] == 7 * 48


def test_functions_of_the_model_are_put_in_place() -> None:
    model = Builder(x=(4, 8))
    end = model.node("Twice", "x", model.weight(8, 8), domain="mine")
    made = model.model(end, more=[("mine", 1)])
    inner = [helper.make_node("MatMul", ["a", "w"], ["b"]), helper.make_node("MatMul", ["b", "w"], ["c"])]
    imports = [helper.make_opsetid("", 20)]
    made.functions.append(helper.make_function("mine", "Twice", ["a", "w"], ["c"], inner, imports))
    assert from_onnx(made).macs == 2 * 4 * 8 * 8


def test_an_unknown_operator_gives_a_report_and_a_usable_workload() -> None:
    model = Builder(x=(1, 3, 8, 8))
    x = model.node("Conv", "x", model.weight(4, 3, 3, 3), name="first")
    x = model.node("Magic", x, domain="mine", name="trick")
    x = model.node("Conv", x, model.weight(4, 4, 3, 3), name="lost")
    other = model.node("Conv", "x", model.weight(5, 3, 1, 1), name="second")
    workload = from_onnx(model.model(x, other, more=[("mine", 1)]))
    assert [layer.name for layer in workload.layers] == ["first", "second"]
    report = workload.report()
    assert "Magic" in report and "Conv lost: not counted" in report and "Magic trick" in report
    assert "Conv of unknown shape" in [each.name for each in workload.unmapped]
    assert [each.layer.name for each in workload.network().layers] == ["first", "second"]


def test_what_the_file_says_helps_behind_unknown_operators() -> None:
    model = Builder(x=(1, 3, 8, 8))
    x = model.node("Magic", "x", domain="mine")
    end = model.node("Conv", x, model.weight(4, 7, 3, 3), name="found")
    made = model.model(end, more=[("mine", 1)])
    made.graph.value_info.append(_value(x, FLOAT, [1, 7, 8, 8]))
    assert [layer.name for layer in from_onnx(made).layers] == ["found"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"input x is \[batch, 3, 224, 224\]: its sizes are open; .*sizes=\{'batch': \.\.\.\}"),
        ({"shapes": [(1, 3)]}, r"input x is \[batch, 3, 224, 224\], the shape given .* give 4 sizes"),
        ({"shapes": [(1, 3, 224, -1)]}, "length of -1"),
        ({"shapes": [(1, 3, 224, 224)] * 2}, "2 shapes for 1 inputs; the inputs are x"),
        ({"sizes": {"batch": 0}}, "a size in sizes"),
        ({"sizes": {"batch": 1}, "padding": "none"}, "choose one of same-as-maestro, exact"),
        ({"sizes": {"batch": 1}, "branches": "no"}, "choose one of largest, all"),
    ],
)
def test_bad_shapes_and_options_are_one_line(options: dict[str, Any], message: str) -> None:
    options = dict(options)
    with pytest.raises(DescriptionError, match=message) as error:
        from_onnx(squeezenet(), *options.pop("shapes", ()), **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("kind", "x", "weight", "message"),
    [
        ("Conv", (1, 5, 8, 8), [4, 3, 3, 3], "Conv odd: its input has 5 channels and its filter takes 3"),
        ("ConvTranspose", (1, 5, 8, 8), [4, 3, 3, 3], "5 channels and its filter takes 4; give inputs of"),
        ("MatMul", (2, 3), [4, 5], "layer MatMul odd: its input has 3 columns and its filter takes 4;"),
        ("Gemm", (2, 3), [4, 5], "3 columns and its filter takes 4;"),
    ],
)
def test_inputs_that_a_filter_does_not_take_are_refused(
    kind: str, x: tuple[int, ...], weight: list[int], message: str
) -> None:
    filters = TensorProto(name="w", dims=weight, data_type=FLOAT)
    node = helper.make_node(kind, ["x", "w"], ["y"], "odd")
    graph = helper.make_graph([node], "net", [_value("x", FLOAT, x)], [_value("y")], [filters])
    with pytest.raises(DescriptionError, match=message) as error:
        from_onnx(helper.make_model(graph))
    assert "\n" not in str(error.value)


def test_bad_files_are_one_line(tmp_path: Path) -> None:
    broken, empty = tmp_path / "broken.onnx", tmp_path / "empty.onnx"
    broken.write_bytes(b"\x08\x07 no model at all")
    empty.write_bytes(b"")
    for path, message in (
        (tmp_path / "none.onnx", "none.onnx: cannot be read: No such file"),
        (tmp_path, "cannot be read: Is a directory"),
        (broken, "broken.onnx: no ONNX model"),
        (empty, "empty.onnx: no ONNX model: it is empty"),
    ):
        with pytest.raises(DescriptionError, match=message) as error:
            from_onnx(path)
        assert "\n" not in str(error.value)
    with pytest.raises(DescriptionError, match="int is no ONNX model; give the path"):
        from_onnx(3)
