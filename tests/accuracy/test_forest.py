"""A small random forest written as joblib writes one, read and evaluated."""

from __future__ import annotations

import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jaxmaestro.accuracy import read_forest
from jaxmaestro.description import DescriptionError
from jaxmaestro.spaces import ALPHANET

NODE = np.dtype(
    [
        ("left_child", "<i8"),
        ("right_child", "<i8"),
        ("feature", "<i8"),
        ("threshold", "<f8"),
        ("impurity", "<f8"),
    ]
)
TREES = (
    # left, right, feature, threshold; value
    (
        [(1, 2, 0, 208.0), (-1, -1, -2, -2.0), (3, 4, 14, 4.5), (-1, -1, -2, -2.0), (-1, -1, -2, -2.0)],
        [0, 67, 0, 70, 71],
    ),
    ([(1, 2, 9, 1888.0), (-1, -1, -2, -2.0), (-1, -1, -2, -2.0)], [0, 68.5, 69.25]),
)  # feature 14: the depth of mb5; feature 9: the last width


def _classes(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Classes under the names of scikit-learn's and joblib's, for the time of writing."""
    made = {}
    for module, name in (
        ("sklearn.ensemble._forest", "RandomForestRegressor"),
        ("sklearn.tree._classes", "DecisionTreeRegressor"),
        ("sklearn.tree._tree", "Tree"),
        ("joblib.numpy_pickle", "NumpyArrayWrapper"),
    ):
        parts = module.split(".")
        for end in range(1, len(parts) + 1):
            part = ".".join(parts[:end])
            if part not in sys.modules:
                monkeypatch.setitem(sys.modules, part, types.ModuleType(part))
        made[name] = type(name, (), {"__module__": module})
        monkeypatch.setattr(sys.modules[module], name, made[name], raising=False)
    return made


def _write(path: Path, trees: Any, monkeypatch: pytest.MonkeyPatch, padded: bool) -> None:
    classes = _classes(monkeypatch)

    class Pickler(pickle._Pickler):
        def __init__(self, stream: Any) -> None:
            super().__init__(stream, 4)
            self._stream = stream

        def save(self, obj: Any, save_persistent_id: bool = True) -> None:
            if type(obj) is not np.ndarray:
                return super().save(obj, save_persistent_id)  # type: ignore[misc]
            wrapper = classes["NumpyArrayWrapper"]()
            wrapper.__dict__ = {
                "subclass": np.ndarray,
                "shape": obj.shape,
                "order": "C",
                "dtype": obj.dtype,
                "allow_mmap": True,
            }
            if padded:
                wrapper.numpy_array_alignment_bytes = 16
            super().save(wrapper)  # type: ignore[misc]
            self.framer.commit_frame(force=True)  # type: ignore[attr-defined]
            self._stream.write((b"\x03\xff\xff\xff" if padded else b"") + obj.tobytes())
            return None

    forest = classes["RandomForestRegressor"]()
    forest.estimators_ = []
    for nodes, values in trees:
        tree = classes["Tree"]()
        records = np.array([(*node, 0.0) for node in nodes], NODE)
        tree.__dict__ = {
            "max_depth": 3,
            "nodes": records,
            "values": np.array(values, float).reshape(-1, 1, 1),
        }
        estimator = classes["DecisionTreeRegressor"]()
        estimator.tree_ = tree
        forest.estimators_.append(estimator)
    with path.open("wb") as file:
        Pickler(file).dump(forest)


@pytest.mark.parametrize("padded", [False, True])
def test_a_forest_is_the_mean_of_its_trees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, padded: bool
) -> None:
    path = tmp_path / "f.joblib"
    _write(path, TREES, monkeypatch, padded)
    sample = ALPHANET.sample(2, 300)
    first = np.where(sample.resolution <= 208, 67, np.where(sample.depth[:, 4] <= 4.5, 70, 71))
    second = np.where(sample.width[:, 8] <= 1888, 68.5, 69.25)
    found = read_forest(path).predict(sample)
    assert len(np.unique(found)) == 6
    assert np.array_equal(found, (first + second) / 2)


def test_what_is_no_forest_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f.joblib"
    path.write_bytes(pickle.dumps([1.0]))
    with pytest.raises(DescriptionError, match="no random forest"):
        read_forest(path)
    path.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(DescriptionError, match=r"asks for 'os\.system'"):
        read_forest(path)
    _write(path, [([(1, 9, 0, 208.0), (-1, -1, -2, -2.0)], [0, 67])], monkeypatch, False)
    with pytest.raises(DescriptionError, match="no random forest"):
        read_forest(path)
    _write(path, TREES, monkeypatch, False)
    path.write_bytes(path.read_bytes()[:-150])
    with pytest.raises(DescriptionError, match=r"f\.joblib: "):
        read_forest(path)
