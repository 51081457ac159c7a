"""The seed's tables in full, for who has them: ``JAXMAESTRO_SEED_DATA`` names their folder.

They cannot be part of the project. Expected there: ``nasbench301.csv``, ``alphanet.csv`` and
``nasbench301_stored_totals.csv``, a row an architecture.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from jaxmaestro.spaces import (
    ALPHANET_FORK,
    NASBENCH301,
    OPERATIONS,
    Configurations,
    Genotypes,
    fork_select,
)
from tests.spaces.test_stored_totals import DOUBLED, latencies

FOLDER = os.environ.get("JAXMAESTRO_SEED_DATA", "")
pytestmark = pytest.mark.skipif(not FOLDER, reason="JAXMAESTRO_SEED_DATA names no folder")


def read(name: str) -> list[dict[str, str]]:
    with (Path(FOLDER) / name).open(newline="") as file:
        return list(csv.DictReader(file))


def genotypes(rows: list[dict[str, str]]) -> Genotypes:
    edges = [
        [[edge.split(":") for edge in row[cell].split()] for cell in ("normal", "reduce")] for row in rows
    ]
    operations = np.array([[[OPERATIONS.index(o) for o, _ in cell] for cell in row] for row in edges])
    inputs = np.array([[[int(i) for _, i in cell] for cell in row] for row in edges])
    return Genotypes(operations.reshape(-1, 2, 4, 2), inputs.reshape(-1, 2, 4, 2))


def configurations(rows: list[dict[str, str]]) -> Configurations:
    names = ("width", "kernel_size", "expand_ratio", "depth")
    fields = [np.array([[int(x) for x in row[name].split()] for row in rows]) for name in names]
    return Configurations(np.array([int(row["resolution"]) for row in rows]), *fields)


def test_nasbench301() -> None:
    rows = read("nasbench301.csv")
    drawn = NASBENCH301.fork_sample(len(rows))
    assert np.array_equal(NASBENCH301.encode(drawn), NASBENCH301.encode(genotypes(rows)))
    assert NASBENCH301.flops(drawn).tolist() == [float(row["flops_32x32"]) for row in rows]
    selected = np.array([row["selected"] == "1" for row in rows])
    workloads = NASBENCH301.workloads(drawn).select(selected).unique_used()
    assert (len(workloads), len(workloads.layers), workloads.occurrences) == (1018, 29, 328_284)


def test_alphanet() -> None:
    rows = read("alphanet.csv")
    drawn = ALPHANET_FORK.fork_sample(10_000)
    assert np.array_equal(ALPHANET_FORK.encode(drawn), ALPHANET_FORK.encode(configurations(rows)))
    parameters = [round(float(row["mparams"]) * 1e6) for row in rows]
    assert ALPHANET_FORK.parameters(drawn).tolist() == parameters
    flops = ALPHANET_FORK.flops(drawn)
    # The counter's sum in float32 is test_alphanet.py's; here, how far whole numbers are from it.
    assert np.abs(flops - np.round([float(row["mflops"]) * 1e6 for row in rows])).max() == 32
    selected = np.flatnonzero([row["selected"] == "1" for row in rows])
    accuracy = [float(row["predicted_accuracy"]) for row in rows]
    assert np.array_equal(fork_select(accuracy, flops), selected)
    workloads = ALPHANET_FORK.workloads(drawn).select(selected).unique_used()
    assert (len(workloads), len(workloads.layers), workloads.occurrences) == (1046, 541, 109_221)


def test_all_stored_latencies() -> None:
    """All 1,018 architectures, three dataflows, two accelerators; the doubled ones are the named ones."""
    rows = read("nasbench301_stored_totals.csv")
    index = np.array([int(row["index"]) for row in rows])
    columns = ["kcp_ws_1", "kcp_ws_22", "xp_ws_1", "xp_ws_2", "rs_1", "rs_2"]
    stored = np.array([[float(row[f"{name}_latency"]) for name in columns] for row in rows])
    ours = latencies(index)
    differ = np.argwhere(ours != stored)
    assert sorted(index[differ[:, 0]]) == sorted(DOUBLED) and (differ[:, 1] == 0).all()
    assert np.array_equal(2 * ours[differ[:, 0], 0], stored[differ[:, 0], 0])
