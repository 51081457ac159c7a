"""Evaluating whole networks and large batches: fixed shapes, retries, NumPy results."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from typing import TypeVar

import jax
import numpy as np

from jaxmaestro.description import Hardware, Network
from jaxmaestro.encoding.batch import encode_network
from jaxmaestro.encoding.tables import Batch
from jaxmaestro.equations.cost import Precision, cost
from jaxmaestro.equations.reasons import Reason
from jaxmaestro.results.costs import Costs
from jaxmaestro.results.network import NetworkCosts

CHUNKS = (64, 1024)
"""Batch lengths that are compiled: a batch is cut into the larger, its rest padded to one of them."""

T = TypeVar("T")

VARIANTS = (4, 32, 256)
"""Numbers of sub-tiles a level that are tried in turn; 256 is more than any mapping can have."""


def evaluate(network: Network, hardware: Hardware, precision: Precision = "exact") -> NetworkCosts:
    """Costs of every layer of a network on one accelerator, as NumPy arrays ``[layers]``.

    A layer that is illegal gets zeros and its ``reasons``; the others are not affected.

    Raises DescriptionError for a layer that cannot be encoded (a dimension that its
    type does not have, no dataflow to take) and ValueError for an unknown precision.
    """
    if len(network) == 0:
        raise ValueError("the network has no layers")
    costs = evaluate_batch(encode_network(network, [hardware]), precision)
    return NetworkCosts(network.name, tuple(m.layer.name for m in network), hardware, costs)


def evaluate_batch(batch: Batch, precision: Precision = "exact") -> Costs:
    """Costs of a batch of any length as NumPy arrays, in chunks of a few fixed shapes.

    Unlike :func:`jaxmaestro.cost` it cannot be traced; it repeats tuples that need
    more sub-tiles than the batch provides for, so that ``CAPACITY`` never remains.
    """
    parts = [_evaluate_rows(batch, rows, precision) for rows in _chunks(len(batch))]
    return jax.tree.map(lambda *arrays: np.concatenate(arrays), *parts)


def _chunks(length: int) -> Iterator[np.ndarray]:
    for start in range(0, length, CHUNKS[-1]):
        yield np.arange(start, min(start + CHUNKS[-1], length))


def _evaluate_rows(batch: Batch, rows: np.ndarray, precision: Precision) -> Costs:
    result: Costs | None = None
    pending = np.arange(len(rows))
    for variants in VARIANTS:
        padded = _gather(batch, rows[pending], variants)
        costs = jax.tree.map(np.asarray, cost(padded, precision))[: len(pending)]
        if result is None:
            result = costs
        else:
            result = jax.tree.map(functools.partial(_put, pending), result, costs)
        pending = pending[(costs.reasons & int(Reason.CAPACITY)) != 0]
        if batch.levels == 1 or len(pending) == 0:
            break
    assert result is not None
    return result


def _put(rows: np.ndarray, into: np.ndarray, values: np.ndarray) -> np.ndarray:
    into = into.copy()
    into[rows] = values
    return into


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
