"""Cutting groups of tuples into chunks, running them, and putting the figures where they belong."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

import jax
import numpy as np

from jaxmaestro.description.reasons import Reason
from jaxmaestro.encoding.tables import Batch, MappingTable, Rows
from jaxmaestro.equations.cost import Precision
from jaxmaestro.equations.costs import Costs
from jaxmaestro.execution.grouping import Group
from jaxmaestro.execution.programs import Shape, blank_rows, program

_NO_LEVEL = {"size": 1, "size_sz": -1, "offset": 1, "offset_sz": -1, "cluster": 1, "cluster_sz": -1}
"""What a level that is not there holds, where it is not zero."""


def run_group(
    batch: Batch,
    group: Group,
    shape: Shape,
    precision: Precision,
    into: Costs | None = None,
    threads: int | None = None,
    devices: Sequence[jax.Device] = (),
) -> Costs | None:
    """Costs of the tuples of a group, written to their places in ``into`` (made if there is none).

    Rows whose sub-tiles do not fit beside their neighbours' are repeated in a chunk of
    fewer, so that ``CAPACITY`` never remains.
    """
    if len(group) == 0:
        return into
    run = program(shape, precision, devices)
    tables = dataclasses.replace(batch, mappings=_of_depth(batch.mappings, shape.levels))
    parts = max(len(devices), 1)
    pending = group
    while len(pending):
        crowded = []
        size = shape.rows * parts
        pieces = [pending.take(slice(i, i + size)) for i in range(0, len(pending), size)]

        def costs_of(piece: Group) -> Costs:
            rows = _rows(tables, piece, shape, parts if devices else 0)
            costs: Costs = jax.tree.map(np.asarray, run(rows))
            return costs

        # The device works on one chunk while the next is laid out and the last is put away.
        at_a_time = threads or (os.cpu_count() or 1)
        for piece, costs in _in_order(costs_of, pieces, at_a_time if not devices else 2):
            reasons = []
            for part in range(-(-len(piece) // shape.rows)):
                own = piece.take(slice(part * shape.rows, (part + 1) * shape.rows))
                found = costs[part] if devices else costs
                into = into or _room(len(batch), found)
                reasons.append(_put(into, own, found))
            again = (np.concatenate(reasons) & int(Reason.CAPACITY)) != 0
            crowded.append(piece.take(np.flatnonzero(again)))
        pending = Group(
            np.concatenate([c.tuples for c in crowded]), np.concatenate([c.length for c in crowded])
        )
    return into


def _room(tuples: int, like: Costs) -> Costs:
    """Costs of so many tuples, not set yet, of the types of others."""
    made: Costs = jax.tree.map(lambda a: np.empty((tuples, *a.shape[1:]), a.dtype), like)
    return made


def _of_depth(mappings: MappingTable, levels: int) -> MappingTable:
    """The table with so many levels; those cut off must not be in use."""
    held = mappings.kind.shape[1]

    def fit(name: str, field: np.ndarray) -> np.ndarray:
        if field.ndim == 1 or held == levels:
            return field
        if held > levels:
            return field[:, :levels]
        more = np.full((len(field), levels - held, *field.shape[2:]), _NO_LEVEL.get(name, 0), field.dtype)
        if name == "extra":
            more[:] = [-1, 0, 1, -1, 1, -1, 0]
        return np.concatenate([field, more], 1)

    return MappingTable(
        **{f.name: fit(f.name, np.asarray(getattr(mappings, f.name))) for f in dataclasses.fields(mappings)}
    )


def _rows(batch: Batch, group: Group, shape: Shape, parts: int) -> Rows:
    """The descriptions of a group, padded to a chunk (with ``parts``, to one for each)."""
    missing = shape.rows * max(parts, 1) - len(group)
    tuples = group.tuples
    if missing:
        tuples = np.concatenate([tuples, np.broadcast_to(tuples[:1], (missing, tuples.shape[1]))])
    first = tuples[:, 0]
    template = blank_rows(shape)

    def take(field: Any, index: np.ndarray) -> np.ndarray:
        taken = np.take(field, index, axis=0)
        return taken.reshape(parts, -1, *taken.shape[1:]) if parts else taken

    order = np.zeros((max(parts, 1), shape.tuples), np.int32)
    for part in range(max(parts, 1)):
        row, place = group.take(slice(part * shape.rows, (part + 1) * shape.rows)).places
        order[part, : len(row)] = place * shape.rows + row
    layer, mapping = np.asarray(batch.layer)[first], np.asarray(batch.mapping)[first]
    accelerator = np.asarray(batch.accelerator)[tuples]
    rows = dataclasses.replace(
        template,
        layers=jax.tree.map(lambda field: take(field, layer), batch.layers),
        mappings=jax.tree.map(lambda field: take(field, mapping), batch.mappings),
        hardware=jax.tree.map(lambda field: take(field, accelerator), batch.hardware),
        order=order if parts else order[0],
    )
    if missing:
        # Padding has no cases to walk: it is a mapping that is not there.
        rows.mappings.levels.reshape(-1)[len(group) :] = 0
    return rows


def _put(into: Costs, group: Group, costs: Costs) -> np.ndarray:
    """Figures of a chunk to the places of their tuples; the reasons of each row's first."""
    tuples = group.tuples[group.places]
    first, last = int(tuples[0]), int(tuples[-1])
    # Neighbours in the batch are copied in one go.
    side_by_side = last - first == len(tuples) - 1 and bool((np.diff(tuples) == 1).all())
    place: Any = slice(first, last + 1) if side_by_side else tuples
    for field in dataclasses.fields(costs):
        getattr(into, field.name)[place] = getattr(costs, field.name)[: len(tuples)]
    starts = np.cumsum(group.length) - group.length
    reasons: np.ndarray = costs.reasons[starts]
    return reasons


def _in_order(
    run: Callable[[Group], Costs], pieces: list[Group], at_a_time: int
) -> Iterator[tuple[Group, Costs]]:
    """Results as they come, ``at_a_time`` of them in the making and no more held."""
    if len(pieces) == 1 or at_a_time == 1:
        for piece in pieces:
            yield piece, run(piece)
        return
    waiting = iter(pieces)
    running: dict[Future[Costs], Group] = {}
    with ThreadPoolExecutor(at_a_time) as pool:
        while True:
            for piece in waiting:
                running[pool.submit(run, piece)] = piece
                if len(running) >= at_a_time:
                    break
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield running.pop(future), future.result()
