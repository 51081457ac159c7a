"""Compiled programs that another process finds on disk."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import jax
import numpy as np
import pytest

from jaxmaestro import Batch, Costs, evaluate_batch
from jaxmaestro.execution import kept, programs
from jaxmaestro.execution.kept import Place
from jaxmaestro.execution.programs import ON_CPU, Shapes
from tests.equations.trials import differing_fields, has_figures
from tests.execution.mix import product_batch

SMALL = dataclasses.replace(ON_CPU.plain, rows=16, block=16, brief=True)


@contextlib.contextmanager
def cache(folder: str | None) -> Iterator[None]:
    """JAX keeps what it compiles in a folder, or not at all."""
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", folder)
    try:
        yield
    finally:
        jax.config.update("jax_compilation_cache_dir", before)


@contextlib.contextmanager
def new_process() -> Iterator[mock.Mock]:
    """No program is there yet; the calls that make one are counted."""
    made = mock.Mock(wraps=programs._made)
    with mock.patch.multiple(programs, _programs={}, _run_briefly=collections.Counter(), _made=made):
        yield made


@pytest.fixture(scope="module")
def batch() -> Batch:
    return product_batch(1)


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    shapes = Shapes(*[dataclasses.replace(SMALL, rows=n) for n in (16, 17, 18, 19)])
    with mock.patch("jaxmaestro.evaluation.shapes_on", lambda devices: shapes):
        yield


@pytest.fixture(scope="module")
def folder(batch: Batch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process leaves."""
    folder = tmp_path_factory.mktemp("cache") / "made"
    with cache(str(folder)), new_process() as made:
        evaluate_batch(batch)
    assert made.call_count == 1
    assert len(list(folder.glob("*.jaxmaestro"))) == 1
    return folder


@pytest.fixture(scope="module")
def expected(batch: Batch) -> Costs:
    with cache(None), new_process() as made:
        costs = evaluate_batch(batch)
    assert made.call_count == 1 and has_figures(costs).any()
    return costs


def test_the_next_process_finds_it(folder: Path, batch: Batch, expected: Costs) -> None:
    with cache(str(folder)), new_process() as made:
        found = evaluate_batch(batch)
    assert made.call_count == 0
    assert not differing_fields(expected, found)
    assert found.runtime.dtype == np.int64


@pytest.mark.parametrize("damage", ["shorter", "other", "empty"])
def test_a_damaged_one_is_made_anew(damage: str, folder: Path, tmp_path: Path) -> None:
    (path,) = folder.glob("*.jaxmaestro")
    content = bytearray(path.read_bytes())
    if damage == "other":
        content[len(content) // 2] ^= 1
    own = tmp_path / path.name
    own.write_bytes({"shorter": content[:-1], "other": content, "empty": b""}[damage])
    with cache(str(tmp_path)), new_process() as made:
        made.side_effect = RuntimeError("compiles")
        with pytest.warns(UserWarning, match="is not used: it is not whole"), pytest.raises(RuntimeError):
            programs.compiled(SMALL, "exact")
    assert made.call_count == 1


def test_what_cannot_be_loaded_is_made_anew(folder: Path, expected: Costs, batch: Batch) -> None:
    refuses = mock.patch.object(kept, "deserialize_and_load", side_effect=RuntimeError("not for this one"))
    warned = pytest.warns(UserWarning, match="is not used: not for this one")
    with cache(str(folder)), new_process() as made, refuses, warned:
        assert not differing_fields(expected, evaluate_batch(batch))
    assert made.call_count == 1


def test_a_folder_that_cannot_be_written(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "file").write_text("")
    with cache(str(folder)):
        (path,) = folder.glob("*.jaxmaestro")
        program = _place_of(path).get(programs.Packed.of(programs.blank_rows(SMALL)))
    assert program is not None
    with cache(str(tmp_path / "file" / "folder")), pytest.warns(UserWarning, match="not kept"):
        Place("anything").put(program)


def _place_of(path: Path) -> Place:
    place = Place()
    place.path = path
    return place


def test_where_there_is_no_folder() -> None:
    with cache(None):
        assert Place("anything").path is None
    with cache("gs://bucket/folder"):
        assert Place("anything").path is None


@pytest.mark.parametrize("change", ["nothing", "part", "source", "version", "flags", "processor"])
def test_found_by_all_that_it_is_made_from(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with cache(str(tmp_path)):
        before = Place("a", 1).path
        match change:
            case "source":
                monkeypatch.setattr(kept, "_sources", lambda: "other")
            case "version":
                monkeypatch.setattr(kept.metadata, "version", lambda name: f"{name} 0.0.1")
            case "flags":
                monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
            case "processor":
                monkeypatch.setattr(kept, "_processor", lambda: ("other",))
        after = Place("a", 2 if change == "part" else 1).path
    assert before is not None and before.parent == tmp_path
    assert (before == after) == (change == "nothing")


def test_sources_are_those_of_the_equations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change in one of the folders that programs are made from is another source."""
    package = tmp_path / "package"
    for folder in kept.MADE_FROM:
        (package / folder).mkdir(parents=True)
        (package / folder / "module.py").write_text("a = 1\n")
    monkeypatch.setattr(kept, "__file__", str(package / "execution" / "kept.py"))
    digests = [kept._sources.__wrapped__()]
    for folder in kept.MADE_FROM:
        (package / folder / "module.py").write_text("a = 2\n")
        digests.append(kept._sources.__wrapped__())
    assert len(set(digests)) == 1 + len(kept.MADE_FROM)
    assert None not in digests
    monkeypatch.setattr(kept, "__file__", str(tmp_path / "nowhere" / "execution" / "kept.py"))
    assert kept._sources.__wrapped__() is None
