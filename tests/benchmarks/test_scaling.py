"""The benchmark of scaling: what it asks for, what it makes of answers, its tables and its picture.

Nothing is timed and nothing of the cost model compiled: ``--quick`` is for trying it by hand.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import jaxmaestro as jm
from benchmarks import scaling
from benchmarks.scaling_report import AXES, identical, tables
from benchmarks.spaces import LEVELS, bandwidths, of_pairs, random_dataflows, random_layers
from jaxmaestro.equations.costs import BY_THREE
from jaxmaestro.streaming import product


def settings(**changes: Any) -> argparse.Namespace:
    return argparse.Namespace(**{"precision": "exact", "repeats": 3, "quick": False, "most": 1e7} | changes)


def record() -> dict[str, Any]:
    """A file of numbers, made up."""
    figures = {"seconds": 1.0, "sound": 0.9, "before_mib": 500.0, "peak_mib": 1024.0, "hash": "0123456789ab"}
    rates = [1000.0 + i for i in range(10)]
    rows: dict[str, list[dict[str, Any]]] = {
        "tuples": [{"path": path, "tuples": 10**n} for path in ("batch", "product") for n in (3, 4, 7)],
        "hardware": [{"points": 10**n} for n in range(5)],
        "levels": [{"levels": n} for n in (1, 2, 3)],
        "devices": [{"devices": n} for n in (0, 1, 2)],
    }
    for each in rows.values():
        each[:] = [{"rate": 1000.0 * (i + 1)} | figures | row for i, row in enumerate(each)]
    rows["tuples"][-1]["tenths"] = rates
    machine = {"machine": "A machine", "cores": 2, "device": "cpu", "jax": "1.0", "dtype": "int64"}
    return {"date": "2026-01-01", "quick": False, "machine": machine | {"precision": "exact"}} | rows


def zeros(tuples: int) -> jm.Costs:
    """Costs that are all zero."""
    names = [field.name for field in dataclasses.fields(jm.Costs)]
    kinds: dict[str, Any] = {"reasons": np.uint32, "sound": bool, "fits": bool, "energy": float}
    return jm.Costs(
        **{n: np.zeros((tuples, 3) if n in BY_THREE else tuples, kinds.get(n, np.int64)) for n in names}
    )


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Figures without the cost model: all zero. The list gets the length of each batch."""
    lengths: list[int] = []

    def evaluate(batch: jm.Batch, precision: Any = "exact", **_: Any) -> jm.Costs:
        lengths.append(len(batch))
        return zeros(len(batch))

    monkeypatch.setattr(jm, "evaluate_batch", evaluate)
    monkeypatch.setattr(product, "evaluate_batch", evaluate)
    return lengths


def test_sizes_go_up_to_most_and_batches_to_what_memory_holds() -> None:
    points = scaling.asked("tuples", settings(most=1e8))
    found = {path: [p["tuples"] for p in points if p["path"] == path] for path in ("batch", "product")}
    assert found == {"batch": [10**n for n in range(3, 7)], "product": [10**n for n in range(3, 9)]}


def test_devices_are_forced_by_the_environment() -> None:
    flags = {p["devices"]: p["env"]["XLA_FLAGS"] for p in scaling.asked("devices", settings())}
    assert set(flags) == {0, 1, 2, 4, 8}
    assert flags[8] == "--xla_force_host_platform_device_count=8"
    assert flags[0].endswith("=1")


@pytest.mark.parametrize(
    "ask, tuples",
    [
        ({"axis": "tuples", "path": "batch", "tuples": 1000}, [1000]),
        ({"axis": "tuples", "path": "product", "tuples": 1000}, [1000]),
        ({"axis": "hardware", "points": [1, 10], "tuples": 100}, [100, 100]),
        ({"axis": "levels", "levels": [1, 3], "tuples": 200}, [200, 200]),
        ({"axis": "devices", "devices": 0, "pairs": 10, "shared": True}, [130]),
    ],
)
def test_every_axis_evaluates_what_it_says(
    no_model: list[int], ask: dict[str, Any], tuples: list[int]
) -> None:
    rows = scaling.measure({"precision": "float32", "repeats": 2, "cache": False, "env": {}} | ask)["rows"]
    # Once before and twice by the clock.
    assert no_model == [n for n in tuples for _ in range(3)]
    for row, n in zip(rows, tuples, strict=True):
        assert row["tuples"] == n and row["rate"] == n / row["seconds"]
        assert row["peak_mib"] >= row["before_mib"] > 0


def test_tenths_of_a_run() -> None:
    # Two seconds for the first half, one for the second.
    marks = [(5 * i, 0.2 * i) for i in range(1, 11)] + [(50 + 5 * i, 2 + 0.1 * i) for i in range(1, 11)]
    np.testing.assert_allclose(scaling.tenths(marks), [25] * 5 + [50] * 5)
    assert scaling.tenths(marks[:9]) == []


def test_fingerprint_tells_one_bit() -> None:
    costs = zeros(3)
    before = scaling.fingerprint(costs)
    assert scaling.fingerprint(jax.tree.map(np.copy, costs)) == before
    costs.energy[1] = -0.0
    assert scaling.fingerprint(costs) != before
    assert not identical([{"hash": before}, {"hash": scaling.fingerprint(costs)}])


def test_spaces_differ_throughout_and_repeat() -> None:
    layers, flows = random_layers(200), random_dataflows(200)
    assert len({layer.dimensions for layer in layers}) == len(set(flows)) == 200
    assert random_layers(50) == layers[:50] and random_dataflows(50) == flows[:50]
    points = bandwidths(10_000)
    assert len(set(points)) == 10_000 and {point.num_pes for point in points} == {256}
    assert [len(LEVELS[n].levels) for n in (1, 2, 3)] == [1, 2, 3]


def test_pairs_are_different_and_on_every_accelerator() -> None:
    batch = of_pairs(20, bandwidths(3))
    pairs = set(zip(batch.layer.tolist(), batch.mapping.tolist(), strict=True))
    assert len(pairs) == 20 and len(batch) == 60
    assert batch.accelerator.tolist() == [0, 1, 2] * 20


def test_tables_say_whether_devices_agree() -> None:
    found = record()
    lines = list(tables(found))
    assert lines[0] == "A machine, 2 cores, cpu, jax 1.0, 2026-01-01; exact (int64)"
    assert lines[-1] == "identical results: yes"
    assert any("in each tenth of the run: 1 1" in line for line in lines)
    found["devices"][-1]["hash"] = "other"
    assert list(tables(found))[-1] == "identical results: NO"


@pytest.mark.parametrize("axes", [AXES, ("levels",), ("tuples",)])
def test_stored_numbers_are_drawn(
    axes: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stored, picture = tmp_path / "numbers.json", tmp_path / "picture.png"
    found = record()
    stored.write_text(json.dumps(found | {axis: [] for axis in AXES if axis not in axes}))
    monkeypatch.setattr(sys, "argv", ["scaling", "--read", str(stored), "--picture", str(picture)])
    scaling.main()
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert ("Cluster levels" in capsys.readouterr().out) == ("levels" in axes)


def test_devices_that_differ_end_it_with_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, stored = record(), tmp_path / "numbers.json"
    found["devices"][-1]["hash"] = "other"
    stored.write_text(json.dumps(found))
    monkeypatch.setattr(sys, "argv", ["scaling", "--read", str(stored)])
    with pytest.raises(SystemExit, match="identical"):
        scaling.main()
