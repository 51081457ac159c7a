"""Grids of layers, workloads, names of spaces."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxmaestro import Network, read_model, write_model
from jaxmaestro.description import DescriptionError, Layer
from jaxmaestro.spaces import ALPHANET, NASBENCH301, SPACES, Workloads, space


@pytest.mark.parametrize("name", sorted(SPACES))
@pytest.mark.parametrize("rule", ["fork", "exact"])
def test_grid_and_workloads_say_the_same(name: str, rule: str) -> None:
    """Slots, fields, presence, counts and MACs are the same layers, told in four ways."""
    network = SPACES[name]
    architectures = network.sample(2, 30)
    grid = network.layers(architectures, rule)
    workloads = network.workloads(architectures, rule)
    assert len(workloads) == 30 and len(set(workloads.layers)) == len(workloads.layers) == len(grid.shapes)
    assert workloads.occurrences == grid.present.sum()
    assert [layer.macs for layer in workloads.layers] == grid.macs.tolist()
    assert (grid.fields[~grid.present] == 0).all()
    assert (grid.fields[grid.present][:, 2] > 0).all()
    for index in (0, 29):
        found: dict[tuple[object, ...], int] = {}
        for layer in network.describe(architectures, index, rule):
            shape = (layer.type, layer.dimensions, layer.strides)
            found[shape] = found.get(shape, 0) + 1
        counted = {
            (layer.type, layer.dimensions, layer.strides): int(count)
            for layer, count in zip(workloads.layers, workloads.counts[index], strict=True)
            if count
        }
        assert counted == found


def test_workloads_select() -> None:
    workloads = NASBENCH301.workloads(NASBENCH301.sample(0, 20))
    rows = np.array([3, 3, 0])
    assert np.array_equal(workloads.select(rows).counts, workloads.counts[rows])
    assert np.array_equal(workloads.select(slice(2, 5)).counts, workloads.counts[2:5])
    mask = np.arange(20) % 2 == 0
    assert np.array_equal(workloads.select(mask).counts, workloads.counts[::2])
    with pytest.raises(IndexError):
        workloads.select([20])


def test_workloads_unique_used() -> None:
    all_of_them = ALPHANET.workloads(ALPHANET.sample(0, 50))
    one = all_of_them.select([7]).unique_used()
    used = all_of_them.counts[7] > 0
    assert one.layers == tuple(
        layer for layer, is_used in zip(all_of_them.layers, used, strict=True) if is_used
    )
    assert np.array_equal(one.counts[0], all_of_them.counts[7, used])
    assert 0 < len(one.layers) < len(all_of_them.layers)


def test_refused_workloads() -> None:
    layer = Layer.of("a", "CONV", {"K": 1, "C": 1, "R": 1, "S": 1, "Y": 1, "X": 1})
    with pytest.raises(DescriptionError, match=r"shape \(2, 2\); give \[n, 1\]"):
        Workloads((layer,), np.ones((2, 2), int))
    with pytest.raises(DescriptionError, match="no counts"):
        Workloads((layer,), np.array([[-1]]))
    with pytest.raises(DescriptionError, match="no counts"):
        Workloads((layer,), np.array([[0.5]]))
    with pytest.raises(DescriptionError, match="layer 0 of Workloads"):
        Workloads(("a",), np.ones((1, 1), int))  # type: ignore[arg-type]


def test_described_layers_make_a_model_file(tmp_path: Path) -> None:
    architectures = ALPHANET.sample(4, 2)
    layers = ALPHANET.describe(architectures, 1)
    write_model(Network.of("alphanet", layers), tmp_path / "a.m")
    assert [mapped.layer for mapped in read_model(tmp_path / "a.m")] == layers


def test_space_by_name() -> None:
    assert space("alphanet") == ALPHANET
    assert (
        space("nasbench301", input_size=16, auxiliary=True).describe(NASBENCH301.sample(0, 1), 0)[0]["Y"]
        == 16
    )
    with pytest.raises(
        DescriptionError, match="there is no space 'darts'; give nasbench301, alphanet, alphanet_fork"
    ):
        space("darts")
    with pytest.raises(DescriptionError, match="space alphanet has no option 'input_size'"):
        space("alphanet", input_size=16)


def test_import_touches_no_device() -> None:
    code = (
        "import jaxmaestro.spaces, jax\n"
        "from jax._src import xla_bridge\n"
        "assert not xla_bridge._backends and not jax.config.jax_enable_x64\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
