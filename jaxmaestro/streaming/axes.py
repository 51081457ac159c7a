"""Which entries of a list are the same to evaluation: equal rows of the encoded tables."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

Index = npt.NDArray[np.int64]

_BLOCK = 4096
"""Rows whose bytes are laid side by side at a time."""


@dataclasses.dataclass(frozen=True, repr=False)
class Axis:
    """The entries of one of a product's lists and the distinct ones among them.

    Distinct entries are numbered by their first appearance, so that without equal
    entries the two numberings are one.
    """

    number: Index  # [n] the distinct entry that each entry is
    first: Index  # [u] where each distinct entry stands first, ascending
    order: Index  # [n] entries by distinct number, then by position
    digest: bytes  # of all entries in order

    @classmethod
    def of(cls, *tables: Any) -> Axis:
        """Entries whose rows ``[n, ...]`` of all these tables are equal are one.

        The rows are everything that evaluation sees: not names, nor lines, nor the
        order in which a layer's sizes were declared.
        """
        digests = _row_digests([np.asarray(leaf) for leaf in jax.tree.leaves(tables)])
        numbers: dict[bytes, int] = {}
        number = np.array([numbers.setdefault(each, len(numbers)) for each in digests], np.int64)
        first = np.unique(number, return_index=True)[1].astype(np.int64)
        order = np.argsort(number, kind="stable").astype(np.int64)
        return cls(number, first, order, hashlib.sha256(b"".join(digests)).digest())

    def __len__(self) -> int:
        """How many entries there are, equal ones counted."""
        return len(self.number)

    @property
    def distinct(self) -> int:
        """How many different entries there are."""
        return len(self.first)

    def copies(self, start: int, stop: int) -> Index:
        """Positions ``[k]``, ascending, of all entries that are distinct entries ``start`` to ``stop``."""
        if self.distinct == len(self):
            return np.arange(start, stop)
        low, high = np.searchsorted(self.number[self.order], [start, stop])
        return np.sort(self.order[low:high])


def _row_digests(leaves: Sequence[np.ndarray]) -> list[bytes]:
    """Sixteen bytes for each row over all leaves ``[n, ...]``."""
    rows = len(leaves[0])
    digests = []
    for start in range(0, rows, _BLOCK):
        block = [np.ascontiguousarray(leaf[start : start + _BLOCK]) for leaf in leaves]
        flat = np.concatenate([part.reshape(len(part), -1).view(np.uint8) for part in block], axis=1)
        digests += [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in flat]
    return digests
