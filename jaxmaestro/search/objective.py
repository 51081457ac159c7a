"""What a search minimises: figures by name, and which mappings count as found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from jaxmaestro.description import DescriptionError
from jaxmaestro.equations.costs import Costs

Array = Any

OBJECTIVES: dict[str, Callable[[Costs], Array]] = {
    "latency": lambda costs: costs.runtime.astype(jnp.float64),
    "energy": lambda costs: costs.energy.astype(jnp.float64),
    "edp": lambda costs: costs.runtime.astype(jnp.float64) * costs.energy.astype(jnp.float64),
    "area": lambda costs: costs.area.astype(jnp.float64),
    "power": lambda costs: costs.power.astype(jnp.float64),
}
"""All are minimised; :data:`UNITS` has their units."""

UNITS = {"latency": "cycles", "energy": "nJ", "edp": "nJ cycles", "area": "um^2", "power": "mW"}


def check_objectives(names: tuple[str, ...]) -> None:
    """Raises DescriptionError for no names, one that is not known, or one twice."""
    for name in names:
        if name not in OBJECTIVES:
            raise DescriptionError(
                f"there is no objective {name!r}", fix=f"give some of {', '.join(OBJECTIVES)}"
            )
    if not names or len(set(names)) < len(names):
        raise DescriptionError(f"the objectives are {', '.join(names) or 'none'}", fix="give each once")


def scores(costs: Costs, objectives: tuple[str, ...], counted: str = "valid") -> Array:
    """Objectives of costs ``[n]`` as float64 ``[n, m]``; infinite where a mapping does not count.

    ``counted``: ``"valid"`` mappings, as it should be, or ``"any"`` that has figures, as in work that
    trusts the reference. The caller has 64-bit types enabled.
    """
    found = jnp.stack([OBJECTIVES[name](costs) for name in objectives], -1)
    taken = costs.valid if counted == "valid" else costs.fits & (costs.runtime > 0)
    return jnp.where(taken[..., None], found, jnp.inf)
