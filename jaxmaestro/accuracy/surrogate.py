"""NAS-Bench-301's own surrogates, through its package, where the user has both."""

from __future__ import annotations

import collections
import importlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from jaxmaestro.description import DescriptionError
from jaxmaestro.spaces import NASBENCH301
from jaxmaestro.spaces.nasbench301 import NODES, OPERATIONS, Genotypes

_Genotype = collections.namedtuple("_Genotype", "normal normal_concat reduce reduce_concat")


def read_surrogate(folder: str | Path) -> Callable[[Genotypes], np.ndarray]:
    """A function from genotypes to accuracies in percent, float64 ``[n]``, without the surrogate's noise.

    Args:
        folder: an unpacked ensemble, such as ``xgb_v1.0``. The package unpickles what is in it
            without any restriction: give only files that you trust.

    Raises:
        DescriptionError: the folder is none, or the package ``nasbench301`` cannot be imported. It
            is no extra of jaxmaestro: its 0.3 declares no dependencies, needs some fifteen, and one of them
            (torch_scatter) has to be compiled for the torch that is there.
    """
    if not next(Path(folder).rglob("*surrogate_model.model"), None):
        raise DescriptionError(
            "there is no surrogate in it",
            source=str(folder),
            fix="give an unpacked ensemble, such as xgb_v1.0",
        )
    try:
        package = importlib.import_module("nasbench301")
    except ImportError as error:
        raise DescriptionError(
            f"the package nasbench301 cannot be imported ({error})",
            fix="run it in an environment made as github.com/automl/nasbench301 says, write its accuracies "
            "to a CSV and read that with read_table, or use jaxmaestro.accuracy.predict",
        ) from None
    model = package.load_ensemble(str(folder))

    def accuracies(genotypes: Genotypes) -> np.ndarray:
        NASBENCH301.encode(genotypes)
        found = [
            model.predict(config=genotype, representation="genotype", with_noise=False)
            for genotype in _genotypes(genotypes)
        ]
        return np.array(found, np.float64).reshape(len(genotypes))

    return accuracies


def _genotypes(genotypes: Genotypes) -> list[_Genotype]:
    """Genotypes as the package takes them; its edges are in the order of their inputs."""
    shape = (len(genotypes), 2, NODES * 2)
    operations, inputs = (
        np.asarray(f).reshape(shape).tolist() for f in (genotypes.operations, genotypes.inputs)
    )
    concat, found = list(range(2, 2 + NODES)), []
    for names, sources in zip(operations, inputs, strict=True):
        normal, reduce = (
            [(OPERATIONS[name], source) for name, source in zip(*cell, strict=True)]
            for cell in zip(names, sources, strict=True)
        )
        found.append(_Genotype(normal, concat, reduce, concat))
    return found
