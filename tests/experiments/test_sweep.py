"""A tiny sweep end to end: files, totals, interruption, refusal to mix configurations."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from omegaconf import DictConfig
from rich.console import Console

from experiments import evaluation
from experiments.job import sweep, validated
from experiments.results import network_totals, pareto_front
from experiments.schema import Precision
from experiments.workloads import build_space
from jaxmaestro import Batch
from jaxmaestro.description import DescriptionError
from tests.experiments.conftest import TINY

Compose = Callable[..., DictConfig]


@pytest.fixture
def console() -> Console:
    return Console(width=132, record=True)


def test_end_to_end(configuration: Compose, console: Console, tmp_path: Path) -> None:
    settings = configuration(*TINY, "sweep.csv=true")
    written = sweep(settings, tmp_path, console)
    assert {path.name for path in written} == {
        "results.parquet",
        "results.csv",
        "latency_energy.png",
        "dataflows.png",
    }
    assert all(path.stat().st_size > 500 for path in written)
    table = pyarrow.parquet.read_table(tmp_path / "results.parquet")
    assert table.num_rows == 8 * 2
    expected = {
        "network",
        "layer",
        "layer_type",
        "repeat",
        "dataflow",
        "hw",
        "hw_num_pes",
        "hw_noc_bandwidth",
    }
    expected |= {"runtime", "energy", "num_macs", "layer_macs", "throughput", "area", "power", "l1_size"}
    expected |= {"l2_size", "input_l2_reads", "ingress_delay_max", "valid", "sound", "fits", "reasons"}
    assert expected <= set(table.column_names)
    assert pyarrow.csv.read_csv(tmp_path / "results.csv").num_rows == table.num_rows
    assert table["hw_num_pes"].to_pylist() == [64, 168] * 8
    layers = {layer.name: layer.macs for layer, _ in build_space(validated(settings)).pairs}
    for name, macs, counted in zip(
        *(table[c].to_pylist() for c in ("layer", "layer_macs", "num_macs")), strict=True
    ):
        assert layers[name] == macs == counted
    manifest = json.loads((tmp_path / "run.json").read_text())
    assert manifest["config"]["hw"]["grid"]["num_pes"] == [64, 168]
    assert {"fingerprint", "versions", "git", "seed"} <= set(manifest)
    shown = console.export_text()
    assert "alexnet" in shown and "X-P" in shown and "2/2" in shown


def test_totals_are_sums_over_layers(configuration: Compose, console: Console, tmp_path: Path) -> None:
    settings = configuration(*TINY, "sweep.pictures=false")
    sweep(settings, tmp_path, console)
    table = pyarrow.parquet.read_table(tmp_path / "results.parquet").to_pylist()
    space = build_space(validated(settings))
    figures = evaluation.Chunks(tmp_path / "chunks", len(space), 6).load()
    (total,) = network_totals(space, figures, fits=False)
    for point, pes in enumerate((64, 168)):
        rows = [row for row in table if row["hw_num_pes"] == pes]
        assert total.latency[point] == sum(row["runtime"] * row["repeat"] for row in rows)
        assert total.energy[point] == pytest.approx(sum(row["energy"] * row["repeat"] for row in rows))


def test_an_unsound_layer_leaves_no_total(configuration: Compose, console: Console, tmp_path: Path) -> None:
    # Part of the filter's rows at a time is illegal; only conv1 is strided.
    directives = "['TemporalMap(5,3) R','TemporalMap(1,1) K','TemporalMap(1,1) C','SpatialMap(Sz(S),1) X']"
    override = f"dataflow.dataflows.X-P.conv_strided={directives}"
    settings = configuration(*TINY, override, "sweep.pictures=false")
    sweep(settings, tmp_path, console)
    space = build_space(validated(settings))
    figures = evaluation.Chunks(tmp_path / "chunks", len(space), 6).load()
    (total,) = network_totals(space, figures, fits=False)
    assert not total.complete.any() and np.isnan(total.latency).all() and np.isnan(total.edp).all()
    assert total.refused == 1 / 8
    assert total.reasons["ILLEGAL_FILTER_TILE"] == 1 / 8
    shown = console.export_text()
    assert "0/2" in shown and "ILLEGAL_FILTER_TILE 12%" in shown


def test_limits_count_when_asked(configuration: Compose, console: Console, tmp_path: Path) -> None:
    # A PE holds an 11 x 11 filter and its window twice each: more than 300 bytes, for conv1 alone.
    settings = configuration(
        *TINY, "hw.base.l1_size=300", "hw.base.noc_bandwidth=5000", "hw.base.offchip_bandwidth=5000"
    )
    sweep(settings, tmp_path, console)
    space = build_space(validated(settings))
    figures = evaluation.Chunks(tmp_path / "chunks", len(space), 6).load()
    (sound,) = network_totals(space, figures, fits=False)
    (fitting,) = network_totals(space, figures, fits=True)
    assert sound.complete.all() and not sound.reasons
    assert not fitting.complete.any() and fitting.reasons == {"L1_SIZE": 1 / 8}


def test_resumes_after_an_interruption(
    configuration: Compose, console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = configuration(*TINY, "sweep.pictures=false")
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    sweep(settings, whole, console)

    calls: list[list[int]] = []
    real = evaluation.evaluate_points

    def count(batch: object, tuples: np.ndarray, *rest: object) -> pa.Table:
        calls.append(tuples.tolist())
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(batch, tuples, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(evaluation, "evaluate_points", count)
    with pytest.raises(KeyboardInterrupt):
        sweep(settings, stopped, console)
    assert [path.name for path in (stopped / "chunks").iterdir()] == ["000000.parquet"]
    sweep(settings, stopped, console)
    assert [call[0] for call in calls] == [0, 6, 6, 12]
    sweep(settings, stopped, console)  # nothing is left to evaluate
    assert len(calls) == 4
    tables = [pyarrow.parquet.read_table(folder / "results.parquet") for folder in (whole, stopped)]
    assert tables[0].equals(tables[1])


@pytest.mark.parametrize("damage", ["junk", "page", "rows"])
def test_a_damaged_chunk_is_evaluated_again(
    configuration: Compose, console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    settings = configuration(*TINY, "sweep.pictures=false")
    sweep(settings, tmp_path, console)
    before = pyarrow.parquet.read_table(tmp_path / "results.parquet")
    chunk = tmp_path / "chunks/000001.parquet"
    if damage == "junk":
        chunk.write_bytes(b"junk")
    elif damage == "page":
        data = bytearray(chunk.read_bytes())
        data[4:2000] = bytes(1996)  # the footer stays
        chunk.write_bytes(data)
    else:
        pyarrow.parquet.write_table(pyarrow.parquet.read_table(chunk).slice(1), chunk)
    calls: list[list[int]] = []
    real = evaluation.evaluate_points

    def count(batch: Batch, tuples: np.ndarray, *rest: Precision) -> pa.Table:
        calls.append(tuples.tolist())
        return real(batch, tuples, *rest)

    monkeypatch.setattr(evaluation, "evaluate_points", count)
    sweep(settings, tmp_path, console)
    assert calls == [[6, 7, 8, 9, 10, 11]]
    assert pyarrow.parquet.read_table(tmp_path / "results.parquet").equals(before)


def test_a_damaged_manifest_is_named(configuration: Compose, console: Console, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"finger')
    with pytest.raises(DescriptionError, match=r"run\.json is damaged.*sweep\.resume=false"):
        sweep(configuration(*TINY), tmp_path, console)


def test_another_configuration_is_refused(configuration: Compose, console: Console, tmp_path: Path) -> None:
    sweep(configuration(*TINY, "sweep.pictures=false"), tmp_path, console)
    before = (tmp_path / "results.parquet").read_bytes()
    other = configuration(*TINY, "sweep.pictures=false", "hw.base.offchip_bandwidth=5")
    with pytest.raises(DescriptionError, match="holds results of another configuration"):
        sweep(other, tmp_path, console)
    assert (tmp_path / "results.parquet").read_bytes() == before
    anew = configuration(*TINY, "sweep.pictures=false", "hw.base.offchip_bandwidth=5", "sweep.resume=false")
    sweep(anew, tmp_path, console)
    assert (tmp_path / "results.parquet").read_bytes() != before


def test_what_only_reports_keeps_the_folder(configuration: Compose) -> None:
    from experiments.run_folder import fingerprint

    mark = fingerprint(configuration(*TINY))
    assert fingerprint(configuration(*TINY, "sweep.fits=true", "sweep.csv=true")) == mark
    assert fingerprint(configuration(*TINY, "sweep.precision=float32")) != mark
    assert fingerprint(configuration(*TINY, "hw.base.l1_size=77")) != mark


def test_pareto_front() -> None:
    x = np.array([3.0, 1.0, 2.0, 2.0, np.nan, 4.0])
    y = np.array([1.0, 5.0, 3.0, 4.0, 0.0, 1.0])
    assert pareto_front(x, y).tolist() == [1, 2, 0]
