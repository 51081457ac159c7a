"""The cost function under JAX: 64-bit scoping, jit, vmap, sharding; and batches of any length and order."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmaestro import (
    Batch,
    Cluster,
    Costs,
    Dataflow,
    Hardware,
    Layer,
    Reason,
    SpatialMap,
    TemporalMap,
    cost,
    encode,
    evaluate_batch,
)
from jaxmaestro.encoding import HardwareTable
from jaxmaestro.equations.cost import cost_once
from jaxmaestro.execution.programs import compiler_options
from tests.compiling import unoptimised
from tests.equations.trials import ROWS, differing_fields, has_figures, one_level_batch

HURRY = compiler_options(brief=True)
"""What a program answers is the question here, not how fast it is."""
ROOT = Path(__file__).parents[2]
REAL = ("throughput", "average_active_pes", "noc_bandwidth_average", "energy", "area", "power")
Processes = dict[str, tuple[subprocess.Popen[str], Path]]
UNCOUNTED = ("num_pes", "noc_bandwidth", "simd_lanes", "levels_reached", "reasons", "sound", "fits")


def agree(found: Costs, expected: Costs) -> None:
    """Equal figures: counts and flags bit for bit, real ones to the last digits.

    Another program may add the terms of an energy in another order or fused.
    """
    for field in dataclasses.fields(Costs):
        a, b = (np.asarray(getattr(costs, field.name)) for costs in (found, expected))
        assert a.dtype == b.dtype, field.name
        if a.dtype.kind == "f":
            np.testing.assert_allclose(a, b, rtol=1e-14, err_msg=field.name)
        else:
            np.testing.assert_array_equal(a, b, err_msg=field.name)


@pytest.fixture(scope="module", autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Processes that start before the first test here and are waited for by the last ones."""
    folder = tmp_path_factory.mktemp("elsewhere")
    hurry = " ".join(f"--{option}={level}".lower() for option, level in HURRY.items())
    settings = {
        "import": {},
        "wide": {"JAX_ENABLE_X64": "1", "XLA_FLAGS": hurry},
        "sharded": {"XLA_FLAGS": f"--xla_force_host_platform_device_count=8 {hurry}"},
    }
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "XLA_"))}
    running = {}
    for task, extra in settings.items():
        path = folder / f"{task}.npz"
        command = [sys.executable, "-m", "tests.equations.elsewhere", task, str(path)]
        environment = {**clean, "JAX_PLATFORMS": "cpu", **extra}
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
        running[task] = (process, path)
    yield running
    for process, _ in running.values():
        process.kill()
        process.wait()


@pytest.fixture(scope="module", autouse=True)
def in_a_hurry() -> Iterator[None]:
    with unoptimised():
        yield


@pytest.fixture(scope="module")
def batch() -> Batch:
    return one_level_batch(64)


@pytest.fixture(scope="module")
def expected(batch: Batch) -> Costs:
    """Costs, eagerly, in a process that has 64-bit types switched off."""
    assert not jax.config.jax_enable_x64
    costs = cost(batch)
    assert not jax.config.jax_enable_x64
    assert has_figures(costs).sum() > 50
    return costs


# 64-bit types


def test_counts_are_64_bits_while_the_flag_is_off(expected: Costs) -> None:
    assert not jax.config.jax_enable_x64
    for field in dataclasses.fields(Costs):
        if field.name not in UNCOUNTED:
            assert getattr(expected, field.name).dtype in (jnp.int64, jnp.float64), field.name
    assert expected.runtime.dtype == expected.l1_reads.dtype == jnp.int64
    assert {getattr(expected, name).dtype for name in REAL} == {np.dtype("float64")}
    assert expected.reasons.dtype == jnp.uint32
    assert jnp.arange(3).dtype == jnp.int32


def test_counts_are_64_bits_where_the_flag_is_on_around_the_call(batch: Batch, expected: Costs) -> None:
    with jax.enable_x64(True):
        costs = cost(batch)
        assert jax.config.jax_enable_x64
    agree(costs, expected)


def test_an_unknown_precision_is_refused(batch: Batch) -> None:
    with pytest.raises(ValueError, match="float16"):
        cost(batch, "float16")  # type: ignore[arg-type]


# Transformations


def test_inside_a_users_jit(batch: Batch, expected: Costs) -> None:
    flags = []

    @jax.jit(compiler_options=HURRY)
    def users(batch: Batch) -> tuple[Costs, jax.Array]:
        costs = cost(batch)
        flags.append(jax.config.jax_enable_x64)
        return costs, costs.runtime.astype(jnp.float32) * jnp.float32(0.5)

    costs, halved = users(batch)
    assert flags == [False]
    agree(costs, expected)
    assert halved.dtype == jnp.float32
    np.testing.assert_allclose(halved, np.asarray(expected.runtime) / 2, rtol=1e-6)


def test_vmap_over_accelerators_is_the_loop(batch: Batch, expected: Costs) -> None:
    """Both ways to have an axis of accelerators: stacked tables, and stacked rows of a table."""
    table = batch.hardware
    points = len(table.num_pes)
    tables = [
        table,
        dataclasses.replace(table, noc_bandwidth=table.noc_bandwidth + 3, simd_lanes=table.simd_lanes * 2),
        dataclasses.replace(table, num_pes=table.num_pes * 3, l1_size=table.l1_size // 2**24),
    ]
    rows = [batch.accelerator, np.roll(batch.accelerator, 1), np.full_like(batch.accelerator, points - 1)]

    def on(table: HardwareTable, rows: np.ndarray) -> Costs:
        return cost(dataclasses.replace(batch, hardware=table, accelerator=rows))

    stacked = jax.tree.map(lambda *arrays: np.stack(arrays), *tables)
    mapped = jax.jit(jax.vmap(on), compiler_options=HURRY)(stacked, np.stack(rows))
    assert mapped.runtime.shape == (3, 64)
    agree(mapped[0], expected)
    for point in range(3):
        agree(mapped[point], on(tables[point], rows[point]))
    assert not np.array_equal(mapped.runtime[0], mapped.runtime[1])


# Batches


@pytest.fixture(scope="module")
def long() -> tuple[Batch, Costs]:
    batch = one_level_batch(1025)
    return batch, evaluate_batch(batch)


@pytest.mark.parametrize("length", [1, 63, 64, 65, 1025])
def test_neither_length_nor_padding_matters(long: tuple[Batch, Costs], length: int) -> None:
    batch, costs = long
    assert len(batch) == 1025
    rows = np.arange(1025)[::-1][:length]  # from the end, so the chunks hold other tuples than before
    part = evaluate_batch(batch.take(rows))
    assert len(part) == length
    assert isinstance(part.runtime, np.ndarray)
    agree(part, costs[rows])


def test_a_permuted_batch_has_permuted_results(long: tuple[Batch, Costs]) -> None:
    batch, costs = long
    order = np.array(Random(3).sample(range(1024), 1024))
    assert not differing_fields(evaluate_batch(batch.take(order)), costs[order])
    twice = np.repeat(order[:200], 2)
    assert not differing_fields(evaluate_batch(batch.take(twice)), costs[twice])


def crowded_batch() -> tuple[Batch, np.ndarray]:
    """64 tuples with 1 to 32 different sub-tiles, and how many each has.

    Every dimension has 5 elements: tiles of 2 leave a ragged one, tiles of 1 do not.
    """
    layers, flows, points, needed = [], [], [], []
    for number in range(64):
        ragged = {name for bit, name in enumerate(("N", "G", "K", "Y'", "X'")) if number >> bit & 1}
        spatial = "K" if number < 32 else "Y'"
        maps = [
            (SpatialMap if d == spatial else TemporalMap)(*((2, 2) if d in ragged else (1, 1)), d)
            for d in ("N", "G", "K", "C", "Y'", "X'")
        ]
        sizes = dict.fromkeys("NGKC", 5) | {"R": 2, "S": 2, "Y": 6, "X": 6}
        layers.append(Layer.of(f"layer{number}", "NGCONV", sizes))
        flows.append(Dataflow((*maps, *ROWS, Cluster(2), SpatialMap(1, 1, "C"))))
        points.append(Hardware(num_pes=4, noc_bandwidth=number + 1))
        needed.append(2 ** len(ragged))
    return encode(layers, flows, points), np.array(needed)


def test_tuples_of_many_subtiles_are_tried_again() -> None:
    batch, needed = crowded_batch()
    assert len(batch) == 64
    assert needed.max() == 32
    wide = cost(dataclasses.replace(batch, variants=(32,)))
    assert has_figures(wide).all()
    assert not differing_fields(evaluate_batch(batch), wide)
    assert not differing_fields(cost(batch), wide)

    # Without trying again (as where it is traced) they are flagged, never wrong.
    assert batch.variants == (4,)
    first = cost_once(batch)
    crowded = np.cumsum(needed) > 4 * len(batch)
    assert 0 < crowded.sum() < 64
    assert ((first.reasons & int(Reason.CAPACITY)) != 0).tolist() == crowded.tolist()
    agree(first[~crowded], wide[~crowded])
    assert not np.asarray(first.sound | first.fits)[crowded].any()
    for figures in (first.runtime, first.num_macs, first.energy, first.l2_sizes):
        assert not np.asarray(figures)[crowded].any()


# Processes of their own


def finished(processes: Processes, task: str) -> Path:
    process, path = processes[task]
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return path


def stored(path: Path) -> Costs:
    with np.load(path) as arrays:
        return Costs(**arrays)


def test_importing_and_encoding_leave_jax_alone(elsewhere: Processes) -> None:
    assert not finished(elsewhere, "import").exists()


def test_64_bits_switched_on_for_the_process(elsewhere: Processes, expected: Costs) -> None:
    agree(stored(finished(elsewhere, "wide")), expected)


def test_sharded_over_eight_devices(elsewhere: Processes, expected: Costs) -> None:
    agree(stored(finished(elsewhere, "sharded")), expected)
