"""Evaluating a space in chunks that survive an interruption."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from experiments.schema import Precision
from experiments.workloads import Space
from jaxmaestro import Batch, encode_pairs, evaluate_batch, to_table
from jaxmaestro.results.files import atomic


def encode_space(space: Space) -> Batch:
    """Every tuple of a space as one batch: tables of what is distinct, and an index for each tuple."""
    layers, dataflows = zip(*space.pairs, strict=True)
    return encode_pairs(layers, dataflows, space.hardware)


def evaluate_points(batch: Batch, tuples: np.ndarray, precision: Precision = Precision.exact) -> pa.Table:
    """All figures of the tuples ``[n]`` of a batch, one row each: the one place that calls the cost model."""
    return to_table(evaluate_batch(batch.take(tuples), precision=precision.value))


@dataclasses.dataclass(frozen=True)
class Chunks:
    """The chunk files of a run: ``size`` tuples each, in the order of the space."""

    folder: Path
    total: int
    size: int

    def __len__(self) -> int:
        return -(-self.total // self.size)

    def path(self, index: int) -> Path:
        return self.folder / f"{index:06d}.parquet"

    def tuples(self, index: int) -> np.ndarray:
        return np.arange(index * self.size, min(self.total, (index + 1) * self.size))

    def missing(self) -> list[int]:
        """Chunks to evaluate: files that are not there, cannot be read or hold another number of tuples."""
        return [i for i in range(len(self)) if not self._holds(i)]

    def _holds(self, index: int) -> bool:
        try:
            # All of it: a damaged page does not show in the footer.
            table = pyarrow.parquet.read_table(self.path(index))
        except (OSError, pa.ArrowException):
            return False
        return bool(table.num_rows == len(self.tuples(index)))

    def load(self) -> pa.Table:
        """Figures of the whole space, one row a tuple. All chunks must be there."""
        parts = [pyarrow.parquet.read_table(self.path(i)) for i in range(len(self))]
        return pa.concat_tables(parts).combine_chunks()


def evaluate_chunks(
    space: Space, chunks: Chunks, indices: Sequence[int], precision: Precision
) -> Iterator[tuple[int, float]]:
    """Evaluate and keep the chunks ``indices``; yields (tuples, seconds) of each.

    A file appears whole or not at all, so that stopping anywhere loses one chunk at most.
    """
    chunks.folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    batch = encode_space(space)
    for index in indices:
        tuples = chunks.tuples(index)
        table = evaluate_points(batch, tuples, precision)
        with atomic(chunks.path(index)) as path:
            pyarrow.parquet.write_table(table, path, compression="zstd")
        yield len(tuples), time.perf_counter() - start
        start = time.perf_counter()
