"""The product path gives what one batch of the whole product gives, and says what is wrong with a call."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import jaxmaestro as jm
from jaxmaestro import (
    DescriptionError,
    ProductResult,
    encode_product,
    evaluate_batch,
    evaluate_product,
    to_table,
)
from jaxmaestro.streaming.parts import figure_columns
from tests.streaming.stand_in import DIFFERENT, FLOWS, LAYERS, POINTS, PRODUCT, Lists, StandIn, Sum, whole

INDICES = ["layer", "dataflow", "hardware"]


def bits(column: pa.ChunkedArray) -> list[Any]:
    """Values that are equal only if all bits are."""
    values = column.to_pylist()
    return [struct.pack("d", value) if isinstance(value, float) else value for value in values]


def test_bit_for_bit_as_one_batch(tmp_path: Path) -> None:
    expected = to_table(evaluate_batch(encode_product(*PRODUCT)))
    result = evaluate_product(*PRODUCT, folder=tmp_path, chunk=7)
    table = result.table()
    assert table.column_names == [*INDICES, *expected.column_names]
    for name in expected.column_names:
        assert table[name].type == expected[name].type, name
        assert bits(table[name]) == bits(expected[name]), name
    assert any(table["sound"].to_pylist())
    positions = zip(*(table[name].to_pylist() for name in INDICES), strict=True)
    assert list(positions) == [(i, j, k) for i in range(5) for j in range(3) for k in range(4)]
    assert {table[name].type for name in INDICES} == {pa.int32()}


@pytest.mark.parametrize("chunk", [1, 3, 10, 10**6])
def test_rows_are_the_product_and_each_tuple_is_evaluated_once(
    stand_in: StandIn, tmp_path: Path, chunk: int
) -> None:
    result = evaluate_product(*PRODUCT, folder=tmp_path, chunk=chunk)
    assert stand_in.tuples == result.evaluated == 3 * 2 * 3
    assert max(stand_in.lengths) <= chunk
    assert result.tuples == 60
    assert result.table(figure_columns()).to_pydict() == whole()


def test_parts_without_equal_entries_are_in_order(stand_in: StandIn, tmp_path: Path) -> None:
    evaluate_product(*DIFFERENT, folder=tmp_path, chunk=4)
    parts = sorted(tmp_path.glob("part-*.parquet"))
    tables = [pq.read_table(part) for part in parts]
    assert [table.num_rows for table in tables] == [3] * 6
    assert pa.concat_tables(tables)["runtime"].to_pylist() == whole(DIFFERENT)["runtime"]
    assert [table["layer"].unique().to_pylist() for table in tables] == [[0], [0], [1], [1], [2], [2]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["manifest.json", *(p.name for p in parts)]


def test_columns_are_selected(stand_in: StandIn, tmp_path: Path) -> None:
    names = ["runtime", "input_l1_reads", "reasons", "layer", "runtime"]
    result = evaluate_product(*PRODUCT, folder=tmp_path, columns=names)
    assert result.table().column_names == [*INDICES, "runtime", "input_l1_reads", "reasons"]
    table = result.table(["reasons", "dataflow"])
    assert table.column_names == ["reasons", "dataflow"]
    assert table["reasons"].to_pylist() == whole()["reasons"]
    assert result.table(["runtime"]).to_pydict() == {"runtime": whole()["runtime"]}


def test_all_columns_are_known() -> None:
    assert figure_columns() == to_table(StandIn()(encode_product(*DIFFERENT))).column_names


@pytest.mark.parametrize("lists", [PRODUCT, DIFFERENT], ids=["equal", "different"])
def test_rows_are_filtered(stand_in: StandIn, tmp_path: Path, lists: Lists) -> None:
    result = evaluate_product(*lists, folder=tmp_path, chunk=5)
    expected = [
        runtime
        for runtime, sound, layer in zip(
            whole(lists)["runtime"],
            whole(lists)["sound"],
            result.table(["layer"])["layer"].to_pylist(),
            strict=True,
        )
        if sound and layer > 0
    ]
    found = result.table(["runtime"], filter=pc.field("sound") & (pc.field("layer") > 0))
    assert 0 < len(expected) < result.tuples
    assert found["runtime"].to_pylist() == expected


def test_manifest_says_what_the_parts_are(stand_in: StandIn, tmp_path: Path) -> None:
    result = evaluate_product(*PRODUCT, folder=tmp_path, chunk=10, columns=["energy"])
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["layers"] == [layer.name for layer in LAYERS]
    assert manifest["dataflows"] == ["", "", "another name"]
    assert manifest["hardware"] == [""] * 4
    assert (manifest["tuples"], manifest["evaluated"], manifest["chunk"]) == (60, 18, 10)
    assert (manifest["columns"], manifest["precision"]) == (["energy"], "exact")
    assert manifest["parts"] == len(list(tmp_path.glob("part-*.parquet")))
    for part in tmp_path.glob("part-*.parquet"):
        metadata = pq.read_schema(part).metadata
        assert metadata[b"jaxmaestro_product"].decode() == manifest["fingerprint"]
    assert result.folder == tmp_path


def test_a_folder_is_opened_later(stand_in: StandIn, tmp_path: Path) -> None:
    result = evaluate_product(*PRODUCT, folder=tmp_path, chunk=10)
    opened = ProductResult.open(str(tmp_path))
    assert (opened.tuples, opened.evaluated, opened.rate, opened.reductions) == (60, 18, 0.0, ())
    assert opened.table().equals(result.table())
    assert opened.dataset().count_rows() == 60
    (tmp_path / "part-000001.parquet").unlink()
    with pytest.raises(DescriptionError, match=r"lacks 1 of \d+ parts"):
        ProductResult.open(tmp_path)
    with pytest.raises(DescriptionError, match=r"holds no product"):
        ProductResult.open(tmp_path / "elsewhere")


def test_result_says_how_quick_it_was(stand_in: StandIn, tmp_path: Path) -> None:
    first = evaluate_product(*PRODUCT, folder=tmp_path)
    assert first.seconds > 0
    assert first.rate == pytest.approx(60 / first.seconds, rel=0.5)
    again = evaluate_product(*PRODUCT, folder=tmp_path)
    assert again.rate == 0.0


def test_progress_counts_the_whole_product(stand_in: StandIn, tmp_path: Path) -> None:
    calls: list[tuple[int, int, float]] = []
    evaluate_product(*PRODUCT, folder=tmp_path, chunk=10, progress=lambda *call: calls.append(call))
    done = [call[0] for call in calls]
    assert len(calls) == len(list(tmp_path.glob("part-*.parquet")))
    assert done == sorted(set(done))
    assert done[-1] == 60
    assert {call[1] for call in calls} == {60}
    seconds = [call[2] for call in calls]
    assert seconds == sorted(seconds)
    assert seconds[0] >= 0


def test_progress_is_shown_on_standard_error(
    stand_in: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate_product(*PRODUCT, folder=tmp_path, progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "60/60 tuples" in shown.err
    assert "/s" in shown.err
    evaluate_product(*PRODUCT, folder=tmp_path, resume=False)
    assert capsys.readouterr() == ("", "")


def test_evaluation_is_on_the_devices_that_were_asked_for(stand_in: StandIn) -> None:
    device = jax.local_devices()[0]
    for devices, asked in ((None, ()), (1, (device,)), ([device], (device,))):
        evaluate_product(*PRODUCT, devices=devices, reductions=[Sum()])
        assert stand_in.devices.pop() == asked


def test_folder_may_be_text_and_is_made(stand_in: StandIn, tmp_path: Path) -> None:
    result = evaluate_product(*PRODUCT, folder=str(tmp_path / "a" / "b"))
    assert result.folder == tmp_path / "a" / "b"
    assert result.table(["runtime"]).num_rows == 60


def test_names_are_public() -> None:
    assert {"evaluate_product", "ProductResult"} <= set(jm.__all__)
    assert "evaluate_product" in dir(jm)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"chunk": 0}, "chunk is 0"),
        ({"chunk": 2.5}, "chunk is 2.5, which is no integer"),
        (
            {"columns": ["runtime", "latency"]},
            "no column 'latency'; columns are layer, dataflow, hardware, runtime",
        ),
        ({"columns": "runtime"}, "columns is 'runtime'; give a list"),
        ({"devices": 0}, "devices is 0; there are"),
        ({"devices": 10**6}, "devices is 1000000; there are"),
        ({"devices": []}, "devices is empty"),
        ({"devices": jax.local_devices()[:1] * 2}, "devices holds one twice"),
        ({"devices": ["cpu"]}, "give a number or a list of JAX devices"),
        ({"progress": 3}, "progress is 3"),
        ({"reductions": [Sum]}, r"reductions\[0\] is"),
        ({"reductions": [3]}, r"reductions\[0\] is 3; a reduction has start"),
        ({"reductions": Sum()}, "give a list of reductions"),
        ({"precision": "double"}, "precision is 'exact' or 'float32', not 'double'"),
        ({"layers": []}, "layers is empty"),
        ({"dataflows": []}, "dataflows is empty"),
        ({"hardware": []}, "hardware is empty"),
        ({"layers": LAYERS[0]}, "layers must be a sequence"),
        ({"hardware": [POINTS[0], 7]}, r"hardware\[1\] is 7"),
        ({"layers": [jm.Layer.of("odd", "GEMM", {"R": 3})]}, "GEMM has no dimension R"),
    ],
)
def test_bad_calls_are_refused_before_anything_is_written(
    stand_in: StandIn, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    call = {"layers": LAYERS, "dataflows": FLOWS, "hardware": POINTS, "folder": tmp_path / "run", **change}
    with pytest.raises(ValueError, match=message):
        evaluate_product(**call)
    assert not (tmp_path / "run").exists()
    assert stand_in.lengths == []


def test_there_must_be_something_to_keep(stand_in: StandIn) -> None:
    with pytest.raises(DescriptionError, match="give a folder, or reductions"):
        evaluate_product(*PRODUCT)
    with pytest.raises(DescriptionError, match="columns are stored in a folder"):
        evaluate_product(*PRODUCT, columns=["runtime"], reductions=[Sum()])


def test_folder_that_cannot_be_one_is_refused(stand_in: StandIn, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for place in (file, file / "below"):
        with pytest.raises(DescriptionError, match=r"cannot write to .*; give a folder that can be written"):
            evaluate_product(*PRODUCT, folder=place)
    assert stand_in.lengths == []


def test_result_without_a_folder_has_no_table(stand_in: StandIn) -> None:
    result = evaluate_product(*PRODUCT, reductions=[Sum()])
    assert result.folder is None
    with pytest.raises(DescriptionError, match="nothing was stored; give evaluate_product a folder"):
        result.table()


def test_column_that_was_not_stored_is_refused(stand_in: StandIn, tmp_path: Path) -> None:
    result = evaluate_product(*PRODUCT, folder=tmp_path, columns=["runtime"])
    with pytest.raises(
        DescriptionError, match="no column 'energy'; columns are layer, dataflow, hardware, runtime"
    ):
        result.table(["energy"])


def test_numbers_of_numpy_are_taken(stand_in: StandIn, tmp_path: Path) -> None:
    assert evaluate_product(*PRODUCT, folder=tmp_path, chunk=np.int32(9)).tuples == 60  # type: ignore[arg-type]
