"""Co-design of networks end to end: tables, files that are scored again, continuation, refusals."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from rich.console import Console

from experiments import codesign_networks
from experiments.codesign_job import validated
from experiments.codesign_networks import budgets_of, check_strategy, design_networks, networks_mark, space_of
from experiments.codesign_networks_schema import CodesignNetworksConfig, register
from experiments.command import CONF
from experiments.stages import Stages
from jaxmaestro import evaluate
from jaxmaestro.description import DescriptionError
from jaxmaestro.formats import read_hardware, read_mapping

ROWS = (
    "[{name: conv, type: CONV, K: 16, C: 8, R: 3, S: 3, Y: 10, X: 10, repeat: 2},"
    "{name: fc, type: GEMM, M: 4, N: 24, K: 32}]"
)
TINY = (
    "model=[]",
    f"+model.networks={{tiny:{{layers:{ROWS}}}}}",
    "budget=edge",
    "budget.budgets.edge.area=0.02",
    "budget.budgets.edge.num_pes=[8,32]",
    "budget.budgets.edge.offchip_bandwidth=[64]",
)
BATCHED = (
    "+model.networks={last:{layers:[{name: one, type: CONV, N: 2, K: 4, C: 4, R: 1, S: 1, Y: 4, X: 4}]}}"
)
SMALL = (*TINY, "strategy.rounds=2", "strategy.steps=2", "strategy.population=32", "pictures=false")


pytestmark = pytest.mark.usefixtures("quickly")


def composed(*overrides: str) -> DictConfig:
    register()
    codesign_networks.register_marks()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("codesign_networks", list(overrides))


@pytest.fixture
def console() -> Console:
    return Console(width=150, record=True)


@pytest.mark.parametrize(
    "option",
    sorted(f"{p.parent.name}={p.stem}" for g in ("budget", "strategy") for p in CONF.glob(f"{g}/*.yaml")),
)
def test_every_option_composes(option: str) -> None:
    config = validated(composed(*TINY[:2], option), CodesignNetworksConfig)
    check_strategy(config.strategy)
    for name, budget in budgets_of(config).items():
        space = space_of(config.budget.budgets[name])
        # None of the values is beyond the budget.
        assert len(space.points(budget)) == len(space.num_pes) * len(space.noc_bandwidth)


def test_the_default_is_the_table_of_five_networks() -> None:
    config = validated(composed(), CodesignNetworksConfig)
    assert list(config.model.networks) == ["resnet18", "vgg16", "mobilenetv2", "mnasnet", "bert_base"]
    assert {name: budget.area for name, budget in config.budget.budgets.items()} == {
        "edge": 0.2,
        "cloud": 7.0,
    }
    assert config.objectives == ["latency", "edp"]


def test_what_is_written_is_what_was_found(tmp_path: Path, console: Console) -> None:
    written = design_networks(composed(*SMALL[:-1]), tmp_path, console)
    names = {path.name for path in written}
    assert {"designs.csv", "front.csv", "designs.md", "front.png", "tiny-edge-edp.m"} <= names
    rows = pyarrow.csv.read_csv(tmp_path / "designs.csv").to_pylist()
    assert [row["objective"] for row in rows] == ["latency", "edp"]
    for row in rows:
        stem = f"tiny-edge-{row['objective']}"
        hardware = read_hardware(tmp_path / f"{stem}.hw.m")
        costs = evaluate(read_mapping(tmp_path / f"{stem}.m"), hardware).costs
        assert costs.valid.all()
        assert row["latency"] == costs.runtime @ np.array([2, 1])
        assert row["energy"] == pytest.approx(costs.energy @ np.array([2, 1]), rel=1e-12)
        assert row["latency"] >= row["roofline"]
        bytes_ = hardware.num_pes * hardware.l1_size + hardware.l2_size
        assert row["area"] == pytest.approx((282 * hardware.num_pes + 0.688 * bytes_) / 1e6)
        assert row["area"] <= row["area_limit"] == 0.02
    front = pyarrow.parquet.read_table(tmp_path / "front.parquet").to_pylist()
    best = min(row["latency"] for row in rows)
    assert min(row["latency"] for row in front) == best
    assert "no layer below its roofline" in console.export_text()


def test_stopped_and_continued(tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    design_networks(composed(*SMALL), tmp_path / "whole", console)
    arrays = Stages.arrays

    def stops(self: Stages, name: str, compute: Any) -> Any:
        if name.endswith("round-1"):
            raise KeyboardInterrupt
        return arrays(self, name, compute)

    with monkeypatch.context() as patch:
        patch.setattr(Stages, "arrays", stops)
        with pytest.raises(KeyboardInterrupt):
            design_networks(composed(*SMALL), tmp_path / "parts", console)
    before = (tmp_path / "parts/steps/tiny-edge-round-0.npz").stat().st_mtime_ns
    design_networks(composed(*SMALL), tmp_path / "parts", console)
    assert (tmp_path / "parts/steps/tiny-edge-round-0.npz").stat().st_mtime_ns == before
    for name in ("front.csv", "tiny-edge-edp.m", "tiny-edge-edp.hw.m", "tiny-edge-latency.m"):
        assert (tmp_path / "parts" / name).read_text() == (tmp_path / "whole" / name).read_text()
    with pytest.raises(DescriptionError, match="another configuration"):
        design_networks(composed(*SMALL, "seed=1"), tmp_path / "parts", console)


def test_pipelines(tmp_path: Path, console: Console) -> None:
    settings = composed(*TINY, "strategy=confuciux", "strategy.style=shidiannao", "strategy.samples=500")
    design_networks(settings, tmp_path, console)
    (row,) = pyarrow.csv.read_csv(tmp_path / "summary.csv").to_pylist()
    assert row["proven"] and row["bound"] == row["cost"] == row["latency"]
    assert row["used"] <= row["limit"] == 20000
    assert min(row["random"], row["genetic"]) >= row["cost"]
    layers = pyarrow.csv.read_csv(tmp_path / "assignments.csv").to_pylist()
    assert [each["layer"] for each in layers] == ["conv_1", "conv_2", "fc"]
    assert sum(each["um2"] for each in layers) == pytest.approx(row["used"])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("budget.budgets.edge.area=0.001",), "no accelerator of the space is within the budget"),
        (("budget.budgets.edge.num_pes=[]",), "num_pes of the accelerators is"),
        (("budget.budgets.edge.model=cacti",), "there is no area model 'cacti'"),
        (("objectives=[area]",), "the goals are area"),
        (("strategy.rounds=0",), "strategy.rounds is 0"),
        (("strategy.trials=3",), "strategy one_loop has no trials"),
        (("strategy=two_loop", "strategy.outer=grid"), "there is no outer search 'grid'"),
        (("strategy=confuciux", "strategy.style=tpu"), "has no style 'tpu'"),
        (("strategy=confuciux", "objectives=[edp]"), "which EDP is not"),
        (("mapspace.spatial=[Q]",), "spatial dimensions are"),
        (("mapspace.clusters=[999]",), "the mapping space is empty"),
        (("seed=-1",), "seed is -1"),
        ((BATCHED, "together=true"), "one: it has a dimension N, unlike the first CONV layer of tiny+last"),
        (("budget.budgets.edge.simd_lanes=2",), "simd_lanes of the budget is 2"),
        (("strategy=confuciux", "budget.budgets.edge.power=50"), "has one limit: the area"),
    ],
)
def test_refusals(tmp_path: Path, console: Console, overrides: tuple[str, ...], message: str) -> None:
    with pytest.raises(DescriptionError, match=re.escape(message)):
        design_networks(composed(*TINY, *overrides), tmp_path / "run", console)
    assert not (tmp_path / "run").exists()


def test_the_mark_is_of_what_changes_figures() -> None:
    mark = networks_mark(composed(*TINY))
    assert mark == networks_mark(composed(*TINY, "pictures=false", "resume=false"))
    assert mark != networks_mark(composed(*TINY, "together=true"))


def test_the_command_refuses_in_one_line(tmp_path: Path) -> None:
    words = ("space=networks", "budget=moon", f"hydra.run.dir={tmp_path / 'run'}")
    done = subprocess.run(
        [sys.executable, "-m", "experiments.codesign", *words],
        cwd=CONF.parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "Available options in 'budget': both; cloud; edge; reference" in done.stderr
