"""Where a search stands, in a file: the same search continues from it to the same result."""

from __future__ import annotations

import dataclasses
import zipfile
import zlib
from pathlib import Path

import jax
import numpy as np

from jaxmaestro.description import DescriptionError
from jaxmaestro.results.files import atomic
from jaxmaestro.search.problem import Problem
from jaxmaestro.search.run import History
from jaxmaestro.search.state import Searcher, State, initial


def save(path: Path, state: State, history: History) -> None:
    """Write a checkpoint, whole or not at all. Raises OSError where the folder cannot be written."""
    leaves = {f"state_{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}
    fields = {f.name: getattr(history, f.name) for f in dataclasses.fields(history)}
    with atomic(path) as place:
        np.savez(place, **leaves, **fields)  # type: ignore[arg-type]


def load(path: Path, searcher: Searcher, problem: Problem) -> tuple[State, History]:
    """Read what :func:`save` wrote for this searcher and problem.

    Raises DescriptionError for a file that cannot be read or belongs to another search.
    """
    with jax.enable_x64(True):
        expected = jax.eval_shape(lambda: initial(searcher, problem))
    like, structure = jax.tree.flatten(expected)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            leaves = [stored[f"state_{i}"] for i in range(len(like))]
            history = History(**{f.name: stored[f.name] for f in dataclasses.fields(History)})
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise DescriptionError(
            f"{path.name} cannot be read: {error}", fix="delete it and start again"
        ) from None
    if any(a.shape != b.shape or a.dtype != b.dtype for a, b in zip(leaves, like, strict=True)):
        raise DescriptionError(f"{path.name} is of another search", fix="delete it and start again")
    return jax.tree.unflatten(structure, leaves), history
