"""Predicted accuracies with the shipped weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxmaestro.accuracy import features, weights
from jaxmaestro.accuracy.record import words_of
from jaxmaestro.spaces import space

FEATURES: dict[str, Callable[[Any], Any]] = {
    "alphanet": features.alphanet,
    "alphanet_fork": features.alphanet,
    "nasbench301": features.nasbench301,
}
"""Features of each space's architectures, float32 ``[n, f]``."""


def predict(space_name: str, architectures: Any) -> np.ndarray:
    """Predicted accuracy of each architecture in percent, float64 ``[n]``.

    They are estimates of estimates: :func:`jaxmaestro.accuracy.about` says of what, with the
    held-out error; docs/accuracy.md says more. flax is imported when this is called.

    Args:
        space_name: nasbench301, alphanet or alphanet_fork.
        architectures: the space's struct of arrays, n rows.

    Raises:
        DescriptionError: there is no such predictor, or an architecture is not of the space.
    """
    name = words_of(space_name).weights
    checked(space_name, architectures)
    from jaxmaestro.accuracy.network import ensemble

    record = weights.record(name)
    standardised = ensemble(weights.parameters(name), architectures, FEATURES[space_name])
    return record["mean"] + record["deviation"] * standardised


def extrapolates(space_name: str, architectures: Any) -> np.ndarray:
    """Which architectures have a value that the predictor has not learned from, bool ``[n]``.

    Raises:
        DescriptionError: as :func:`predict`.
    """
    words_of(space_name)
    checked(space_name, architectures)
    if space_name == "nasbench301":
        return np.zeros(len(architectures), bool)
    return ~features.in_alphanet_table(architectures)


def checked(space_name: str, architectures: Any) -> None:
    """Raises DescriptionError for architectures that are not of the space."""
    if len(architectures):
        space(space_name).encode(architectures)
