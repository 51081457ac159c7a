"""Tiny co-design runs end to end: scores, answers, continuation, refusals, the whole report."""

from __future__ import annotations

import json
import os
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
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.console import Console

from experiments import codesign_job, monotonicity_job, reproduce_job, study
from experiments.codesign_job import codesign, codesign_mark, validated
from experiments.command import CONF
from experiments.document import Grid, Heading, Paragraph, markdown, page
from experiments.monotonicity_job import monotonicity
from experiments.reproduce_job import reproduce
from experiments.stages import Records, Stages
from experiments.study_schema import CodesignConfig, register
from jaxmaestro.description import DescriptionError

SMALL = ("space=nasbench301", "space.count=60", "space.random=12", "accelerators.count=3")
RUN = (*SMALL, "method.proxies=[KC-P/1,X-P/3]", "constraints.area=[1.0]")
GROUPS = ("accelerators", "constraints", "method", "space")


def composed(config: str, *overrides: str, hydra: bool = False) -> DictConfig:
    register()
    for job in (codesign_job, monotonicity_job, reproduce_job):
        job.register_marks()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(config, list(overrides), return_hydra_config=hydra)


@pytest.fixture
def console() -> Console:
    return Console(width=132, record=True)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"cache={tmp_path_factory.mktemp('campaigns')}"


@pytest.mark.parametrize(
    "option", sorted(f"{p.parent.name}={p.stem}" for g in GROUPS for p in CONF.glob(f"{g}/*.yaml"))
)
def test_every_option_composes(option: str) -> None:
    settings = composed("codesign", option)
    config = validated(settings, CodesignConfig)
    group, name = option.split("=")
    chosen = getattr(config, group)
    field = {"accelerators": "preset", "constraints": "problem"}.get(group, "name")
    found = getattr(chosen, field)
    assert getattr(found, "value", found) == name
    assert codesign_mark(settings) == codesign_mark(composed("codesign", option, "pictures=false"))


@pytest.mark.parametrize(
    ("config", "overrides", "folder"),
    [
        ("codesign", (), "codesign/alphanet-semi_decoupled-product-"),
        ("codesign", ("method=adaptive", "constraints=each"), "codesign/alphanet-adaptive-each-"),
        ("monotonicity", ("space=nasbench301",), "monotonicity/nasbench301-"),
        ("reproduce", (), "reproduce/"),
    ],
)
def test_each_configuration_has_a_folder(config: str, overrides: tuple[str, ...], folder: str) -> None:
    settings = composed(config, *overrides, hydra=True)
    HydraConfig.instance().set_config(settings)
    name = str(settings.hydra.run.dir)
    assert re.fullmatch(re.escape(f"outputs/{folder}") + "[0-9a-f]{8}", name), name
    assert name.endswith(str(settings.hydra.sweep.subdir))


def test_the_mark_is_of_what_changes_the_answers() -> None:
    marks = {
        codesign_mark(composed("codesign", *changed))
        for changed in ((), ("seed=1",), ("method.size=3",), ("constraints=each",), ("accelerators.count=2",))
    }
    assert len(marks) == 5


@pytest.mark.parametrize("method", ["semi_decoupled", "adaptive", "fully_decoupled", "fully_coupled"])
def test_codesign_end_to_end(method: str, console: Console, cache: str, tmp_path: Path) -> None:
    settings = composed("codesign", *RUN, f"method={method}", cache, "seed=0")
    if method == "fully_coupled":
        settings.method.proxies = ["all"]
    written = codesign(settings, tmp_path, console)
    assert {path.name for path in written} == {"scores.parquet", "scores.csv", "answers.parquet"}
    scores = pyarrow.parquet.read_table(tmp_path / "scores.parquet")
    answers = pyarrow.parquet.read_table(tmp_path / "answers.parquet")
    names = ["none"] if method == "fully_coupled" else ["KC-P/1", "X-P/3"]
    assert scores["proxy"].to_pylist() == names
    assert pyarrow.csv.read_csv(tmp_path / "scores.csv").num_rows == len(names)
    manifest = json.loads((tmp_path / "run.json").read_text())
    for table in (scores, answers):
        assert json.loads(table.schema.metadata[b"jaxmaestro_run"]) == manifest
    assert manifest["seed"] == 0 and manifest["config"]["space"]["count"] == 60
    assert "jaxmaestro" in manifest["versions"] and manifest["fingerprint"] == codesign_mark(settings)
    rows = answers.to_pylist()
    assert len(rows) == 121 * len(names)
    for row in rows:
        if row["optimum"] is None:
            assert row["accuracy"] is None
        elif row["accuracy"] is not None:
            assert 0 <= row["optimum"] - row["accuracy"] <= row["bound"] + 1e-12
    if method in ("adaptive", "fully_coupled"):
        assert scores["exact"].to_pylist() == [1.0] * len(names)
        assert all(row["accuracy"] == row["optimum"] and row["bound"] == 0 for row in rows)
    shown = console.export_text()
    assert f"{method}: 121 constraints (product)" in shown and names[0] in shown


def test_a_second_run_continues(
    console: Console, cache: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = composed("codesign", *RUN, cache)
    calls: list[tuple[int, ...]] = []
    original = codesign_job.run_method

    def stopping(*arguments: Any, **keywords: Any) -> Any:
        if calls:
            raise KeyboardInterrupt
        calls.append(arguments[3])
        return original(*arguments, **keywords)

    monkeypatch.setattr(codesign_job, "run_method", stopping)
    with pytest.raises(KeyboardInterrupt):
        codesign(settings, tmp_path, console)
    assert len(calls) == 1 and not (tmp_path / "scores.parquet").exists()
    later: list[tuple[int, ...]] = []

    def counting(*arguments: Any, **keywords: Any) -> Any:
        later.append(arguments[3])
        return original(*arguments, **keywords)

    def never(*arguments: Any) -> Any:
        raise AssertionError("the campaign was evaluated again")

    monkeypatch.setattr(codesign_job, "run_method", counting)
    monkeypatch.setattr(study, "evaluate_tuples", never)
    codesign(settings, tmp_path, console)
    assert len(later) == 1 and later != calls
    first = pyarrow.parquet.read_table(tmp_path / "answers.parquet")
    codesign(settings, tmp_path, console)
    assert len(later) == 1
    codesign(composed("codesign", *RUN, cache, "resume=false"), tmp_path, console)
    assert len(later) == 3
    assert pyarrow.parquet.read_table(tmp_path / "answers.parquet").equals(first)


def test_another_configuration_is_refused(console: Console, cache: str, tmp_path: Path) -> None:
    codesign(composed("codesign", *RUN, cache), tmp_path, console)
    with pytest.raises(DescriptionError, match="another configuration or version"):
        codesign(composed("codesign", *RUN, cache, "method.size=2"), tmp_path, console)


def test_a_table_takes_the_place_of_the_predictor(console: Console, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    lines = [f"{i},{60 + i % 7},{int(i % 5 == 0)}" for i in range(60)]
    table.write_text("\n".join(["index,accuracy,selected", *lines]) + "\n")
    settings = composed("codesign", *RUN, f"space.table={table}", f"cache={tmp_path}/campaigns")
    config = validated(settings, CodesignConfig)
    found = study.build(config.space, config.accelerators, 0, tmp_path / "campaigns", console)
    assert found.index.tolist() == list(range(0, 60, 5))
    assert found.accuracy.tolist() == [60.0 + i % 7 for i in found.index]
    table.write_text("index,accuracy\n3,70\n")
    with pytest.raises(DescriptionError, match="no accuracy for 59"):
        study.build(config.space, config.accelerators, 0, tmp_path / "campaigns", console)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (b"index,accuracy\n0,abc\n", "2: accuracy is 'abc'"),
        (b"index,accuracy\n0,inf\n", "2: accuracy is 'inf'"),
        (b"index,accuracy\n0\n", "2: accuracy is None"),
        (b"index,accuracy\n0,70\nx,70\n", "3: index is 'x'"),
        (b"index,accuracy\n60,70\n", "no architecture 60"),
        (b"index,selected\n0,0\n", "selects no architecture"),
        (b"index,selected\n7,1\n7,1\n", "one of them twice"),
        (b"index,precision\n0,70\n", "is no CSV with a column accuracy"),
        (b"\xff\xfe\x98", "is no CSV with a column accuracy"),
    ],
)
def test_a_wrong_table_is_refused(text: bytes, named: str, console: Console, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_bytes(text)
    settings = composed("codesign", *RUN, f"space.table={table}", f"cache={tmp_path}/campaigns")
    with pytest.raises(DescriptionError, match=named):
        codesign(settings, tmp_path / "run", console)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("method.proxies=[KC-P/9]", "there is no point 'KC-P/9'"),
        ("method.proxies=[KC-P/3]", "the proxy KC-P/3 has no figures"),
        ("method.proxies=[]", "method.proxies is empty"),
        ("method.size=0", "method.size is 0"),
        ("method.tolerance=nan", "method.tolerance is nan"),
        ("constraints.latency=[2.0]", "quantiles of latency"),
        ("constraints.latency=[nan]", "quantiles of latency"),
        ("accelerators.count=0", "accelerators.count is 0"),
        ("accelerators.dataflows=[Z-P]", "accelerators.dataflows has 'Z-P'"),
        ("space.count=1", "space.count is 1"),
        ("space.rule=loose", "space.rule is 'loose'"),
        ("space.table=nowhere.csv", "no file nowhere.csv"),
    ],
)
def test_values_out_of_range_are_named(
    override: str, named: str, console: Console, cache: str, tmp_path: Path
) -> None:
    with pytest.raises(DescriptionError) as caught:
        codesign(composed("codesign", *RUN, cache, override), tmp_path / "run", console)
    assert named in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_the_command_refuses_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "experiments.codesign", "method=best"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(CONF.parent), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "Could not find 'method/best'" in done.stderr
    assert "adaptive" in done.stderr and not (tmp_path / "outputs").exists()


def test_monotonicity_end_to_end(console: Console, cache: str, tmp_path: Path) -> None:
    settings = composed("monotonicity", *SMALL, cache, "pairs=[[KC-P/1,X-P/1]]")
    written = monotonicity(settings, tmp_path, console)
    names = {
        "srcc.parquet",
        "srcc.csv",
        "agreement.csv",
        "shares.csv",
        "srcc.png",
        "scatter.png",
        "shares.png",
    }
    assert {path.name for path in written} == names
    matrix = pyarrow.parquet.read_table(tmp_path / "srcc.parquet").to_pylist()
    assert len(matrix) == 9 * 8 // 2
    for row in matrix:
        dead = "KC-P/3" in (row["first"], row["second"])  # 16 PEs
        assert (row["latency_srcc"] is None) == dead
    assert "1 of 9 points have no figures" in console.export_text()
    with pytest.raises(DescriptionError, match="1 points with figures"):
        one = ("accelerators.count=1", "accelerators.dataflows=[X-P]")
        monotonicity(composed("monotonicity", *SMALL, cache, *one), tmp_path / "one", console)
    across = monotonicity(composed("monotonicity", *SMALL, cache, one[0]), tmp_path / "three", console)
    assert "scatter.png" in {path.name for path in across}  # no two points have one dataflow
    with pytest.raises(DescriptionError, match="KC-P/3 has no figures"):
        monotonicity(composed("monotonicity", *SMALL, cache, "pairs=[[KC-P/3,X-P/1]]"), tmp_path, console)


def test_everything_in_one_command(
    console: Console, cache: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = ("~space@spaces.nasbench301", "spaces.alphanet_fork.count=40", "spaces.alphanet_fork.random=8")
    settings = composed("reproduce", *small, cache, "accelerators.count=3", "proxies=1", "sizes=[2]")
    written = reproduce(settings, tmp_path, console)
    assert all(path.stat().st_size > 500 for path in written)
    assert len([path for path in written if path.suffix == ".png"]) == 5
    text, web = (tmp_path / "report.md").read_text(), (tmp_path / "report.html").read_text()
    assert all(f"]({path.name})" in text for path in written if path.suffix == ".png")
    assert web.count("data:image/png;base64,") == 5 and "http" not in web.replace("https://doi.org", "")
    rows = pyarrow.parquet.read_table(tmp_path / "scores.parquet").to_pylist()
    assert len(rows) == 2 * (2 + 4 * 3)
    for row in rows:
        if row["method"] in ("fully coupled", "adaptive"):
            assert row["exact"] == 1 and row["unanswered"] == 0
    monkeypatch.setattr(reproduce_job, "run_method", None)  # nothing is searched a second time
    reproduce(settings, tmp_path, console)
    assert pyarrow.parquet.read_table(tmp_path / "scores.parquet").to_pylist() == rows


def test_a_step_that_was_cut_short_is_done_again(tmp_path: Path) -> None:
    stages = Stages(tmp_path / "steps")
    values = {"a": np.arange(5)}
    assert stages.arrays("one", lambda: values)["a"].tolist() == [0, 1, 2, 3, 4]
    assert stages.arrays("one", dict)["a"].tolist() == [0, 1, 2, 3, 4]
    place = tmp_path / "steps/one.npz"
    place.write_bytes(place.read_bytes()[:-30])
    assert stages.arrays("one", lambda: {"a": np.arange(2)})["a"].tolist() == [0, 1]
    whole = place.read_bytes()
    for position in range(len(whole)):  # any damaged byte: the step is done again, or nothing was lost
        place.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        assert stages.arrays("one", lambda: {"a": np.arange(2)})["a"].tolist() == [0, 1]
    np.savez(place, a=np.arange(9))  # an array is missing, or the file is not ours
    assert stages.arrays("one", lambda: values)["a"].tolist() == [0, 1, 2, 3, 4]
    records = Records(tmp_path / "rows.jsonl")
    records.add("x", {"value": 1.5})
    records.path.write_text(records.path.read_text() + '{"key": "y", "val')
    records.add("z", {"value": 2})
    assert records.load() == {"x": {"value": 1.5}, "z": {"value": 2}}


def test_documents() -> None:
    blocks = [Heading("T", 1), Paragraph("a < b"), Grid(["x", "y"], [["1", "2"]])]
    assert markdown(blocks) == "# T\n\na < b\n\n| x | y |\n| --- | ---: |\n| 1 | 2 |\n"
    web = page("T", blocks)
    assert "<h1>T</h1>" in web and "a &lt; b" in web and "<td class=l>1</td><td>2</td>" in web
