"""Memory for results, in large pages where the system has them.

A result is written once, so most of its cost is the system's: fresh memory in pages of
4 KiB takes five times as long to come by as in pages of 2 MiB (docs/performance.md).
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_PAGE = 2 * 2**20
_REGION = 2 * _PAGE
"""Arrays share regions of at least this size, so that one that is kept keeps little else."""
_LINE = 64  # arrays begin at a cache line


def empty(arrays: Sequence[tuple[tuple[int, ...], npt.DTypeLike]]) -> list[npt.NDArray[np.generic]]:
    """Arrays of these shapes and types, not set."""
    types = [(shape, np.dtype(dtype)) for shape, dtype in arrays]
    lengths = [-(-math.prod(shape) * dtype.itemsize // _LINE) * _LINE for shape, dtype in types]
    made: list[npt.NDArray[np.generic]] = []
    while len(made) < len(types):
        ends = np.cumsum(lengths[len(made) :])
        held = min(int(np.searchsorted(ends, _REGION)) + 1, len(ends))
        region = _region(int(ends[held - 1]))
        for offset in [0, *ends[: held - 1].tolist()]:
            made.append(np.ndarray(*types[len(made)], region, offset))
    return made


def _region(size: int) -> npt.NDArray[np.uint8]:
    """So many bytes."""
    if size < _REGION or not hasattr(mmap, "MADV_HUGEPAGE"):
        return np.empty(size, np.uint8)
    memory = mmap.mmap(-1, -(-size // _PAGE) * _PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    try:
        memory.madvise(mmap.MADV_HUGEPAGE)
    except OSError:  # the kernel was built without them
        pass
    return np.frombuffer(memory, np.uint8)
