"""The predictors' network, in flax. Imported only when something is predicted or trained."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

Array = Any
Parameters = dict[str, Any]
"""A flax tree; every leaf begins with an axis of the members of the ensemble."""

Features = Callable[[Any], Array]
"""From a struct of arrays with n rows to float32 ``[n, f]``."""

CHUNK = 4096
"""Rows of one call: one compiled program serves any number of architectures."""


class Network(nn.Module):
    """Two hidden layers, and a linear part beside them for what simply adds up."""

    width: int

    @nn.compact
    def __call__(self, features: Array) -> Array:
        """Standardised accuracies ``[n]`` of features ``[n, f]``."""

        def dense(outputs: int, bias: bool = True) -> nn.Dense:
            return nn.Dense(outputs, use_bias=bias, precision=jax.lax.Precision.HIGHEST)

        hidden = nn.gelu(dense(self.width)(features))
        hidden = nn.gelu(dense(self.width)(hidden))
        return (dense(1)(hidden) + dense(1, bias=False)(features))[:, 0]


def initial(key: Array, features: int, width: int, members: int) -> Parameters:
    """Random parameters of an ensemble."""
    rows = jnp.zeros((1, features))

    def one(member: Array) -> Any:
        return Network(width).init(member, rows)

    found: Parameters = jax.vmap(one)(jax.random.split(key, members))
    return found


@functools.partial(jax.jit, static_argnums=(2, 3))
def _mean(parameters: Parameters, architectures: Any, features: Features, width: int) -> Array:
    def one(member: Parameters, rows: Array) -> Array:
        return Network(width).apply(member, rows)

    return jax.vmap(one, (0, None))(parameters, features(architectures)).mean(0)


def ensemble(parameters: Parameters, architectures: Any, features: Features) -> np.ndarray:
    """The mean of the members' standardised accuracies, float64 ``[n]``.

    Args:
        parameters: of the ensemble.
        architectures: a space's struct of arrays, n rows.
        features: its features, a pure function of :mod:`jaxmaestro.accuracy.features`.
    """
    width = parameters["params"]["Dense_0"]["bias"].shape[-1]

    def chunk(field: Array, start: int) -> np.ndarray:
        rows = np.asarray(field)[start : start + CHUNK]
        return np.pad(rows, [(0, CHUNK - len(rows)), *[(0, 0)] * (rows.ndim - 1)])

    found = [np.empty(0)]
    for start in range(0, len(architectures), CHUNK):
        rows = jax.tree.map(functools.partial(chunk, start=start), architectures)
        found.append(np.asarray(_mean(parameters, rows, features, width))[: len(architectures) - start])
    return np.concatenate(found)
