"""Compiled programs that another process finds on disk."""

from __future__ import annotations

import contextlib
import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import jax
import numpy as np
import pytest

from jaxmaestro import Batch, Costs, evaluate_batch
from jaxmaestro.execution import kept, programs
from jaxmaestro.execution.kept import SUFFIX, Slot
from jaxmaestro.execution.programs import ON_CPU, Shapes
from tests.compiling import programs_anew
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
    with programs_anew(), mock.patch.object(programs, "_made", made):
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
    assert len(list(folder.glob(f"*{SUFFIX}"))) == 1
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
    (path,) = folder.glob(f"*{SUFFIX}")
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


def test_one_that_jax_has_too_is_kept_right(
    folder: Path, expected: Costs, batch: Batch, tmp_path: Path
) -> None:
    """What XLA has read from JAX's own files it cannot write again: that must not be what is kept."""
    script = (
        "import sys, jax; jax.config.update('jax_compilation_cache_dir', sys.argv[1]); "
        "jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.0); "
        "import dataclasses; from jaxmaestro.execution import programs; "
        "shape = dataclasses.replace(programs.PLAIN, rows=16, block=16, brief=True); "
        "programs.compiled(shape, 'exact')"
    )
    for _ in range(2):  # the second time JAX has it, and we do not
        for path in tmp_path.glob(f"*{SUFFIX}"):
            path.unlink()
        subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
    assert len(list(tmp_path.glob(f"*{SUFFIX}"))) == 1
    assert len(list(tmp_path.glob("*-cache"))) >= 2
    with cache(str(tmp_path)), new_process() as made:
        assert not differing_fields(expected, evaluate_batch(batch))
    assert made.call_count == 0


@pytest.mark.parametrize("error", [OSError(28, "No space left"), NotImplementedError("not on this platform")])
def test_what_cannot_be_kept_is_used(error: Exception, tmp_path: Path, folder: Path) -> None:
    with cache(str(folder)):
        (path,) = folder.glob(f"*{SUFFIX}")
        built = _slot_of(path).get(programs.Packed.of(programs.blank_rows(SMALL)))
    assert built is not None
    fails = mock.patch.object(kept, "serialize", side_effect=error)
    with cache(str(tmp_path)), fails, pytest.warns(UserWarning, match=f"not kept in .*: {error.args[-1]}"):
        Slot("anything").put(built)
    assert not list(tmp_path.iterdir())


def _slot_of(path: Path) -> Slot:
    slot = Slot()
    slot.path = path
    return slot


def test_where_there_is_no_folder() -> None:
    with cache(None):
        assert Slot("anything").path is None
    with cache("gs://bucket/folder"):
        assert Slot("anything").path is None


@pytest.mark.parametrize(
    "change", ["nothing", "part", "source", "version", "flags", "processor", "cores", "device", "effort"]
)
def test_found_by_all_that_it_is_made_from(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with cache(str(tmp_path)):
        before = Slot("a", 1).path
        match change:
            case "source":
                monkeypatch.setattr(kept, "SOURCES", "other")
            case "version":
                monkeypatch.setattr(kept.metadata, "version", lambda name: f"{name} 0.0.1")
            case "flags":
                monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
            case "processor":
                monkeypatch.setattr(kept, "_processor", lambda: ("other",))
            case "cores":
                monkeypatch.setattr(kept.os, "cpu_count", lambda: 1000)
            case "device":
                other = mock.Mock(wraps=jax.devices()[0], id=7, process_index=0)
                monkeypatch.setattr(kept, "_device", lambda: other)
            case "effort":
                jax.config.update("jax_exec_time_optimization_effort", 0.5)
        try:
            after = Slot("a", 2 if change == "part" else 1).path
        finally:
            jax.config.update("jax_exec_time_optimization_effort", 0.0)
    assert before is not None and before.parent == tmp_path
    assert (before == after) == (change == "nothing")


def test_sources_are_those_of_the_equations(tmp_path: Path) -> None:
    """A change in one of the folders that programs are made from is another source."""
    for folder in kept.MADE_FROM:
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "module.py").write_text("a = 1\n")
    digests = [kept.sources_of(tmp_path)]
    for folder in kept.MADE_FROM:
        (tmp_path / folder / "module.py").write_text("a = 2\n")
        digests.append(kept.sources_of(tmp_path))
    assert len(set(digests)) == 1 + len(kept.MADE_FROM)
    assert None not in digests
    assert kept.sources_of(tmp_path / "nowhere") is None
    assert kept.SOURCES == kept.sources_of(Path(kept.__file__).parents[1])
