"""Settings of the whole suite."""

from __future__ import annotations

import os
import shutil
import tempfile

# Tests and the commands that they run compile many of the same programs: each is compiled once a session.
_CACHE = tempfile.mkdtemp(prefix="jaxmaestro-tests-")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", _CACHE)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")


def pytest_unconfigure() -> None:
    shutil.rmtree(_CACHE, ignore_errors=True)
