"""Which tuples share an analysis: same layer, same mapping, same number of PEs.

What bandwidths, latencies, lanes and capacities do not touch is worked out once for
all hardware points of such a group.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from jaxmaestro.encoding.tables import Batch


@dataclasses.dataclass(frozen=True)
class Group:
    """Tuples (indices into a batch) in rows that share an analysis.

    ``tuples`` is ``[rows, p]``; the first ``length`` of a row count, the others repeat
    its first.
    """

    tuples: np.ndarray
    length: np.ndarray  # [rows]

    def __len__(self) -> int:
        return len(self.tuples)

    @property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Row and place in it of every tuple that counts, row by row."""
        rows, places = np.nonzero(np.arange(self.tuples.shape[1]) < self.length[:, None])
        return rows, places

    def take(self, rows: slice | np.ndarray) -> Group:
        """Some of the rows."""
        return Group(self.tuples[rows], self.length[rows])


def singles(tuples: np.ndarray) -> Group:
    """Each tuple by itself."""
    return Group(tuples[:, None], np.ones(len(tuples), int))


def share(batch: Batch, tuples: np.ndarray, points: int, least: int) -> tuple[Group, np.ndarray]:
    """Rows of up to ``points`` tuples with at least ``least`` each, and the tuples left over."""
    pes = np.asarray(batch.hardware.num_pes)
    _, kind = np.unique(pes, return_inverse=True)
    accelerator = np.asarray(batch.accelerator)[tuples]
    code = np.asarray(batch.layer)[tuples].astype(np.int64) * np.asarray(batch.mappings.levels).shape[0]
    code = (code + np.asarray(batch.mapping)[tuples]) * (int(kind.max()) + 1) + kind[accelerator]
    if not (code[1:] >= code[:-1]).all():
        order = np.argsort(code, kind="stable")
        tuples, code = tuples[order], code[order]
    number = np.arange(len(code))
    begins = np.concatenate([[True], code[1:] != code[:-1]])
    start = np.flatnonzero(begins)
    place = number - np.repeat(start, np.diff(np.append(start, len(code))))
    # A row begins with a group and after every `points` tuples of it.
    row = np.cumsum(place % points == 0) - 1
    length = np.bincount(row)
    many = length >= least
    shared = many[row]
    renumbered = (np.cumsum(many) - 1)[row[shared]]
    grid = np.repeat(tuples[shared][np.diff(renumbered, prepend=-1) > 0][:, None], points, axis=1)
    grid[renumbered, place[shared] % points] = tuples[shared]
    return Group(grid, length[many]), np.sort(tuples[~shared])
