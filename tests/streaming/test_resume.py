"""Runs that are stopped, at any moment, and what the same call makes of what they left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from jaxmaestro import Costs, DescriptionError, evaluate_product
from jaxmaestro.streaming.parts import figure_columns, part_path
from jaxmaestro.streaming.plan import Plan
from jaxmaestro.streaming.reducer import Checkpoint
from tests.streaming.stand_in import FLOWS, LAYERS, POINTS, PRODUCT, StandIn, Sum, expected_sum, whole


def interrupt(after: int) -> Callable[[int, int, float], None]:
    """A progress function that is stopped by Ctrl-C when the so-manieth chunk is done."""
    calls = []

    def progress(*call: float) -> None:
        calls.append(call)
        if len(calls) == after:
            raise KeyboardInterrupt

    return progress


def written(folder: Path) -> dict[str, int]:
    """When each part was written."""
    return {path.name: path.stat().st_mtime_ns for path in sorted(folder.glob("part-*.parquet"))}


def inodes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in folder.glob("part-*.parquet")}


def evaluated_again(parts: dict[str, int], chunk: int) -> int:
    """Tuples of the boxes whose parts are not all there."""
    work = Plan.of(*PRODUCT, chunk).work()
    return sum(
        len(box) for box, all in work if any(part_path(Path(), c.number).name not in parts for c in all)
    )


@pytest.mark.parametrize("after", [1, 2, 4, 8])
def test_interrupted_run_is_continued(stand_in: StandIn, tmp_path: Path, after: int) -> None:
    uninterrupted = evaluate_product(*PRODUCT, folder=tmp_path / "whole", chunk=5).table()
    stand_in.lengths.clear()
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        evaluate_product(*PRODUCT, folder=folder, chunk=5, progress=interrupt(after))
    before, where = written(folder), inodes(folder)
    assert after <= len(before) <= after + 3 < len(written(tmp_path / "whole"))
    assert not list(folder.glob(".*"))
    stand_in.lengths.clear()
    result = evaluate_product(*PRODUCT, folder=folder, chunk=5)
    now = written(folder)
    assert {name: now[name] for name in before} == before
    assert {name: inodes(folder)[name] for name in before} == where
    assert stand_in.tuples == evaluated_again(before, 5)
    assert result.table().equals(uninterrupted)
    for path in (tmp_path / "whole").glob("part-*"):
        assert path.read_bytes() == (folder / path.name).read_bytes()


def test_interruption_of_the_evaluation_leaves_whole_parts(
    stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jaxmaestro.streaming import product

    def evaluate(batch: Any, precision: Any, devices: Any) -> Costs:
        if len(stand_in.lengths) == 3:
            raise KeyboardInterrupt
        return stand_in(batch)

    with monkeypatch.context() as patch:
        patch.setattr(product, "evaluate_batch", evaluate)
        with pytest.raises(KeyboardInterrupt):
            evaluate_product(*PRODUCT, folder=tmp_path, chunk=5)
    for path in tmp_path.glob("part-*"):
        assert pq.read_table(path).num_rows > 0
    assert not list(tmp_path.glob(".*"))
    assert evaluate_product(*PRODUCT, folder=tmp_path, chunk=5).table(figure_columns()).to_pydict() == whole()


def test_finished_run_evaluates_nothing(stand_in: StandIn, tmp_path: Path) -> None:
    first = evaluate_product(*PRODUCT, folder=tmp_path, chunk=5)
    before = written(tmp_path)
    stand_in.lengths.clear()
    calls: list[float] = []
    again = evaluate_product(*PRODUCT, folder=tmp_path, chunk=5, progress=lambda done, *_: calls.append(done))
    assert stand_in.lengths == []
    assert written(tmp_path) == before
    assert again.table().equals(first.table())
    assert calls[-1] == 60


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    """One bit of a page, which the footer does not show."""
    content = bytearray(path.read_bytes())
    column = pq.read_metadata(path).row_group(0).column(3)
    content[column.data_page_offset + column.total_compressed_size // 2] ^= 4
    path.write_bytes(content)


def shorten(path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(table.slice(1), path)


def unmark(path: Path) -> None:
    pq.write_table(pq.read_table(path).replace_schema_metadata({"jaxmaestro_product": "another"}), path)


@pytest.mark.parametrize("damage", [cut, empty, flip, shorten, unmark, Path.unlink])
def test_damaged_part_is_done_again(
    stand_in: StandIn, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    first = evaluate_product(*PRODUCT, folder=tmp_path, chunk=5).table()
    stand_in.lengths.clear()
    before = written(tmp_path)
    damage(tmp_path / "part-000002.parquet")
    result = evaluate_product(*PRODUCT, folder=tmp_path, chunk=5)
    assert len(stand_in.lengths) == 1
    assert result.table().equals(first)
    now = written(tmp_path)
    assert [name for name in before if now[name] != before[name]] == ["part-000002.parquet"]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"chunk": 6}, "chunk 5, now 6"),
        ({"precision": "float32"}, "precision exact, now float32"),
        ({"columns": ["runtime"]}, r"columns None, now \['runtime'\]"),
        ({"layers": LAYERS[:4]}, "tuples 60, now 48"),
        ({"hardware": POINTS[::-1]}, "other layers, dataflows or hardware"),
        ({"layers": LAYERS[::-1]}, "other layers, dataflows or hardware"),
        ({"dataflows": FLOWS[1:] + FLOWS[:1]}, "other layers, dataflows or hardware"),
    ],
)
def test_another_product_is_refused_or_overwritten(
    stand_in: StandIn, tmp_path: Path, change: dict[str, Any], what: str
) -> None:
    first: dict[str, Any] = {"layers": LAYERS, "dataflows": FLOWS, "hardware": POINTS, "chunk": 5}
    evaluate_product(folder=tmp_path, **first)
    before = written(tmp_path)
    with pytest.raises(DescriptionError, match=rf"another product \({what}.*resume=False to overwrite it"):
        evaluate_product(**(first | change), folder=tmp_path)
    assert written(tmp_path) == before
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "part-000099.parquet").write_text("of a longer run")
    second = evaluate_product(folder=tmp_path, resume=False, **(first | change))
    evaluate_product(folder=tmp_path / "fresh", **(first | change))
    assert written(tmp_path).keys() == written(tmp_path / "fresh").keys()
    assert second.table(["runtime"]).num_rows == second.tuples
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_names_may_change(stand_in: StandIn, tmp_path: Path) -> None:
    evaluate_product(*PRODUCT, folder=tmp_path)
    stand_in.lengths.clear()
    renamed = [point.replace(name="renamed") for point in POINTS]
    evaluate_product(LAYERS, FLOWS, renamed, tmp_path)
    assert stand_in.lengths == []
    assert '"renamed"' in (tmp_path / "manifest.json").read_text()


@pytest.mark.parametrize("content", ["{", "[]", '{"fingerprint": "0"}', "\udcff"])
def test_damaged_manifest_is_refused(stand_in: StandIn, tmp_path: Path, content: str) -> None:
    evaluate_product(*PRODUCT, folder=tmp_path)
    (tmp_path / "manifest.json").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(
        DescriptionError, match=r"manifest.json is damaged; give another folder, or resume=False"
    ):
        evaluate_product(*PRODUCT, folder=tmp_path)
    assert evaluate_product(*PRODUCT, folder=tmp_path, resume=False).table(["runtime"]).num_rows == 60


def test_what_a_killed_process_was_writing_goes(stand_in: StandIn, tmp_path: Path) -> None:
    left = [".part-000003.x1.parquet", ".manifest.x2.json", ".reductions.x3.npz"]
    for name in left:
        (tmp_path / name).write_text("half")
    (tmp_path / ".hidden").write_text("mine")
    evaluate_product(*PRODUCT, folder=tmp_path)
    assert [path.name for path in tmp_path.glob(".*")] == [".hidden"]


# Reductions


def test_reductions_of_a_product_that_is_not_stored(stand_in: StandIn, tmp_path: Path) -> None:
    result = evaluate_product(*PRODUCT, reductions=[Sum(), Sum(3)], chunk=5)
    assert result.reductions == (expected_sum(), expected_sum(3))
    assert stand_in.tuples == 18
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("after", [1, 3, 5])
def test_reductions_are_continued(stand_in: StandIn, tmp_path: Path, after: int) -> None:
    call: dict[str, Any] = {"columns": ["energy"], "reductions": [Sum(), Sum(3)], "chunk": 5}
    with pytest.raises(KeyboardInterrupt):
        evaluate_product(*PRODUCT, folder=tmp_path, progress=interrupt(after), **call)
    with np.load(tmp_path / "reductions.npz") as states:
        assert after <= states["count"] == len(written(tmp_path))
    before = written(tmp_path)
    stand_in.lengths.clear()
    result = evaluate_product(*PRODUCT, folder=tmp_path, **call)
    assert result.reductions == (expected_sum(), expected_sum(3))
    assert stand_in.tuples == evaluated_again(before, 5)
    assert {name: written(tmp_path)[name] for name in before} == before
    stand_in.lengths.clear()
    assert evaluate_product(*PRODUCT, folder=tmp_path, **call).reductions == result.reductions
    assert stand_in.lengths == []


def test_states_behind_the_parts_catch_up(stand_in: StandIn, tmp_path: Path) -> None:
    evaluate_product(*PRODUCT, folder=tmp_path, chunk=5)
    before = written(tmp_path)
    result = evaluate_product(*PRODUCT, folder=tmp_path, chunk=5, reductions=[Sum()])
    assert result.reductions == (expected_sum(),)
    assert written(tmp_path) == before


def test_part_that_is_gone_is_not_added_twice(stand_in: StandIn, tmp_path: Path) -> None:
    evaluate_product(*PRODUCT, folder=tmp_path, chunk=5, reductions=[Sum()])
    (tmp_path / "part-000001.parquet").unlink()
    assert evaluate_product(*PRODUCT, folder=tmp_path, chunk=5, reductions=[Sum()]).reductions == (
        expected_sum(),
    )
    assert "part-000001.parquet" in written(tmp_path)


def test_states_of_other_reductions_are_not_taken(stand_in: StandIn, tmp_path: Path) -> None:
    evaluate_product(*PRODUCT, folder=tmp_path, chunk=5, reductions=[Sum()])
    for others in ([Sum(3)], [Sum(), Sum(3)], [Sum(3), Sum()]):
        result = evaluate_product(*PRODUCT, folder=tmp_path, chunk=5, reductions=others)
        assert result.reductions == tuple(expected_sum(each.factor) for each in others)


@pytest.mark.parametrize("damage", [cut, empty, Path.unlink])
def test_damaged_states_are_computed_again(
    stand_in: StandIn, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    evaluate_product(*PRODUCT, folder=tmp_path, chunk=5, reductions=[Sum()])
    before = written(tmp_path)
    damage(tmp_path / "reductions.npz")
    assert evaluate_product(*PRODUCT, folder=tmp_path, chunk=5, reductions=[Sum()]).reductions == (
        expected_sum(),
    )
    assert written(tmp_path) == before


def test_states_are_saved_with_the_parts_when_there_is_time(
    stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = []
    flush = Checkpoint.flush

    def counted(checkpoint: Checkpoint) -> None:
        saved.append(checkpoint)
        flush(checkpoint)

    monkeypatch.setattr(Checkpoint, "flush", counted)
    monkeypatch.setattr("jaxmaestro.streaming.reducer._SHARE", 1e9)
    evaluate_product(*PRODUCT, folder=tmp_path, chunk=5, reductions=[Sum()])
    assert len(saved) == len(written(tmp_path)) + 1


class Growing(Sum):
    """Its state does not keep its structure."""

    def add(self, state: Any, index: np.ndarray, costs: Costs) -> Any:
        return {**state, str(len(state)): index}


class Odd(Sum):
    """Its state is no array."""

    def start(self) -> Any:
        return object()

    def add(self, state: Any, index: np.ndarray, costs: Costs) -> Any:
        return state


@pytest.mark.parametrize("reduction", [Growing(), Odd()])
def test_states_that_cannot_be_saved_are_refused(stand_in: StandIn, tmp_path: Path, reduction: Sum) -> None:
    with pytest.raises(TypeError, match="states of reductions cannot be saved"):
        evaluate_product(*PRODUCT, folder=tmp_path, reductions=[reduction])


def test_states_are_kept_where_a_result_fails(stand_in: StandIn, tmp_path: Path) -> None:
    class Failing(Sum):
        def result(self, state: Any) -> tuple[int, ...]:
            raise RuntimeError("no result")

    with pytest.raises(RuntimeError, match="no result"):
        evaluate_product(*PRODUCT, folder=tmp_path, reductions=[Failing()])
    with np.load(tmp_path / "reductions.npz") as states:
        assert states["count"] == len(written(tmp_path))
