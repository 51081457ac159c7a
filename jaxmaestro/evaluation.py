"""Evaluating whole networks and large batches: fixed shapes, retries, NumPy results."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import jax
import numpy as np

from jaxmaestro.description import DescriptionError, Hardware, Network
from jaxmaestro.description.reasons import Reason
from jaxmaestro.encoding.batch import VARIANTS, encode_network
from jaxmaestro.encoding.tables import Batch
from jaxmaestro.equations.cost import MORE_VARIANTS, Precision, cost_once
from jaxmaestro.equations.costs import Costs
from jaxmaestro.results.network import NetworkCosts

CHUNKS = (64, 2048)
"""Batch lengths that are compiled: a batch is cut into the larger, its rest padded to one of them."""

T = TypeVar("T")


def evaluate(network: Network, hardware: Hardware, precision: Precision = "exact") -> NetworkCosts:
    """Costs of every layer of a network on one accelerator, as NumPy arrays ``[layers]``.

    A layer that is illegal gets zeros and its ``reasons``; the others are not affected.

    Raises DescriptionError for an empty network or a layer that cannot be encoded (a
    dimension that its type does not have, no dataflow to take) and ValueError for an
    unknown precision.
    """
    if len(network) == 0:
        raise DescriptionError("the network has no layers", source=network.source, fix="add a Layer block")
    costs = evaluate_batch(encode_network(network, [hardware]), precision)
    return NetworkCosts(network.name, tuple(m.layer.name for m in network), hardware, costs)


def evaluate_batch(batch: Batch, precision: Precision = "exact", threads: int | None = None) -> Costs:
    """Costs of a batch of any length as NumPy arrays, in chunks of a few fixed shapes.

    Unlike :func:`jaxmaestro.cost` it cannot be traced; it repeats tuples that need
    more sub-tiles than the batch provides for, so that ``CAPACITY`` never remains.
    ``threads`` (default: one a core) chunks are evaluated at a time.

    Raises ValueError for an empty batch or an unknown precision.
    """
    if len(batch) == 0:
        raise ValueError("the batch has no tuples")
    result: Costs | None = None
    pending = np.arange(len(batch))
    for variants in (VARIANTS, *MORE_VARIANTS):
        result = _evaluate_rows(batch, pending, variants, precision, threads, result)
        pending = np.flatnonzero((result.reasons & int(Reason.CAPACITY)) != 0)
        if batch.levels == 1 or len(pending) == 0:
            break
    assert result is not None
    return result


def _evaluate_rows(
    batch: Batch,
    rows: np.ndarray,
    variants: int,
    precision: Precision,
    threads: int | None,
    into: Costs | None,
) -> Costs:
    """Costs of some rows, written to where they stand in ``into`` (made if there is none)."""
    chunks = [rows[start : start + CHUNKS[-1]] for start in range(0, len(rows), CHUNKS[-1])]

    def run(chunk: np.ndarray) -> Costs:
        padded = _gather(batch, chunk, variants)
        # Waited for here, in the thread that asked for it.
        return jax.tree.map(np.asarray, cost_once(padded, precision))[: len(chunk)]

    # The first chunk compiles what all need; side by side each thread would compile it.
    results = itertools.chain([run(chunks[0])], _each(run, chunks[1:], threads or os.cpu_count() or 1))
    for chunk, costs in zip(chunks, results, strict=True):
        if into is None:
            into = jax.tree.map(lambda a: np.empty((len(rows), *a.shape[1:]), a.dtype), costs)
        for field in dataclasses.fields(costs):
            getattr(into, field.name)[chunk] = getattr(costs, field.name)
    assert into is not None
    return into


def _each(run: Callable[[np.ndarray], Costs], chunks: list[np.ndarray], threads: int) -> Iterator[Costs]:
    """Results in order, ``threads`` of them in the making at a time."""
    if not chunks:
        return
    with ThreadPoolExecutor(min(threads, len(chunks))) as pool:
        yield from pool.map(run, chunks)


def _gather(batch: Batch, rows: np.ndarray, variants: int) -> Batch:
    """The rows with tables of their own, padded to a length that is compiled once."""
    length = next(size for size in CHUNKS if size >= len(rows))
    rows = np.concatenate([rows, np.full(length - len(rows), rows[0])])

    def take(index: np.ndarray, table: T) -> T:
        taken: T = jax.tree.map(lambda field: np.asarray(field)[np.asarray(index)[rows]], table)
        return taken

    each = np.arange(length, dtype=np.int32)
    return dataclasses.replace(
        batch,
        layers=take(batch.layer, batch.layers),
        mappings=take(batch.mapping, batch.mappings),
        hardware=take(batch.accelerator, batch.hardware),
        layer=each,
        mapping=each,
        accelerator=each,
        variants=(variants,) * (batch.levels - 1),
    )
