"""Writing behind the evaluation: in order, bounded, and no error is lost."""

from __future__ import annotations

import errno
import functools
import threading
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from jaxmaestro import Batch, Costs, evaluate_product
from jaxmaestro.streaming import product
from jaxmaestro.streaming.parts import Parts
from jaxmaestro.streaming.plan import Chunk
from jaxmaestro.streaming.reducer import Checkpoint
from jaxmaestro.streaming.writer import Writer
from tests.streaming.stand_in import DIFFERENT, PRODUCT, Lists, StandIn, Sum

PATIENCE = 20.0
"""Seconds after which a test that hangs fails."""


def test_jobs_run_in_order_in_another_thread() -> None:
    ran: list[int] = []
    done: list[int] = []
    threads = set()

    def job(i: int) -> None:
        threads.add(threading.current_thread())
        ran.append(i)

    with Writer() as writer:
        for i in range(20):
            writer.submit(functools.partial(job, i), functools.partial(done.append, i))
    assert ran == done == list(range(20))
    assert threading.current_thread() not in threads
    assert len(threads) == 1


def test_no_more_than_one_job_waits() -> None:
    gate, submitted = threading.Event(), []

    def job() -> None:
        gate.wait(PATIENCE)

    def produce() -> None:
        with Writer() as writer:
            for i in range(5):
                writer.submit(job, lambda: None)
                submitted.append(i)

    thread = threading.Thread(target=produce)
    thread.start()
    thread.join(0.3)
    assert submitted == [0, 1]  # one runs, one waits
    gate.set()
    thread.join(PATIENCE)
    assert submitted == list(range(5))


def test_exception_drops_what_waits_and_finishes_what_runs() -> None:
    gate, started, ran = threading.Event(), threading.Event(), []

    def first() -> None:
        started.set()
        gate.wait(PATIENCE)
        ran.append("first")

    with pytest.raises(KeyboardInterrupt), Writer() as writer:
        writer.submit(first, lambda: None)
        writer.submit(lambda: ran.append("second"), lambda: None)
        assert started.wait(PATIENCE)
        threading.Timer(0.1, gate.set).start()
        raise KeyboardInterrupt
    assert ran == ["first"]


@pytest.mark.parametrize("last", [False, True])
def test_error_of_a_job_is_raised(last: bool) -> None:
    def fail() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    submitted = 0
    with pytest.raises(OSError, match="No space left"), Writer() as writer:
        for _ in range(1 if last else 10):
            writer.submit(fail, lambda: pytest.fail("it was not done"))
            submitted += 1
    assert submitted <= 2  # it is not found out in the end alone


@pytest.mark.parametrize("reductions", [(), (Sum(),)])
def test_full_disk_ends_the_run_and_is_continued_from(
    stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reductions: tuple[Sum, ...]
) -> None:
    write, room = pq.write_table, 3

    def fill(table: Any, path: Path, **options: Any) -> None:
        if len(list(tmp_path.glob("part-*"))) == room:
            path.write_bytes(b"half of it")
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(table, path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", fill)
        with pytest.raises(OSError, match="No space left"):
            evaluate_product(*DIFFERENT, folder=tmp_path, chunk=3, reductions=reductions)
    assert len(stand_in.lengths) <= room + 3
    assert sorted(path.name for path in tmp_path.glob("part-*")) == [
        f"part-00000{i}.parquet" for i in range(room)
    ]
    assert not list(tmp_path.glob(".*"))
    whole = evaluate_product(*DIFFERENT, folder=tmp_path / "whole", reductions=reductions)
    result = evaluate_product(*DIFFERENT, folder=tmp_path, chunk=3, reductions=reductions)
    assert result.table().equals(whole.table())
    assert result.reductions == whole.reductions


def test_error_of_the_run_is_not_hidden_by_one_of_saving(
    stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(checkpoint: Checkpoint) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def stop(*_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "flush", fail)
    monkeypatch.setattr(Checkpoint, "offer", lambda *_: None)
    with pytest.raises(KeyboardInterrupt):
        evaluate_product(*DIFFERENT, folder=tmp_path, reductions=[Sum()], progress=stop)
    with pytest.raises(OSError, match="No space left"):
        evaluate_product(*DIFFERENT, folder=tmp_path / "again", reductions=[Sum()])


class Counting(StandIn):
    """Counts the figures that are alive whenever others are made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.alive, self.most_before = 0, 0
        pick = Chunk.pick
        monkeypatch.setattr(product, "evaluate_batch", self)
        monkeypatch.setattr(Chunk, "pick", lambda chunk, costs: self._counted(pick(chunk, costs), costs))

    def __call__(self, batch: Batch, precision: str = "exact", devices: Sequence[Any] = ()) -> Costs:
        self.most_before = max(self.most_before, self.alive)
        return self._counted(super().__call__(batch, precision))

    def _counted(self, costs: Costs, parent: Costs | None = None) -> Costs:
        # An array outlives its Costs where a view of it is held.
        if parent is None or not np.shares_memory(costs.runtime, parent.runtime):
            self.alive += 1
            weakref.finalize(costs.runtime, self._gone)
        return costs

    def _gone(self) -> None:
        self.alive -= 1


@pytest.mark.parametrize("lists", [PRODUCT, DIFFERENT], ids=["equal", "different"])
def test_few_chunks_are_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lists: Lists) -> None:
    counting, write = Counting(monkeypatch), Parts.write

    def slow(parts: Parts, chunk: Chunk, costs: Costs) -> None:
        """Gives the evaluation the time to get as far ahead as it may."""
        time.sleep(0.01)
        write(parts, chunk, costs)

    monkeypatch.setattr(Parts, "write", slow)
    evaluate_product(*lists, folder=tmp_path, chunk=1)
    assert len(counting.lengths) == 18
    assert counting.most_before == 2  # one is written, one waits
    assert counting.alive == 0


def test_nothing_is_alive_without_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting(monkeypatch)
    evaluate_product(*DIFFERENT, chunk=1, reductions=[Sum()])
    assert (len(counting.lengths), counting.most_before, counting.alive) == (18, 0, 0)
