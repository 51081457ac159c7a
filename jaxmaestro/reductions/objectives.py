"""What a reduction ranks by, and which tuples it may take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import jax
import numpy as np

from jaxmaestro.equations.costs import Costs

Array = Any

Require = Literal["sound", "valid"]
"""``sound``: the figures can be trusted; ``valid``: they also fit the hardware."""

OBJECTIVES = ("runtime", "energy", "edp", "area", "power")
"""Figures that go by name: cycles, nJ, cycles times nJ, um^2, mW."""

Objective = str | Callable[[Costs], Array]
"""A name of :data:`OBJECTIVES`, or a function from costs to one number a tuple (smaller is better)."""


def check_objective(objective: Objective) -> None:
    """Raises ValueError for a name that is not known."""
    if not callable(objective) and objective not in OBJECTIVES:
        raise ValueError(
            f"objective is {objective!r}; it must be one of {', '.join(OBJECTIVES)} or a function"
        )


def check_require(require: str) -> None:
    """Raises ValueError for anything but ``sound`` and ``valid``."""
    if require not in ("sound", "valid"):
        raise ValueError(f"require is {require!r}; it must be 'sound' or 'valid'")


def objective_values(costs: Costs, objective: Objective) -> Array:
    """One number a tuple; the caller has 64-bit types enabled."""
    if callable(objective):
        return objective(costs)
    if objective == "edp":
        # In double precision whatever the mode: the product leaves float32's range.
        return costs.runtime.astype(np.float64) * costs.energy.astype(np.float64)
    return getattr(costs, objective)


def accepted(costs: Costs, require: Require) -> Array:
    """bool: the tuples that may be taken; an illegal one (its figures are zero) never is."""
    return costs.sound if require == "sound" else costs.valid


def check_counts(costs: Costs) -> None:
    """Raises TypeError where JAX has cut 64-bit counts to 32 bits, as it does at a jit's boundary."""
    dtype = np.dtype(costs.runtime.dtype)
    if dtype.kind in "iu" and dtype.itemsize < 8:
        cut = " (a jit outside jax.enable_x64(True) cut them)" if is_traced(costs.runtime) else ""
        raise TypeError(f"counts are {dtype}, not int64 or float{cut}")


def is_traced(array: Array) -> bool:
    """Whether the array is a placeholder inside jit, vmap or the like."""
    return isinstance(array, jax.core.Tracer)
