"""Tables in each of their formats, looked up and refused."""

from __future__ import annotations

import json
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jaxmaestro.accuracy import AccuracyTable, genotypes_of, read_surrogate, read_table
from jaxmaestro.description import DescriptionError
from jaxmaestro.spaces import ALPHANET_FORK, NASBENCH301, OPERATIONS, Configurations, Genotypes

CONFIGURATIONS = ALPHANET_FORK.fork_sample(6)
GENOTYPES = NASBENCH301.fork_sample(6)
ACCURACY = np.array([70.5, 69.25, 71.0, 67.5, 68.0, 70.0])


def _edges(row: int) -> list[list[tuple[str, int]]]:
    shape = (2, 8)
    operations = np.asarray(GENOTYPES.operations)[row].reshape(shape)
    inputs = np.asarray(GENOTYPES.inputs)[row].reshape(shape)
    return [
        [(OPERATIONS[o], int(i)) for o, i in zip(*cell, strict=True)]
        for cell in zip(operations, inputs, strict=True)
    ]


def _csv(space: str) -> str:
    if space == "nasbench301":
        lines = ["normal,reduce,accuracy"]
        for row, value in enumerate(ACCURACY):
            cells = (" ".join(f"{name}:{source}" for name, source in cell) for cell in _edges(row))
            lines.append(f"{','.join(cells)},{value}")
        return "\n".join(lines) + "\n"
    lines = ["index,resolution,width,kernel_size,expand_ratio,depth,predicted_accuracy"]
    c = CONFIGURATIONS
    for row, value in enumerate(ACCURACY):
        fields = (" ".join(map(str, f[row])) for f in (c.width, c.kernel, c.expansion, c.depth))
        lines.append(f"{row},{c.resolution[row]},{','.join(fields)},{value}")
    return "\n".join(lines) + "\n"


def _same(found: Any, wanted: Any) -> bool:
    return all(np.array_equal(getattr(found, name), getattr(wanted, name)) for name in vars(wanted))


def test_csv_of_configurations(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(_csv("alphanet_fork"))
    table = read_table("alphanet_fork", path)
    assert _same(table.architectures, CONFIGURATIONS) and table.accuracy.tolist() == ACCURACY.tolist()


def test_csv_of_genotypes(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(_csv("nasbench301"))
    table = read_table("nasbench301", path)
    assert _same(table.architectures, GENOTYPES) and table.accuracy.tolist() == ACCURACY.tolist()


def test_pickles_of_configurations(tmp_path: Path) -> None:
    names = {"width": "width", "kernel_size": "kernel", "expand_ratio": "expansion", "depth": "depth"}
    rows = [
        {"resolution": int(CONFIGURATIONS.resolution[i])}
        | {key: getattr(CONFIGURATIONS, name)[i].tolist() for key, name in names.items()}
        for i in range(6)
    ]
    (tmp_path / "c.pickle").write_bytes(pickle.dumps(rows, 4))
    (tmp_path / "a.pickle").write_bytes(pickle.dumps(list(ACCURACY), 4))
    table = read_table("alphanet_fork", tmp_path / "a.pickle", tmp_path / "c.pickle")
    assert _same(table.architectures, CONFIGURATIONS) and table.accuracy.tolist() == ACCURACY.tolist()
    with pytest.raises(DescriptionError, match="names no architectures"):
        read_table("alphanet_fork", tmp_path / "a.pickle")
    rows[2]["depth"] = [1, 2]
    (tmp_path / "c.pickle").write_bytes(pickle.dumps(rows))
    with pytest.raises(DescriptionError, match=r"c\.pickle: row 2 has 2 values of depth"):
        read_table("alphanet_fork", tmp_path / "a.pickle", tmp_path / "c.pickle")


def test_a_pickle_of_accuracies_is_of_the_samplers_genotypes(tmp_path: Path) -> None:
    (tmp_path / "a.pickle").write_bytes(pickle.dumps([float(a) for a in ACCURACY]))
    table = read_table("nasbench301", tmp_path / "a.pickle")
    assert _same(table.architectures, GENOTYPES)


def test_json_of_the_zero_cost_suite(tmp_path: Path) -> None:
    rows = {}
    for row, value in enumerate(ACCURACY):
        cells = [[(source, OPERATIONS.index(name)) for name, source in cell] for cell in _edges(row)]
        rows[str(cells)] = {"val_accuracy": float(value), "flops": {"score": 1.0}}
    path = tmp_path / "z.json"
    for whole in ({"cifar10": rows}, {"nasbench301": {"cifar10": rows}}):
        path.write_text(json.dumps(whole))
        table = read_table("nasbench301", path)
        assert _same(table.architectures, GENOTYPES) and table.accuracy.tolist() == ACCURACY.tolist()
    path.write_text('{"cifar10": {"__import__(\'os\').getcwd()": {"val_accuracy": 90}}}')
    with pytest.raises(DescriptionError, match="no table of NAS-Bench-Suite-Zero"):
        read_table("nasbench301", path)


def test_lookup_finds_a_network_however_its_edges_are_ordered() -> None:
    table = AccuracyTable("nasbench301", GENOTYPES, ACCURACY)
    turned = Genotypes(GENOTYPES.operations[::-1, ..., ::-1], GENOTYPES.inputs[::-1, ..., ::-1])
    assert table.lookup(turned).tolist() == ACCURACY[::-1].tolist()
    other = NASBENCH301.fork_sample(8)
    with pytest.raises(DescriptionError, match="architecture 6 is not in the table"):
        table.lookup(other)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("predicted_accuracy", "acc", r"a\.csv:1: there is no column 'accuracy'"),
        ("kernel_size", "kernels", r"a\.csv:1: there is no column 'kernel_size'"),
        ("71.0", "seventy", r"a\.csv:4: a cell cannot be read"),
        ("71.0", "nan", r"a\.csv: accuracy 2 is nan"),
        ("71.0", "0.71e3", r"accuracy 2 is 710"),
        ("1792", "1793", "the width of the last convolution of architecture 0 is 1793"),
        ("1792", "17920000000000", "a number that is too large"),
        (" 1792", "", "row 0 has 8 values of width"),
    ],
)
def test_a_csv_that_is_wrong_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(_csv("alphanet_fork").replace(old, new))
    with pytest.raises(DescriptionError, match=message):
        read_table("alphanet_fork", path)


def test_what_there_is_no_reader_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DescriptionError, match=r"no reader of '\.xlsx' files"):
        read_table("alphanet", tmp_path / "a.xlsx")
    with pytest.raises(DescriptionError, match="there is no space 'mnasnet'"):
        read_table("mnasnet", tmp_path / "a.csv")
    (tmp_path / "a.pickle").write_bytes(pickle.dumps({"accuracy": 1.0}))
    with pytest.raises(DescriptionError, match="no list of accuracies"):
        read_table("nasbench301", tmp_path / "a.pickle")
    with pytest.raises(FileNotFoundError):
        read_table("nasbench301", tmp_path / "none.pickle")


def test_genotypes_that_are_none_are_refused() -> None:
    good = [("skip_connect", 0), ("skip_connect", 1)] * 4
    assert genotypes_of([(good, good)]).operations.shape == (1, 2, 4, 2)
    for edge, message in (
        (("sep_conv_7x7", 0), "operation 'sep_conv_7x7'"),
        (("skip_connect", 9), "the input 9"),
    ):
        with pytest.raises(DescriptionError, match=message):
            genotypes_of([(good, [edge, *good[1:]])])
    with pytest.raises(DescriptionError, match="eight edges"):
        genotypes_of([(good, good[1:])])


def test_the_surrogate_is_asked_through_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "surrogate_model.model").touch()

    class Model:
        def predict(self, config: Any, representation: str, with_noise: bool) -> np.ndarray:
            assert representation == "genotype" and not with_noise
            return np.array([90 + sum(name == "sep_conv_3x3" for name, _ in config.normal + config.reduce)])

    package = types.ModuleType("nasbench301")
    package.load_ensemble = lambda folder: Model() if folder == str(tmp_path) else None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "nasbench301", package)
    expected = 90 + (np.asarray(GENOTYPES.operations) == OPERATIONS.index("sep_conv_3x3")).sum((1, 2, 3))
    assert read_surrogate(tmp_path)(GENOTYPES).tolist() == expected.tolist()


def test_no_surrogate_is_said_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DescriptionError, match="no surrogate in it"):
        read_surrogate(tmp_path)
    (tmp_path / "surrogate_model.model").touch()
    monkeypatch.setitem(sys.modules, "nasbench301", None)
    with pytest.raises(DescriptionError, match="cannot be imported") as caught:
        read_surrogate(tmp_path)
    assert "read_table" in caught.value.fix


def test_configurations_of_another_space_are_refused() -> None:
    wide = Configurations(*(np.array(f) for f in vars(CONFIGURATIONS).values()))
    wide.width[1, 3] = 40
    with pytest.raises(DescriptionError, match="the width of mb3 of architecture 1 is 40"):
        AccuracyTable("alphanet_fork", wide, ACCURACY)
    with pytest.raises(DescriptionError, match="6 accuracies for 5"):
        AccuracyTable("nasbench301", NASBENCH301.fork_sample(5), ACCURACY)
