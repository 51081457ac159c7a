"""Reductions over a product, and their states kept so that a second run continues them."""

from __future__ import annotations

import dataclasses
import time
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np

from jaxmaestro.description import DescriptionError
from jaxmaestro.equations.costs import Costs
from jaxmaestro.results.files import atomic
from jaxmaestro.streaming.axes import Index
from jaxmaestro.streaming.identity import identity
from jaxmaestro.streaming.plan import Chunk

_SHARE = 0.1
"""States are saved so seldom that it takes at most this share of the time."""

_DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


@runtime_checkable
class Fold(Protocol):
    """What :func:`jaxmaestro.evaluate_product` calls of a :class:`jaxmaestro.Reduction`.

    ``add`` is called chunk after chunk, with every tuple once, in an order that is
    that of the product unless it has equal entries (then equal tuples follow each
    other; within a chunk numbers ascend), and is the same in every run. A state is a
    pytree of arrays and numbers, of one structure throughout; the arrays of one that
    was saved come back as NumPy's.
    """

    def start(self) -> Any:
        """The state before any tuple."""

    def add(self, state: Any, index: Index, costs: Costs) -> Any:
        """The state with tuples ``index`` ``[n]``, numbered as in the product, of these costs ``[n]``."""

    def result(self, state: Any) -> Any:
        """What the state says in the end."""


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """States after the first ``count`` chunks, as the leaves of their trees."""

    count: int
    leaves: list[np.ndarray]


class Reducer:
    """The reductions of one run and how far they are."""

    def __init__(self, reductions: Sequence[Fold]) -> None:
        """Raises DescriptionError for what is no sequence of reductions."""
        if not isinstance(reductions, list | tuple):
            raise DescriptionError(f"reductions is {reductions!r}", fix="give a list of reductions")
        for i, reduction in enumerate(reductions):
            if not isinstance(reduction, Fold) or isinstance(reduction, type):
                raise DescriptionError(
                    f"reductions[{i}] is {reduction!r}", fix="a reduction has start(), add() and result()"
                )
        self.reductions = tuple(reductions)
        self.count = 0
        self._states = [reduction.start() for reduction in reductions]
        leaves, self._structure = jax.tree.flatten(self._states)
        self._numbers = [isinstance(leaf, bool | int | float) for leaf in leaves]

    def lacks(self, chunk: Chunk) -> bool:
        """Whether a chunk is not in the states."""
        return bool(self.reductions) and chunk.number >= self.count

    def add(self, chunk: Chunk, costs: Costs) -> None:
        """The next chunk."""
        index = chunk.index()
        pairs = zip(self.reductions, self._states, strict=True)
        self._states = [reduction.add(state, index, costs) for reduction, state in pairs]
        self.count = chunk.number + 1

    def results(self) -> tuple[Any, ...]:
        """What each reduction gives."""
        pairs = zip(self.reductions, self._states, strict=True)
        return tuple(reduction.result(state) for reduction, state in pairs)

    def snapshot(self) -> Snapshot:
        """A copy of the states. Raises TypeError where they are no arrays, or not as at the start."""
        structure: Any
        leaves, structure = jax.tree.flatten(self._states)
        arrays = [np.array(leaf) for leaf in leaves]
        if structure != self._structure or any(array.dtype.hasobject for array in arrays):
            raise TypeError(
                "states of reductions cannot be saved: they must be arrays and numbers in a structure that "
                f"does not change; at the start {self._structure}, now {structure}"
            )
        return Snapshot(self.count, arrays)

    def restore(self, snapshot: Snapshot | None) -> None:
        """Continue from a snapshot of the same reductions; without one that fits, from the start."""
        if snapshot is None or len(snapshot.leaves) != len(self._numbers):
            return
        pairs = zip(snapshot.leaves, self._numbers, strict=True)
        leaves = [leaf.item() if number else leaf for leaf, number in pairs]
        self._states = jax.tree.unflatten(self._structure, leaves)
        self.count = snapshot.count


class Checkpoint:
    """The file of a run's states: saved now and then, and by :meth:`flush` in the end."""

    def __init__(self, path: Path, mark: str, reducer: Reducer) -> None:
        """``mark`` is the fingerprint of the product."""
        self._path = path
        self._mark = (mark, identity(reducer.reductions))
        self._unsaved: Snapshot | None = None
        self._due = 0.0

    def load(self) -> Snapshot | None:
        """What an earlier run of the same reductions on the same product left, if it can be read."""
        if self._mark[1] is None:
            return None
        try:
            # Opened here: of a damaged file NumPy leaves closing to chance.
            with self._path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                if (str(file["product"]), str(file["reductions"])) != self._mark:
                    return None
                leaves = [file[f"leaf_{i}"] for i in range(int(file["leaves"]))]
                return Snapshot(int(file["count"]), leaves)
        except _DAMAGED:
            return None

    def offer(self, snapshot: Snapshot) -> None:
        """States that may be saved."""
        self._unsaved = snapshot
        if time.monotonic() >= self._due:
            self.flush()

    def flush(self) -> None:
        """Save the last states that were offered."""
        if self._unsaved is None or self._mark[1] is None:
            return
        start = time.monotonic()
        arrays: dict[str, Any] = {f"leaf_{i}": leaf for i, leaf in enumerate(self._unsaved.leaves)}
        arrays |= {"product": self._mark[0], "reductions": self._mark[1]}
        arrays |= {"count": self._unsaved.count, "leaves": len(self._unsaved.leaves)}
        with atomic(self._path) as path:
            np.savez(path, **arrays)
        self._unsaved, end = None, time.monotonic()
        self._due = end + (end - start) / _SHARE
