"""Compiling in less time, where what is compiled runs briefly."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import jax


@contextlib.contextmanager
def unoptimised() -> Iterator[None]:
    """Programs that are compiled meanwhile are compiled in half the time or less, and run slower."""
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", False)
