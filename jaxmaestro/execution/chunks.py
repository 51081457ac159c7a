"""Cutting groups of tuples into chunks, running them, and putting the figures where they belong."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import jax
import numpy as np

from jaxmaestro.description.reasons import Reason
from jaxmaestro.encoding.packed import Packed
from jaxmaestro.encoding.tables import Batch, MappingTable
from jaxmaestro.equations.cost import Precision
from jaxmaestro.equations.costs import Costs
from jaxmaestro.execution.grouping import Group, Index, consecutive
from jaxmaestro.execution.programs import Shape, compiled
from jaxmaestro.execution.room import empty

T = TypeVar("T")

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
    program = compiled(shape, precision, devices)
    words = _words(batch, group, shape)
    room = into or _room(len(batch), program.costs)
    parts = max(len(devices), 1)

    def fill(piece: Group) -> Group:
        """Put the costs of a piece in their places; the rows that must be repeated."""
        costs: Costs = jax.tree.map(np.asarray, program.run(_chunk(words, piece, shape, len(devices))))
        crowded = np.zeros(len(piece), bool)
        for part in range(-(-len(piece) // shape.rows)):
            first, last = part * shape.rows, (part + 1) * shape.rows
            found = costs[part] if devices else costs
            own = piece.part(first, last)
            _put(room, own, found)
            crowded[first:last] = (found.reasons[0, 0, : len(own)] & int(Reason.CAPACITY)) != 0
        return piece.where(crowded)

    # The device works on one chunk while the next is laid out and the last is put away.
    cores = (os.cpu_count() or 1) if jax.default_backend() == "cpu" else 2
    at_a_time = 2 if devices else threads or cores
    pending = [group]
    while pending:
        pieces = [piece for one in pending for piece in _cut(one, shape.rows * parts, at_a_time)]
        pending = [crowded for crowded in _as_done(fill, pieces, at_a_time) if len(crowded)]
    return room


def _cut(group: Group, size: int, at_a_time: int) -> Iterator[Group]:
    """Pieces of at most ``size`` rows, nearly equal, that keep all workers busy to the end."""
    pieces = -(-len(group) // size)
    if pieces > 1:
        pieces = -(-pieces // at_a_time) * at_a_time
    for i in range(pieces):
        yield group.part(len(group) * i // pieces, len(group) * (i + 1) // pieces)


def _room(tuples: int, like: Costs) -> Costs:
    """Costs ``[tuples]``, not set yet, of the types of others ``[p, q, b]``."""
    fields, structure = jax.tree.flatten(like)
    arrays = empty([((tuples, *field.shape[3:]), field.dtype) for field in fields])
    made: Costs = jax.tree.unflatten(structure, arrays)
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


@dataclasses.dataclass(frozen=True)
class _Words:
    """What the tuples of a batch say."""

    tables: Packed
    layer: Index  # [tuples] entry of a tuple's layer
    mapping: Index


def _words(batch: Batch, group: Group, shape: Shape) -> _Words:
    """The words of what a group uses: of tables that are longer than it, only that."""

    def used(table: T, entry: Index) -> tuple[T, Index]:
        if len(jax.tree.leaves(table)[0]) <= len(group):
            return table, entry
        own, place = np.unique(entry[group.pair], return_inverse=True)
        places = np.zeros(len(entry), np.intp)
        places[group.pair] = place.reshape(-1)
        taken: T = jax.tree.map(lambda field: np.take(field, own, axis=0), table)
        return taken, places

    layers, layer = used(batch.layers, np.asarray(batch.layer))
    mappings, mapping = used(batch.mappings, np.asarray(batch.mapping))
    tables = Packed.of_tables(layers, _of_depth(mappings, shape.levels), batch.hardware)
    return _Words(tables, layer, mapping)


def _chunk(words: _Words, group: Group, shape: Shape, devices: int) -> Packed:
    """The descriptions of a group, padded to a chunk (with ``devices``, to one for each)."""
    missing = shape.rows * max(devices, 1) - len(group)
    padded = np.append(np.arange(len(group)), np.zeros(missing, np.intp))
    pair = group.pair[padded]
    chunk = words.tables.take(words.layer[pair], words.mapping[pair], group.noc[padded], group.memory[padded])
    # Padding has no cases to walk: it is a mapping that is not there.
    chunk.leave_out(len(group))
    if not devices:
        return chunk
    return jax.tree.map(lambda a: a.reshape(devices, -1, *a.shape[1:]), chunk)


def _put(into: Costs, group: Group, costs: Costs) -> None:
    """Figures ``[p, q, rows]`` of a chunk, each varying along some of the axes, to their tuples' places."""
    first, last = int(group.tuples[0]), int(group.tuples[-1])
    # Neighbours in the batch are copied in one go.
    side_by_side = consecutive(group.tuples)
    length = group.length if side_by_side else None
    row, (noc, memory) = group.row, np.divmod(group.point, group.memory.shape[1])
    indices: dict[tuple[int, int], Index] = {}
    for field in dataclasses.fields(costs):
        values = getattr(costs, field.name)
        p, q = axes = values.shape[:2]
        target = getattr(into, field.name)
        if length and axes == (1, 1):
            _repeat(values[0, 0, : len(group)], target[first : last + 1].reshape(len(group), length, -1))
            continue
        if axes not in indices:
            indices[axes] = ((noc if p > 1 else 0) * q + (memory if q > 1 else 0)) * values.shape[2] + row
        flat = values.reshape(-1, *values.shape[3:])
        if side_by_side:
            # Without a mode NumPy would copy to a buffer first.
            np.take(flat, indices[axes], axis=0, out=target[first : last + 1], mode="clip")
        else:
            target[group.tuples] = flat[indices[axes]]


def _repeat(values: np.ndarray, target: np.ndarray) -> None:
    """A figure ``[rows, ...]`` that all points share, to tuples ``[rows, points, words]``."""
    rows, points, words = target.shape
    if words == 1:
        target[:] = values[:, None, None]
        return
    # A few words at a time are copied slowly: many points of a row are.
    flat, some = target.reshape(rows, -1), np.tile(values.reshape(rows, words), (1, min(points, _AT_ONCE)))
    for begin in range(0, points * words, some.shape[1]):
        part = flat[:, begin : begin + some.shape[1]]
        part[:] = some[:, : part.shape[1]]


_AT_ONCE = 16
"""Points that are written in one go."""


def _as_done(run: Callable[[Group], Group], pieces: list[Group], at_a_time: int) -> Iterator[Group]:
    """What ``run`` gives for the pieces, ``at_a_time`` of them in the making."""
    if len(pieces) == 1 or at_a_time == 1:
        yield from map(run, pieces)
        return
    with ThreadPoolExecutor(at_a_time) as pool:
        yield from pool.map(run, pieces)
