"""Search spaces as array programs: architectures and their layers, accelerators, dataflows, selection.

:func:`space` looks a search space up by name.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from jaxmaestro.description import DescriptionError
from jaxmaestro.spaces.alphanet import ALPHANET, ALPHANET_FORK, AlphaNet, Configurations
from jaxmaestro.spaces.dataflows import DATAFLOWS, seed_dataflow
from jaxmaestro.spaces.hardware import HARDWARE_SPACE, HardwareSpace, fork_points, seeded_points
from jaxmaestro.spaces.layers import FIELDS, LayerGrid, Rule
from jaxmaestro.spaces.nasbench301 import NASBENCH301, OPERATIONS, Genotypes, NASBench301
from jaxmaestro.spaces.selection import above_line, fork_select, pareto_front, select_models
from jaxmaestro.spaces.space import SearchSpace
from jaxmaestro.spaces.workloads import Workloads

__all__ = [
    "ALPHANET",
    "ALPHANET_FORK",
    "DATAFLOWS",
    "FIELDS",
    "HARDWARE_SPACE",
    "NASBENCH301",
    "OPERATIONS",
    "SPACES",
    "AlphaNet",
    "Configurations",
    "Genotypes",
    "HardwareSpace",
    "LayerGrid",
    "NASBench301",
    "Rule",
    "SearchSpace",
    "Workloads",
    "above_line",
    "fork_points",
    "fork_select",
    "pareto_front",
    "seed_dataflow",
    "seeded_points",
    "select_models",
    "space",
]

SPACES: dict[str, NASBench301 | AlphaNet] = {
    "nasbench301": NASBENCH301,
    "alphanet": ALPHANET,
    "alphanet_fork": ALPHANET_FORK,
}
"""The search spaces by name."""


def space(name: str, **options: Any) -> NASBench301 | AlphaNet:
    """The space of a name, with fields changed: ``space("nasbench301", input_size=16, auxiliary=True)``.

    Raises DescriptionError for a name or a field that is not there, and as the space does.
    """
    if name not in SPACES:
        raise DescriptionError(f"there is no space {name!r}", fix=f"give {', '.join(SPACES)}")
    fields = [field.name for field in dataclasses.fields(SPACES[name])]
    for option in options:
        if option not in fields:
            raise DescriptionError(f"space {name} has no option {option!r}", fix=f"give {', '.join(fields)}")
    return dataclasses.replace(SPACES[name], **options)
