"""Which tuples share an analysis: same layer, same mapping, same number of PEs.

What bandwidths, latencies, lanes and capacities do not touch is worked out once for
all hardware points of such a group, and what off-chip bandwidth and capacities do not
touch once for all that differ in nothing else.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from jaxmaestro.encoding.tables import MEMORY, Batch, HardwareTable

Index = npt.NDArray[np.intp]


@dataclasses.dataclass(frozen=True)
class Group:
    """Tuples (indices into a batch) in rows that share an analysis.

    A row is a pair of layer and mapping on p times q hardware points: the NoCs of ``noc``
    with the memories of ``memory``, both rows of the hardware table. Its tuples are some of
    these points.
    """

    pair: Index  # [rows] one of the row's tuples
    noc: Index  # [rows, p]
    memory: Index  # [rows, q]
    start: Index  # [rows + 1] where the row's tuples begin
    tuples: Index  # [n], row after row
    point: Index  # [n] point of the row: place in `noc` * q + place in `memory`

    def __len__(self) -> int:
        return len(self.pair)

    @property
    def row(self) -> Index:
        """The row of every tuple."""
        return np.repeat(np.arange(len(self)), np.diff(self.start))

    @property
    def length(self) -> int | None:
        """How many tuples a row has, if all have as many; else None."""
        length = len(self.tuples) // max(len(self), 1)
        return length if (np.diff(self.start) == length).all() else None

    def part(self, first: int, last: int) -> Group:
        """Rows ``first`` to ``last``, without it."""
        last = min(last, len(self))
        start = self.start[first : last + 1]
        inside, rows = slice(start[0], start[-1]), slice(first, last)
        return Group(
            self.pair[rows],
            self.noc[rows],
            self.memory[rows],
            start - start[0],
            self.tuples[inside],
            self.point[inside],
        )

    def at(self, offsets: Index) -> Group:
        """These rows again and again, each time with tuples so many places further on."""
        times = len(offsets)

        def moved(tuples: Index) -> Index:
            return (offsets[:, None] + tuples).reshape(-1)

        start = np.append(0, np.cumsum(np.tile(np.diff(self.start), times)))
        noc, memory = (np.tile(side, (times, 1)) for side in (self.noc, self.memory))
        return Group(moved(self.pair), noc, memory, start, moved(self.tuples), np.tile(self.point, times))

    def and_then(self, other: Group) -> Group:
        """The rows of both."""
        fields = {f.name: (getattr(self, f.name), getattr(other, f.name)) for f in dataclasses.fields(self)}
        fields["start"] = self.start[:-1], self.start[-1] + other.start
        return Group(**{name: np.concatenate(pair) for name, pair in fields.items()})

    def where(self, rows: npt.NDArray[np.bool_]) -> Group:
        """The rows of a mask."""
        inside = rows[self.row]
        start = np.append(0, np.cumsum(np.diff(self.start)[rows]))
        tuples, point = self.tuples[inside], self.point[inside]
        return Group(self.pair[rows], self.noc[rows], self.memory[rows], start, tuples, point)


def singles(batch: Batch, tuples: Index) -> Group:
    """Each tuple by itself."""
    point = np.asarray(batch.accelerator)[tuples][:, None]
    return Group(tuples, point, point, np.arange(len(tuples) + 1), tuples, np.zeros(len(tuples), np.intp))


@dataclasses.dataclass(frozen=True)
class Tiling:
    """How many NoCs and memories a row takes at most, and how long it takes, in any unit."""

    nocs: int
    memories: int
    time: float = 1.0


def share(batch: Batch, tuples: Index, tilings: Sequence[Tiling], least: int) -> tuple[list[Group], Index]:
    """Rows with at least ``least`` tuples, a group for each tiling; the tuples left over.

    The hardware points of a layer under a mapping are cut by the tiling that takes the least time.
    Where pair after pair is on the same accelerators, as in a product, the first stands for all.
    """
    times, length = _alike(batch, tuples)
    if times == 1:
        return _share(batch, tuples, tilings, least)
    first = tuples[:length]
    groups, left = _share(batch, first, tilings, least)
    offsets = tuples[0 : times * length : length] - first[0]
    groups = [group.at(offsets) for group in groups]
    left = (offsets[:, None] + left).reshape(-1)
    rest = tuples[times * length :]
    if len(rest):
        more, alone = _share(batch, rest, tilings, least)
        groups = [one.and_then(other) for one, other in zip(groups, more, strict=True)]
        left = np.concatenate([left, alone])
    return groups, left


def _alike(batch: Batch, tuples: Index) -> tuple[int, int]:
    """Into how many blocks of what length tuples fall, each a pair by itself, all on the same accelerators.

    Tuples may be left over at the end. Without such a structure they are one block.
    """
    whole = 1, len(tuples)
    if len(tuples) == 0 or not consecutive(tuples):
        return whole
    pair = _pairs(batch, tuples)
    length = int(np.argmax(pair != pair[0])) or len(pair)
    times = len(pair) // length
    if times < 2 or length < 2:
        return whole
    accelerator = np.asarray(batch.accelerator)[tuples]
    pairs, accelerators = (side[: times * length].reshape(times, length) for side in (pair, accelerator))
    same = (pairs == pairs[:, :1]).all() and (accelerators == accelerators[0]).all()
    return (times, length) if same and (np.diff(pairs[:, 0]) > 0).all() else whole


def consecutive(tuples: Index) -> bool:
    """Whether each of some tuples is the next one of the batch."""
    return int(tuples[-1] - tuples[0]) == len(tuples) - 1 and bool((np.diff(tuples) == 1).all())


def _pairs(batch: Batch, tuples: Index) -> npt.NDArray[np.int64]:
    """A number of the layer and the mapping of every tuple."""
    layer, mapping = np.asarray(batch.layer)[tuples], np.asarray(batch.mapping)[tuples]
    return layer.astype(np.int64) * len(np.asarray(batch.mappings.levels)) + mapping


def _share(batch: Batch, tuples: Index, tilings: Sequence[Tiling], least: int) -> tuple[list[Group], Index]:
    """As :func:`share`, for tuples of any kind."""
    kind, noc, memory = _sides(batch.hardware)
    accelerator = np.asarray(batch.accelerator)[tuples]
    group = _numbered(_pairs(batch, tuples) * (int(kind.max()) + 1) + kind[accelerator])
    column, wide = _places(group, noc[accelerator])
    line, high = _places(group, memory[accelerator])
    best = np.argmin([-(-wide // t.nocs) * -(-high // t.memories) * t.time for t in tilings], axis=0)
    whole = _Cut(tuples, accelerator, group, column, line)
    groups, left = [], []
    for index, tiling in enumerate(tilings):
        own = best == index
        rows, rest = _in_rows(whole if own.all() else whole.where(own[group]), tiling, least)
        groups.append(rows)
        left.append(rest)
    return groups, np.sort(np.concatenate(left))


@dataclasses.dataclass(frozen=True)
class _Cut:
    """Some tuples, the number of their pair on so many PEs, and their places in its grid of points."""

    tuples: Index
    accelerator: Index
    group: Index
    column: Index
    line: Index

    def where(self, own: npt.NDArray[np.bool_]) -> _Cut:
        """The tuples of a mask."""
        return _Cut(*(getattr(self, field.name)[own] for field in dataclasses.fields(self)))


def _in_rows(cut: _Cut, tiling: Tiling, least: int) -> tuple[Group, Index]:
    """Tuples in rows: so many NoCs and memories of a pair at a time."""
    p, q = tiling.nocs, tiling.memories
    tuples, accelerator, column, line = cut.tuples, cut.accelerator, cut.column, cut.line
    wide, high = int(column.max(initial=0)) // p + 1, int(line.max(initial=0)) // q + 1
    row = (cut.group * wide + column // p) * high + line // q
    if not (row[1:] >= row[:-1]).all():
        order = np.argsort(row, kind="stable")
        tuples, accelerator, row, column, line = (a[order] for a in (tuples, accelerator, row, column, line))
    start = np.append(np.flatnonzero(np.diff(row, prepend=-1)), len(row))
    many = np.diff(start) >= least
    shared = np.repeat(many, np.diff(start))
    left = tuples[~shared]
    tuples, accelerator, column, line = (a[shared] for a in (tuples, accelerator, column % p, line % q))
    start = np.append(0, np.cumsum(np.diff(start)[many]))
    row = np.repeat(np.arange(len(start) - 1), np.diff(start))
    # Places that no tuple asks for repeat a tuple's.
    first = start[:-1]
    nocs, memories = (np.repeat(accelerator[first, None], length, axis=1) for length in (p, q))
    nocs[row, column] = accelerator
    memories[row, line] = accelerator
    return Group(tuples[first], nocs, memories, start, tuples, column * q + line), left


def _sides(hardware: HardwareTable) -> tuple[Index, Index, Index]:
    """Of each accelerator: what must agree in a row, which NoC it has, which memory."""
    fields = {f.name: np.asarray(getattr(hardware, f.name)) for f in dataclasses.fields(hardware)}
    rows = {name: field.reshape(len(field), -1) for name, field in fields.items()}
    memory = np.concatenate([rows[name] for name in MEMORY], 1)
    noc = np.concatenate([rows[name] for name in rows if name not in MEMORY], 1)
    # A point without bandwidth or lanes is illegal, which is asked of rows as a whole.
    some = [rows[name].min(1) > 0 for name in ("noc_bandwidth", "offchip_bandwidth", "simd_lanes")]
    kind = np.stack([fields["num_pes"], *some], 1)
    return _numbered_rows(kind), _numbered_rows(noc), _numbered_rows(memory)


def _numbered_rows(table: npt.NDArray[np.int_]) -> Index:
    """Each row's number among the distinct ones."""
    # Bytes of numbers with the highest byte first are in the order of the numbers, and sort quickly.
    lines = np.ascontiguousarray(table, dtype=">i8").view(np.dtype((np.void, 8 * table.shape[1])))
    return np.unique(lines, return_inverse=True)[1].reshape(-1)


def _numbered(code: npt.NDArray[np.int64]) -> Index:
    """Each code's number among the distinct ones, ascending."""
    if (code[1:] >= code[:-1]).all():
        return np.cumsum(np.diff(code, prepend=code[0]) != 0)
    return np.unique(code, return_inverse=True)[1].reshape(-1)


def _places(group: Index, side: Index) -> tuple[Index, Index]:
    """The place of each tuple's side among the distinct ones of its group, ascending; how many each has."""
    groups, sides = int(group.max()) + 1, int(side.max()) + 1
    if groups * sides > 8 * len(group) + 10**6:
        distinct, number = np.unique(group * sides + side, return_inverse=True)
        first = np.searchsorted(distinct, np.arange(groups + 1) * sides)
        return number.reshape(-1) - first[group], np.diff(first)
    there = np.zeros((groups, sides), bool)
    there[group, side] = True
    place = np.cumsum(there, 1, dtype=np.int32) - 1
    return place[group, side].astype(np.intp), place[:, -1].astype(np.intp) + 1
