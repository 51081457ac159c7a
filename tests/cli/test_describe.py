"""``jaxmaestro-describe``: a report, and files that read back as what was described."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import jaxmaestro as jm
from jaxmaestro.cli.describe import REFUSED, dataflow_named, execute
from jaxmaestro.frontends.specs import workload_of

NET = "zoo:squeezenet:image=63"
GEMMS = "zoo:bert_base:tokens=8"


def test_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute([NET, "--padding", "exact"]) == 0
    shown = capsys.readouterr()
    assert shown.out == workload_of(NET, padding="exact").report() + "\n"
    assert "other operations" in shown.out and not shown.err


@pytest.mark.parametrize("padding", ["exact", "same-as-maestro"])
def test_the_files_read_back(tmp_path: Path, padding: str) -> None:
    model, mapping = tmp_path / "net.m", tmp_path / "map.m"
    words = [NET, "--padding", padding, "--dataflow", "kc_p"]
    assert execute([*words, "--model-out", str(model), "--mapping-out", str(mapping)]) == 0
    network = workload_of(NET, padding=padding).network(dataflow_named("KC-P"))
    assert jm.read_model(model).layers == jm.read_model(mapping).layers
    read = jm.read_mapping(mapping)
    assert [each.layer for each in read] == [each.layer for each in network]
    hardware = jm.Hardware(num_pes=64, noc_bandwidth=32, offchip_bandwidth=16)
    direct, back = jm.evaluate(network, hardware).costs, jm.evaluate(read, hardware).costs
    for figure in ("runtime", "energy", "l2_size", "num_macs"):
        assert np.array_equal(getattr(direct, figure), getattr(back, figure)), figure
    # The file lends its dataflows to another model.
    other = workload_of("zoo:alexnet", padding=padding).network(dataflow_named(str(mapping)))
    assert {each.dataflow.directives for each in other if each.dataflow} == {
        each.dataflow.directives for each in read if each.dataflow
    }


def test_counts_that_files_cannot_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "net.m"
    assert execute([GEMMS, "--unique", "--model-out", str(model)]) == 0
    shown = capsys.readouterr()
    assert f"model file {model}" in shown.out
    assert "layers run more than once; files have no counts and hold each once" in shown.err
    assert len(jm.read_model(model).layers) == len(workload_of(GEMMS).unique())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["zoo:squeezent"], "the zoo has no network 'squeezent'; did you mean squeezenet"),
        (["squeezenet"], "'squeezenet' names no model; write FRAMEWORK:MODULE.NAME"),
        (["zoo:ncf", "--padding", "none"], "padding is 'none'; choose one of same-as-maestro, exact"),
        (
            ["zoo:ncf", "--mapping-out", "a.m"],
            "a mapping file needs a dataflow, and a dataflow a file; add --dataflow",
        ),
        (
            ["zoo:ncf", "--dataflow", "kc_p"],
            "a mapping file needs a dataflow, and a dataflow a file; add --mapping-out",
        ),
        (
            ["zoo:ncf", "--dataflow", "kcp", "--mapping-out", "a"],
            "there is no dataflow kcp; give kc_p, yr_p, x_p, or a",
        ),
        (
            ["zoo:ncf", "--dataflow", "kc_p", "--mapping-out", "a", "--model-out", "a"],
            "a is named for both files",
        ),
        (
            ["zoo:ncf", "--model-out", "no/such/a.m"],
            "no/such/a.m: cannot be written: No such file or directory",
        ),
        (
            [GEMMS, "--dataflow", "yr_p", "--mapping-out", "a"],
            "YR-P is for convolutions; give a file with one for GEMM",
        ),
    ],
)
def test_what_is_refused_is_one_line(
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert execute(words) == REFUSED
    shown = capsys.readouterr().err
    assert shown.startswith("jaxmaestro-describe: error: ") and shown.count("\n") == 1
    assert message in shown
    assert not list(tmp_path.iterdir())


def test_the_module_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "jaxmaestro.cli.describe", "missing/net.onnx"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == REFUSED and done.stderr.count("\n") == 1
    assert "missing/net.onnx: cannot be read" in done.stderr or "onnx is not installed" in done.stderr
