"""Every way through the evaluation gives the same bits: shared or not, general, on many devices."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxmaestro import Batch, Costs, cost, evaluate_batch, evaluation
from jaxmaestro.encoding.packed import Packed
from jaxmaestro.encoding.tables import MEMORY
from jaxmaestro.equations.arithmetic import EXACT, FLOAT32, Arithmetic
from jaxmaestro.equations.cost import Precision, row_costs
from jaxmaestro.equations.kernels import Lowering
from jaxmaestro.execution import grouping, programs
from jaxmaestro.execution.grouping import Tiling, share
from jaxmaestro.execution.programs import (
    FEW,
    GENERAL,
    ON_ACCELERATOR,
    ON_CPU,
    PLAIN,
    Shape,
    Shapes,
    blank_rows,
)
from tests.compiling import programs_anew, programs_for_few_chunks, unoptimised
from tests.equations.trials import differing_fields, has_figures
from tests.execution.mix import POINTS, doubled_batch, product_batch, three_levels

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True, scope="module")
def lasting() -> Iterator[None]:
    """Small batches are run as large ones are; those of three levels are in tests/test_golden.py."""
    with programs_for_few_chunks(False, but=GENERAL):
        yield


@pytest.fixture(scope="module")
def batch() -> Batch:
    return product_batch(2 * PLAIN.rows // len(POINTS) + 40)


def in_groups(batch: Batch) -> tuple[int, int, int]:
    """How many rows the programs for few and for many accelerators get, and how many tuples neither."""
    groups, left = share(batch, np.arange(len(batch)), evaluation.tilings(ON_CPU), evaluation.LEAST_SHARED)
    return len(groups[0]), len(groups[1]), len(left)


@pytest.fixture(scope="module")
def shared(batch: Batch) -> Costs:
    assert len(batch) > PLAIN.rows
    few, many, left = in_groups(batch)
    assert few == left == 0
    assert many > 0
    costs = evaluate_batch(batch)
    assert has_figures(costs).mean() > 0.5
    return costs


def test_briefly(batch: Batch, shared: Costs) -> None:
    """As the first small batches of a process, by programs that LLVM does not optimise."""
    with programs_anew(), programs_for_few_chunks(True):
        assert not differing_fields(shared, evaluate_batch(batch))
        assert [shape.brief for shape, *_ in programs._programs] == [True]


def test_brief_programs_are_for_the_first_few_tuples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "BRIEF_BATCH", 2)
    monkeypatch.setattr(programs, "BRIEF_TUPLES", 5)

    brief = dataclasses.replace(PLAIN, brief=True)

    def chosen(tuples: int, precision: Precision = "exact", others: tuple[Shape, ...] = ()) -> bool:
        return programs.suited(PLAIN, tuples, precision, (), others) == brief

    with programs_anew():
        assert not chosen(3)
        assert [chosen(2), chosen(1), chosen(2)] == [True, True, True]
        assert not chosen(1)
        assert chosen(1, "float32")
        programs._programs[FEW, "float32", ()] = None  # type: ignore[assignment]
        assert chosen(1, "float32") and not chosen(1, "float32", (FEW,))
        programs._programs[PLAIN, "float32", ()] = None  # type: ignore[assignment]
        assert not chosen(1, "float32")


def test_unshared(batch: Batch, shared: Costs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "LEAST_SHARED", len(POINTS))
    assert not differing_fields(shared, evaluate_batch(batch))


def test_few_accelerators(batch: Batch, shared: Costs) -> None:
    half = np.arange(0, len(batch), 2)
    few, many, left = in_groups(batch.take(half))
    assert many == left == 0
    assert few > 0
    assert not differing_fields(shared[half], evaluate_batch(batch.take(half)))


def test_few_and_many_accelerators(batch: Batch, shared: Costs) -> None:
    """Of every other pair all, of the rest some, of some of these one."""
    place = np.arange(len(batch))
    pair, point = np.divmod(place, len(POINTS))
    chosen = (pair % 2 == 0) | (point % 5 == 2) & (pair % 3 == 0) | (point == 7)
    assert all(number > 0 for number in in_groups(batch.take(place[chosen])))
    assert not differing_fields(shared[place[chosen]], evaluate_batch(batch.take(place[chosen])))


def test_in_any_order(batch: Batch, shared: Costs) -> None:
    order = np.random.default_rng(0).permutation(len(batch))
    assert not differing_fields(shared[order], evaluate_batch(batch.take(order)))


def test_longer_chunks(batch: Batch, shared: Costs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a GPU give the same bits (on this CPU, where they are compiled in a hurry)."""
    shapes = {f.name: getattr(ON_ACCELERATOR, f.name) for f in dataclasses.fields(ON_ACCELERATOR)}
    shapes = {name: dataclasses.replace(shape, brief=True) for name, shape in shapes.items()}
    monkeypatch.setattr(evaluation, "shapes_on", lambda devices: Shapes(**shapes))
    assert not differing_fields(shared, evaluate_batch(batch))


def test_without_kernels(batch: Batch, shared: Costs, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on versions of XLA that marked calls were not tried with."""
    assert programs.marked_calls()
    monkeypatch.setattr(programs, "_TRIED", ((0, 0), (0, 0)))
    assert not programs.marked_calls()
    with programs_anew():
        assert not differing_fields(shared, evaluate_batch(batch))


def test_a_kernel_may_not_need_all_that_it_is_given() -> None:
    """XLA ends the process at a parameter of a marked call that nothing depends on."""

    def walk(used: jax.Array, table: dict[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
        return used * 2, jax.lax.fori_loop(0, 3, lambda i, x: x + table["b"][i], used[0])

    table = {"a": jnp.ones((3, 4)), "b": jnp.arange(5), "c": jnp.zeros(2, bool)}
    step = jax.jit(functools.partial(Lowering(kernels=True).kernel, walk))
    double, total = step(jnp.arange(4), table)
    assert (double.tolist(), int(total)) == ([0, 2, 4, 6], 3)


@pytest.mark.parametrize("name", ["plain", "few", "shared", "general"])
@pytest.mark.parametrize("arithmetic", [EXACT, FLOAT32], ids=["exact", "float32"])
def test_programs_lower_for_a_gpu(name: str, arithmetic: Arithmetic) -> None:
    """Nothing in them is for a CPU alone, as far as can be told without a GPU."""
    shape = getattr(ON_ACCELERATOR, name)
    like = blank_rows(shape)

    def step(chunk: Packed) -> Costs:
        return row_costs(chunk.rows(like), arithmetic, Lowering(shape.block))

    with jax.enable_x64(arithmetic.exact):
        traced = jax.jit(step).trace(Packed.of(like))
        text = traced.lower(lowering_platforms=("cuda",)).as_text()
    assert "stablehlo" in text and "@main" in text


def test_general(batch: Batch, shared: Costs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "_general", lambda batch: np.ones(len(batch.mappings.levels), bool))
    rows = np.arange(0, len(batch), 23)
    assert not differing_fields(shared[rows], evaluate_batch(batch.take(rows)))


def test_one_thread(batch: Batch, shared: Costs) -> None:
    assert not differing_fields(shared, evaluate_batch(batch, threads=1))


@pytest.mark.parametrize(
    ("make", "hurry"),
    [(three_levels, True), (doubled_batch, True), (functools.partial(product_batch, 3), False)],
)
def test_cost(make: Callable[[], Batch], hurry: bool) -> None:
    batch = make()
    with unoptimised() if hurry else contextlib.nullcontext():
        expected = jax.tree.map(np.asarray, cost(batch))
    assert has_figures(expected).any()
    assert not differing_fields(expected, evaluate_batch(batch))


def test_several_accelerators_a_pair() -> None:
    flat = product_batch(3)
    points = len(POINTS) // 2  # those of one number of PEs
    batch = dataclasses.replace(
        flat,
        layer=flat.layer[::points],
        mapping=flat.mapping[::points],
        accelerator=flat.accelerator.reshape(-1, points),
    )
    expected = evaluate_batch(flat)
    with unoptimised():
        costs = cost(batch)
    for found in (costs, evaluate_batch(batch)):
        assert found.runtime.shape == (6, points)
        assert found.l1_sizes.shape == (6, points, 3)
        rows = jax.tree.map(lambda a: np.asarray(a).reshape(len(flat), *a.shape[2:]), found)
        assert not differing_fields(expected, rows)


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 200),
    st.integers(1, 5),
    st.lists(st.tuples(st.integers(1, 7), st.integers(1, 7), st.floats(0.1, 9)), min_size=1, max_size=3),
)
@settings(max_examples=60, deadline=None)
def test_grouping_covers_every_tuple_once(
    seed: int, length: int, least: int, sizes: list[tuple[int, int, float]]
) -> None:
    rng = np.random.default_rng(seed)
    batch = product_batch(4).take(rng.integers(0, 4 * len(POINTS), length))
    tuples = rng.permutation(length)[: rng.integers(1, length + 1)]
    groups, left = share(batch, tuples, [Tiling(*size) for size in sizes], least)
    assert len(groups) == len(sizes)
    covered = np.concatenate([left, *(group.tuples for group in groups)])
    assert sorted(covered.tolist()) == sorted(tuples.tolist())
    for group, (p, q, _) in zip(groups, sizes, strict=True):
        lengths = np.bincount(group.row, minlength=len(group))
        assert ((lengths >= least) & (lengths <= length)).all()
        assert group.noc.shape == (len(group), p)
        assert group.memory.shape == (len(group), q)
        # The row of a tuple is of its layer and mapping, and the point is its accelerator's.
        pair = group.pair[group.row]
        assert (batch.layer[pair] == batch.layer[group.tuples]).all()
        assert (batch.mapping[pair] == batch.mapping[group.tuples]).all()
        noc, memory = np.divmod(group.point, q)
        for field in dataclasses.fields(batch.hardware):
            side = group.memory[group.row, memory] if field.name in MEMORY else group.noc[group.row, noc]
            values = getattr(batch.hardware, field.name)
            assert (values[side] == values[batch.accelerator[group.tuples]]).all()
        pes = batch.hardware.num_pes[group.noc]
        assert (pes == pes[:, :1]).all()


@given(st.integers(1, 4 * len(POINTS)), st.integers(1, 9), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_a_product_is_grouped_by_its_first_pair(length: int, points: int, least: int) -> None:
    """As it would be tuple by tuple, the start of a pair at the end included."""
    whole = product_batch(4)
    chosen = np.arange(len(whole)) % len(POINTS) % 10 < points
    batch = whole.take(np.flatnonzero(chosen)[:length])
    tilings, tuples = evaluation.tilings(ON_CPU), np.arange(len(batch))
    groups, left = share(batch, tuples, tilings, least)
    expected, alone = grouping._share(batch, tuples, tilings, least)
    assert np.array_equal(left, alone)
    for group, other in zip(groups, expected, strict=True):
        for field in dataclasses.fields(group):
            assert np.array_equal(getattr(group, field.name), getattr(other, field.name)), field.name


def test_few_programs_and_eight_devices() -> None:
    flags = "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "XLA_"))}
    done = subprocess.run(
        [sys.executable, "-m", "tests.execution.elsewhere"],
        cwd=ROOT,
        env={**clean, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found["differing"] == []
    assert (found["few"], found["many"]) == (2, 4)
