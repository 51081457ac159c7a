"""Memory for results: arrays of the shapes asked for that do not overlap, and keep little else."""

from __future__ import annotations

import numpy as np
import pytest

from jaxmaestro.execution import room


@pytest.mark.parametrize("length", [0, 1, 1000, 200_000, 700_000])
def test_arrays_are_apart(length: int) -> None:
    shapes = [((length,), np.int64), ((length, 3), np.float64), ((length,), np.bool_), ((length,), np.uint32)]
    arrays = room.empty(shapes * 3)
    assert [(a.shape, a.dtype) for a in arrays] == [(shape, np.dtype(d)) for shape, d in shapes * 3]
    for value, array in enumerate(arrays):
        assert array.flags.writeable
        assert array.flags.aligned
        array[...] = value % 2 if array.dtype == bool else value
    for value, array in enumerate(arrays):
        assert (array == (value % 2 if array.dtype == bool else value)).all()


def test_an_array_that_is_kept_keeps_little_else() -> None:
    arrays = room.empty([((100_000,), np.int64)] * 70)
    kept = arrays[3].base
    assert kept is not None
    assert kept.nbytes <= 2 * room._REGION
    assert sum(array.base is kept for array in arrays) < 10


def test_without_large_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(room.mmap, "MADV_HUGEPAGE", raising=False)
    arrays = room.empty([((600_000,), np.int64), ((5,), np.int32)])
    arrays[0][:] = 1
    arrays[1][:] = 2
    assert arrays[0].sum() == 600_000
