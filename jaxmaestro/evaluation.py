"""Evaluating whole networks and large batches: fixed shapes, shared work, NumPy results."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import numpy as np

from jaxmaestro.description import DescriptionError, Hardware, Network
from jaxmaestro.encoding.batch import encode_network
from jaxmaestro.encoding.tables import Batch
from jaxmaestro.equations.cost import Precision, check_precision
from jaxmaestro.equations.costs import Costs
from jaxmaestro.execution.chunks import run_group
from jaxmaestro.execution.grouping import Tiling, share, singles
from jaxmaestro.execution.programs import PLAIN, Shapes, shapes_on, suited
from jaxmaestro.results.network import NetworkCosts

LEAST_SHARED = 2
"""Tuples that make it worth to analyse them as one row of a shared program."""
SHARED_TIMES = (1.0, 2.5)
"""How long a row of the programs for few and for many accelerators takes, measured on a CPU."""


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


def evaluate_batch(
    batch: Batch,
    precision: Precision = "exact",
    threads: int | None = None,
    devices: Sequence[jax.Device] = (),
) -> Costs:
    """Costs of a batch of any length as NumPy arrays, in chunks of a few fixed shapes.

    The same figures as :func:`jaxmaestro.cost`, bit for bit, but it cannot be traced.
    Tuples that differ only in bandwidths, latencies, lanes or capacities share one
    analysis; ``CAPACITY`` never remains. ``threads`` (default: one a core, or two
    for a GPU) chunks are evaluated at a time; ``devices`` (default: the default one) work side by side on a
    chunk each. A batch with several accelerators a pair has costs ``[b, p]``.

    Raises ValueError for an empty batch or an unknown precision.
    """
    check_precision(precision)
    if len(batch) == 0:
        raise ValueError("the batch has no tuples")
    if batch.accelerator.ndim > 1:
        flat = evaluate_batch(batch.flat(), precision, threads, devices)
        points: Costs = jax.tree.map(lambda a: a.reshape(*batch.accelerator.shape, *a.shape[1:]), flat)
        return points
    tuples, costs = np.arange(len(batch)), None
    shapes, general = shapes_on(devices), _general(batch)
    if general.any():
        in_general = general[np.asarray(batch.mapping)]
        own = singles(batch, tuples[in_general])
        shape = suited(shapes.general, len(own), precision, devices)
        costs = run_group(batch, own, shape, precision, costs, threads, devices)
        tuples = tuples[~in_general]
    several = len(tuples) > shapes.plain.rows
    others = (shapes.few, shapes.shared) if several else ()
    plain = suited(shapes.plain, len(tuples), precision, devices, others)
    if plain == shapes.plain and several:
        groups, tuples = share(batch, tuples, tilings(shapes), LEAST_SHARED)
        for group, shape in zip(groups, (shapes.few, shapes.shared), strict=True):
            costs = run_group(batch, group, shape, precision, costs, threads, devices)
    costs = run_group(batch, singles(batch, tuples), plain, precision, costs, threads, devices)
    assert costs is not None
    return costs


def tilings(shapes: Shapes) -> list[Tiling]:
    """How accelerators are shared out to the programs for few and for many of them."""
    shared = (shapes.few, shapes.shared)
    return [
        Tiling(shape.nocs, shape.memories, time) for shape, time in zip(shared, SHARED_TIMES, strict=True)
    ]


def _general(batch: Batch) -> np.ndarray:
    """Which mappings need the general program, bool ``[mappings]``."""
    doubled = (np.asarray(batch.mappings.extra)[..., 0] >= 0).any(1)
    return np.asarray((np.asarray(batch.mappings.levels) > PLAIN.levels) | doubled)
