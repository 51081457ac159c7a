"""Rows as words and back; nothing here is compiled."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmaestro import Batch
from jaxmaestro.encoding.packed import Packed
from jaxmaestro.encoding.tables import Rows
from tests.execution.mix import POINTS, doubled_batch, product_batch, three_levels


def same(found: Rows, expected: Rows) -> None:
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert np.array_equal(one, other)


@pytest.mark.parametrize("make", [lambda: product_batch(9), three_levels, doubled_batch])
def test_words_are_the_rows(make: Callable[[], Batch]) -> None:
    batch = make()
    rows = batch.rows()
    blank = jax.tree.map(np.zeros_like, rows)
    found = Packed.of(rows)
    same(found.rows(blank), rows)
    accelerator = batch.accelerator[:, None]
    tables = Packed.of_tables(batch.layers, batch.mappings, batch.hardware)
    taken = tables.take(batch.layer, batch.mapping, accelerator, accelerator)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(taken), strict=True):
        assert one.dtype == other.dtype == np.int32
        assert np.array_equal(one, other)


def test_words_of_several_points_are_the_rows() -> None:
    """The number of PEs and the memories vary along other axes than the NoCs."""
    half = len(POINTS) // 2
    pairs = product_batch(5).take(np.arange(0, 5 * len(POINTS), len(POINTS)))
    batch = dataclasses.replace(pairs, accelerator=np.tile(np.arange(half, dtype=np.int32), (5, 1)))
    rows = batch.rows()
    hardware = dataclasses.replace(rows.hardware, num_pes=rows.hardware.num_pes[:, :1])
    for name in ("l1_size", "l2_size", "offchip_bandwidth"):
        field = np.moveaxis(getattr(hardware, name), 1, 2)[..., :7]
        hardware = dataclasses.replace(hardware, **{name: field})
    rows = dataclasses.replace(rows, hardware=hardware)
    same(Packed.of(rows).rows(jax.tree.map(np.zeros_like, rows)), rows)


def test_rows_are_left_out() -> None:
    """Their mappings have no levels; nothing else changes, traced or not."""
    rows = product_batch(2).rows()
    expected = rows.mappings.levels.copy()
    expected[7:] = 0
    left = Packed.of(rows)
    left.leave_out(7)
    masked = jax.jit(Packed.only)(jax.tree.map(jnp.asarray, Packed.of(rows)), np.arange(len(rows)) < 7)
    for words in (left, masked):
        found = words.rows(rows)
        assert np.array_equal(found.mappings.levels, expected)
        whole = dataclasses.replace(found.mappings, levels=rows.mappings.levels)
        same(dataclasses.replace(found, mappings=whole), rows)
