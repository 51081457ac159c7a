"""AttentiveNAS's released accuracy predictor, a random forest, where the user has its file.

The file (acc_predictor.joblib of github.com/facebookresearch/AttentiveNAS) is a pickle with raw
arrays in between; it is read without scikit-learn and without running anything in it.
"""

from __future__ import annotations

import dataclasses
import functools
import io
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmaestro.accuracy.pickles import Inert, NumberType, unpickle
from jaxmaestro.description import DescriptionError
from jaxmaestro.spaces.alphanet import Configurations

Array = Any
INPUTS = 31
"""Resolution, nine widths, then depths, kernels and expansions of seven stages."""

LARGEST = 2**26
"""Trees times nodes of the largest; the released forest has 100 times 1,500."""


class _Wrapper(Inert):
    """Stands for what joblib writes before the bytes of an array."""


_CLASSES = {
    "sklearn.ensemble._forest.RandomForestRegressor": Inert,
    "sklearn.tree._classes.DecisionTreeRegressor": Inert,
    "sklearn.tree._tree.Tree": Inert,
    "joblib.numpy_pickle.NumpyArrayWrapper": _Wrapper,
    "numpy.ndarray": Inert,
    "numpy.dtype": NumberType,
}


@dataclasses.dataclass(frozen=True, eq=False)
class Forest:
    """t regression trees of at most m nodes, padded. Leaves point at themselves."""

    feature: np.ndarray  # [t, m] int32, the input that a node looks at
    threshold: np.ndarray  # [t, m] float32: left where the input is at most this
    left: np.ndarray  # [t, m] int32
    right: np.ndarray  # [t, m] int32
    value: np.ndarray  # [t, m] float64, percent
    depth: int

    def predict(self, config: Configurations) -> np.ndarray:
        """The forest's accuracy of each configuration in percent, float64 ``[n]``.

        Any values are taken: outside those of AttentiveNAS's space a forest says what it
        says of the nearest.
        """
        fields = (config.width, config.depth, config.kernel, config.expansion)
        inputs = np.concatenate([np.asarray(config.resolution)[:, None], *map(np.asarray, fields)], 1)
        tables = (self.feature, self.threshold, self.left, self.right)
        leaves = np.asarray(_leaves(tables, jnp.asarray(inputs, jnp.float32), self.depth))
        total = np.zeros(len(inputs))
        for value, leaf in zip(
            self.value, leaves, strict=True
        ):  # in order, in double precision, as scikit-learn
            total += value[leaf]
        return total / len(self.value)


@functools.partial(jax.jit, static_argnums=2)
def _leaves(tables: tuple[Array, ...], inputs: Array, depth: int) -> Array:
    """The leaf in which each tree puts each row, int32 ``[t, n]``."""

    def tree(feature: Array, threshold: Array, left: Array, right: Array) -> Array:
        def down(_: int, node: Array) -> Array:
            seen = jnp.take_along_axis(inputs, feature[node][:, None], 1)[:, 0]
            return jnp.where(seen <= threshold[node], left[node], right[node])

        return jax.lax.fori_loop(0, depth, down, jnp.zeros(len(inputs), jnp.int32))

    return jax.vmap(tree)(*tables)


def read_forest(path: str | Path) -> Forest:
    """Read the forest of a joblib file.

    Raises:
        DescriptionError: it holds anything but a random forest on 31 inputs, or is damaged.
        OSError: it cannot be read.
    """
    found = unpickle(path, _CLASSES, _array)
    try:
        trees = [estimator.state["tree_"] for estimator in found.state["estimators_"]]
        nodes = [tree.state["nodes"] for tree in trees]
        values = [tree.state["values"].reshape(-1) for tree in trees]
        m = max(map(len, nodes))
        if len(nodes) * m > LARGEST:
            raise _damaged(path)
        forest = Forest(
            feature=_stack([np.maximum(n["feature"], 0) for n in nodes], m, np.int32),
            threshold=_stack([n["threshold"] for n in nodes], m, np.float32),
            left=_stack([_own_if_leaf(n["left_child"]) for n in nodes], m, np.int32),
            right=_stack([_own_if_leaf(n["right_child"]) for n in nodes], m, np.int32),
            value=_stack(values, m, np.float64),
            depth=max(int(tree.state["max_depth"]) for tree in trees),
        )
    except DescriptionError:
        raise
    except (AttributeError, KeyError, IndexError, TypeError, ValueError):
        raise _damaged(path) from None
    links = np.stack([forest.left, forest.right])
    if forest.feature.max() >= INPUTS or links.min() < 0 or links.max() >= m or not 0 <= forest.depth <= m:
        raise _damaged(path)
    return forest


def _damaged(path: str | Path) -> DescriptionError:
    return DescriptionError(
        "it holds no random forest on AttentiveNAS's 31 inputs",
        source=str(path),
        fix="give acc_predictor.joblib",
    )


def _own_if_leaf(child: np.ndarray) -> np.ndarray:
    return np.where(child == -1, np.arange(len(child)), child)


def _stack(rows: list[np.ndarray], m: int, dtype: type) -> np.ndarray:
    found: np.ndarray = np.zeros((len(rows), m), dtype)
    for row, values in zip(found, rows, strict=True):
        row[: len(values)] = values
    return found


def _array(made: Inert, file: io.BytesIO) -> Any:
    """The array whose bytes follow a joblib wrapper; anything else as it is."""
    if not isinstance(made, _Wrapper):
        return made
    state = made.state
    if state.get("numpy_array_alignment_bytes"):
        file.read(file.read(1)[0])
    kind, shape = state["dtype"].dtype, tuple(map(int, state["shape"]))
    size = kind.itemsize * int(np.prod(shape))
    return np.frombuffer(file.read(size), kind).reshape(shape, order=state["order"])
