"""Settings of the whole suite."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Iterator

import pytest

_VARIABLE = "JAX_COMPILATION_CACHE_DIR"
_made: str | None = None

# Tests and the commands that they run compile many of the same programs: each is compiled once a session.
# Worker processes find the folder of the session in their environment.
if _VARIABLE not in os.environ:
    _made = os.environ[_VARIABLE] = tempfile.mkdtemp(prefix="jaxmaestro-tests-")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")


@pytest.fixture(scope="module")
def quickly() -> Iterator[None]:
    """Searches are compiled in half the time; the cost model's brief program is as other tests have it."""
    # Imported here: the folder above is for JAX to find.
    from jaxmaestro.execution.programs import PLAIN, compiled
    from tests.compiling import unoptimised

    compiled(dataclasses.replace(PLAIN, brief=True), "exact")
    with unoptimised():
        yield


def pytest_unconfigure() -> None:
    """The folder goes with the session that made it."""
    if _made is not None:
        shutil.rmtree(_made, ignore_errors=True)
