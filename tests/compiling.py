"""Compiling in less time, where what is compiled runs briefly; which programs a batch gets."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
from collections.abc import Iterator
from typing import Any
from unittest import mock

import jax

from jaxmaestro import evaluation
from jaxmaestro.execution import programs
from jaxmaestro.execution.programs import Shape, compiler_options
from jaxmaestro.search import run


@contextlib.contextmanager
def programs_anew() -> Iterator[None]:
    """Nothing that was compiled before is used, nor what is compiled here afterwards."""
    with mock.patch.multiple(programs, _programs={}, _run_briefly=collections.Counter()):
        yield


@contextlib.contextmanager
def unoptimised() -> Iterator[None]:
    """Programs that are compiled meanwhile are compiled in half the time or less, and run slower.

    Those of the cost model are not kept.
    """
    jax.config.update("jax_disable_most_optimizations", True)
    kept = {name: getattr(programs, name).copy() for name in ("_programs", "_run_briefly")}
    try:
        with mock.patch.multiple(programs, **kept), mock.patch.multiple(run, **_of_searches()):
            yield
    finally:
        jax.config.update("jax_disable_most_optimizations", False)


@functools.cache
def _of_searches() -> dict[str, Any]:
    """The programs of searches, compiled as the brief programs are."""
    static = {
        "_initial": ("searcher",),
        "_laid_out": ("shape",),
        "_advance": ("searcher", "shape"),
        "_steps": ("searcher", "length"),
    }
    return {
        name: jax.jit(
            getattr(run, name).__wrapped__,
            static_argnames=names,
            compiler_options=compiler_options(brief=True),
        )
        for name, names in static.items()
    }


@contextlib.contextmanager
def programs_for_few_chunks(wanted: bool, but: Shape | None = None) -> Iterator[None]:
    """Batches of any length go to the programs for few chunks, or to the lasting ones, ``but`` one's not."""

    def suited(shape: Shape, *_: object) -> Shape:
        return dataclasses.replace(shape, brief=True) if wanted != (shape == but) else shape

    with mock.patch.object(evaluation, "suited", suited):
        yield
