"""The shipped weights: one small ``.npz`` a predictor, which also holds how it was trained."""

from __future__ import annotations

import functools
import json
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

Tree = dict[str, Any]


@functools.cache
def record(name: str) -> Tree:
    """What the training command wrote about the weights ``name``: settings, split, errors."""
    with resources.files(__package__).joinpath(f"weights/{name}.npz").open("rb") as file:
        found: Tree = json.loads(str(np.load(file)["record"]))
    return found


@functools.cache
def parameters(name: str) -> Tree:
    """The parameters of the ensemble ``name``, float32."""
    tree: Tree = {}
    with resources.files(__package__).joinpath(f"weights/{name}.npz").open("rb") as file:
        leaves = {key: leaf.astype(np.float32) for key, leaf in np.load(file).items() if key != "record"}
    for key, leaf in leaves.items():
        *path, last = key.split("/")
        functools.reduce(lambda node, part: node.setdefault(part, {}), path, tree)[last] = leaf
    return tree


def rounded(tree: Tree) -> Tree:
    """Parameters as they come back from a file: stored in half precision."""
    if not isinstance(tree, dict):
        return np.asarray(tree).astype(np.float16).astype(np.float32)
    return {key: rounded(node) for key, node in tree.items()}


def save(path: Path, tree: Tree, about: Tree) -> None:
    """Write parameters and their record."""
    leaves: Tree = {key: leaf.astype(np.float16) for key, leaf in _leaves(tree, "")}
    leaves["record"] = np.array(json.dumps(about, indent=1))
    np.savez_compressed(path, allow_pickle=False, **leaves)


def _leaves(tree: Tree, prefix: str) -> list[tuple[str, np.ndarray]]:
    if not isinstance(tree, dict):
        return [(prefix, np.asarray(tree))]
    return [leaf for key, node in tree.items() for leaf in _leaves(node, f"{prefix}/{key}".lstrip("/"))]
