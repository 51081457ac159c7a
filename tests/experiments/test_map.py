"""Mapping search end to end: tables, files that are scored again, continuation, refusals."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from rich.console import Console

from experiments import map_job
from experiments.codesign_job import validated
from experiments.command import CONF
from experiments.map_job import accelerator, make_searcher, map_layers, map_mark, register_marks
from experiments.map_schema import MapConfig, options_of, register
from experiments.run_folder import ROOT
from jaxmaestro import evaluate
from jaxmaestro.description import DescriptionError
from jaxmaestro.formats import read_mapping
from jaxmaestro.search import History, State, save

ROWS = (
    "[{name: conv, type: CONV, K: 16, C: 8, R: 3, S: 3, Y: 10, X: 10, repeat: 2},"
    "{name: again, type: CONV, K: 16, C: 8, R: 3, S: 3, Y: 10, X: 10},"
    "{name: fc, type: GEMM, M: 4, N: 24, K: 32}]"
)
TINY = ("model=[]", f"+model.networks={{tiny:{{layers:{ROWS}}}}}", "hw=edge")
SMALL = (*TINY, "search.population=40", "samples=300", "seeds=[0,7]", "every=2", "pictures=false")


def composed(*overrides: str) -> DictConfig:
    register()
    register_marks()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("map", list(overrides))


@pytest.fixture
def console() -> Console:
    return Console(width=150, record=True)


@pytest.mark.parametrize("group", ["search", "mapspace"])
def test_every_option_composes(group: str) -> None:
    for path in sorted(CONF.glob(f"{group}/*.yaml")):
        config = validated(composed(*TINY, f"{group}={path.stem}"), MapConfig)
        assert options_of(config.mapspace).most_levels >= 1
        if config.search.name == "surrogate":  # trains a network when it is made
            continue
        if config.search.name in ("de", "cma_es"):
            pytest.importorskip("evosax")
        if config.search.name != "exhaustive":
            assert make_searcher(config, accelerator(config.hw))


def test_what_is_written_is_what_was_found(tmp_path: Path, console: Console) -> None:
    written = map_layers(composed(*SMALL[:-1]), tmp_path, console)
    assert {"best.parquet", "best.csv", "convergence.parquet", "tiny.m", "convergence.png"} == {
        path.name for path in written
    }
    rows = pyarrow.csv.read_csv(tmp_path / "best.csv").to_pylist()
    assert [(row["layer"], row["used_in"], row["seed"]) for row in rows] == [
        ("conv", "tiny x3", 0),
        ("conv", "tiny x3", 7),
        ("fc", "tiny x1", 0),
        ("fc", "tiny x1", 7),
    ]
    assert all(row["valid"] == 300 <= row["evaluated"] for row in rows)
    hardware = accelerator(validated(composed(*SMALL), MapConfig).hw)
    costs = evaluate(read_mapping(tmp_path / "tiny.m"), hardware).costs
    assert costs.valid.all()
    best = {name: min(r["latency"] for r in rows if r["layer"] == name) for name in ("conv", "fc")}
    assert costs.runtime.tolist() == [best["conv"], best["conv"], best["fc"]]
    told = pyarrow.parquet.read_table(tmp_path / "convergence.parquet").to_pylist()
    last = {(row["layer"], row["seed"]): row["latency"] for row in told}
    assert last == {(row["layer"], row["seed"]): row["latency"] for row in rows}
    total = int(costs.runtime @ np.array([2, 1, 1]))
    assert f"tiny: {total:,} cycles" in console.export_text()


def test_stopped_and_continued(tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    map_layers(composed(*SMALL), tmp_path / "whole", console)
    saved = []

    def stops(path: Path, state: State, history: History) -> None:
        save(path, state, history)
        saved.append(len(history.seconds))
        if len(saved) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(map_job, "save", stops)
        with pytest.raises(KeyboardInterrupt):
            map_layers(composed(*SMALL), tmp_path / "parts", console)
    assert saved == [2, 4] and not (tmp_path / "parts/best.csv").exists()
    map_layers(composed(*SMALL), tmp_path / "parts", console)
    for name in ("best.csv", "tiny.m"):
        assert (tmp_path / "parts" / name).read_text() == (tmp_path / "whole" / name).read_text()
    assert "Continuing after 4 steps" in console.export_text()
    with pytest.raises(DescriptionError, match="another configuration"):
        map_layers(composed(*SMALL, "samples=301"), tmp_path / "parts", console)


def test_a_listed_space_and_a_front(tmp_path: Path, console: Console) -> None:
    flat = (*TINY, "mapspace=flat", "pictures=false")
    map_layers(composed(*flat, "search=exhaustive"), tmp_path / "all", console)
    front = ("search=nsga2", "search.population=40", "samples=300", "archive=8")
    map_layers(composed(*flat, *front), tmp_path / "front", console)
    optima = pyarrow.csv.read_csv(tmp_path / "all/best.csv").to_pylist()
    shown = pyarrow.csv.read_csv(tmp_path / "front/best.csv").to_pylist()
    for optimum in optima:
        own = [row for row in shown if row["layer"] == optimum["layer"]]
        latency, energy = ([row[key] for row in own] for key in ("latency", "energy"))
        assert min(latency) >= optimum["latency"]
        assert latency == sorted(latency) and energy == sorted(energy, reverse=True)
        assert [row["rank"] for row in own] == list(range(len(own)))


def test_marks() -> None:
    mark = map_mark(composed(*SMALL))
    assert mark == map_mark(composed(*SMALL, "every=9", "fused=true", "pictures=true"))
    for change in ("seeds=[0,8]", "search=gamma", "hw=cloud", "mapspace=divisors", "samples=301"):
        assert map_mark(composed(*SMALL, change)) != mark


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("samples=0",), "samples is 0"),
        (("archive=4", "objectives=[latency]"), "with one objective"),
        (("objectives=[speed]",), "objective 'speed'"),
        (("mapspace.spatial=[]",), "spatial dimensions"),
        (("mapspace.spatial=[G]",), "mapping space is empty"),
        (("mapspace.clusters=[512]",), "no cluster of"),
        (("search.name=magic",), "no searcher 'magic'"),
        (("+search.options.speed=1",), "no option 'speed'"),
        (("seeds=[]",), "seeds"),
        (("search=exhaustive",), "too many to be listed"),
        (("hw.base.l1_size=1",), "no valid mapping"),
    ],
)
def test_refused(overrides: tuple[str, ...], message: str, tmp_path: Path, console: Console) -> None:
    with pytest.raises(DescriptionError, match=message):
        map_layers(composed(*SMALL, "patience=1", *overrides), tmp_path, console)


def test_a_bad_key_is_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "experiments.map", "sampels=3", f"hydra.run.dir={tmp_path}"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and re.search("sampels", done.stderr)
    assert not list(tmp_path.iterdir())


def test_a_layer_without_valid_mappings(tmp_path: Path, console: Console) -> None:
    """The others are written and drawn; the network is not."""
    rows = ROWS.replace("M: 4, N: 24, K: 32", "M: 1, N: 1, K: 1")
    tiny = ("model=[]", f"+model.networks={{tiny:{{layers:{rows}}}}}", "hw=edge", "hw.base.l1_size=20")
    front = ("search=nsga2", "search.population=40", "samples=100", "patience=2", "archive=8")
    written = map_layers(composed(*tiny, *front), tmp_path, console)
    assert {path.name for path in written} >= {"front.png", "convergence.png"}
    assert not (tmp_path / "tiny.m").exists()
    assert {row["layer"] for row in pyarrow.csv.read_csv(tmp_path / "best.csv").to_pylist()} == {"fc"}
    assert "tiny: some layers have no valid mapping" in console.export_text()
    listed = (*tiny, "mapspace=flat", "search=exhaustive", "pictures=false")
    map_layers(composed(*listed), tmp_path / "all", console)
    assert {row["layer"] for row in pyarrow.csv.read_csv(tmp_path / "all/best.csv").to_pylist()} == {"fc"}
    assert "tiny: some layers have no valid mapping" in console.export_text()
