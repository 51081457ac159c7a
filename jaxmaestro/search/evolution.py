"""Evolution strategies of evosax on mappings as points of a cube (``pip install jaxmaestro[search]``)."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxmaestro.description import DescriptionError
from jaxmaestro.mapspace import Genes, MappingSpace
from jaxmaestro.mapspace.choices import uniform
from jaxmaestro.search.coding import decoded, dimensions

Array = Any

ALGORITHMS = {"de": "DifferentialEvolution", "cma_es": "CMA_ES", "pso": "PSO", "snes": "SNES"}
"""Names here, and evosax's."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Strategy:
    """evosax's state, and the points that were asked for."""

    state: Any
    points: Array  # [p, d]


@dataclasses.dataclass(frozen=True)
class Evolution:
    """An algorithm of evosax with its default settings, on the logarithm of the first objective.

    Raises DescriptionError for a name that is not known, or where evosax is not installed.
    """

    name: str = "de"
    population: int = 100
    spread: float = 0.25  # standard deviation to begin with, of algorithms that have one

    def __post_init__(self) -> None:
        if self.name not in ALGORITHMS:
            raise DescriptionError(f"there is no {self.name!r}", fix=f"give {', '.join(ALGORITHMS)}")
        try:
            import evosax.algorithms  # noqa: F401
        except ImportError:
            raise DescriptionError(
                f"the searcher {self.name} needs evosax", fix="pip install 'jaxmaestro[search]'"
            ) from None

    def _algorithm(self, space: MappingSpace) -> tuple[Any, Any]:
        from evosax import algorithms

        made = getattr(algorithms, ALGORITHMS[self.name])(
            population_size=self.population, solution=jnp.full(dimensions(space), 0.5)
        )
        params = made.default_params
        if hasattr(params, "std_init"):
            params = params.replace(std_init=self.spread)
        return made, params

    def start(self, space: MappingSpace, key: Array, objectives: int) -> tuple[Strategy, Genes]:
        """Random points, or the first of the distribution around the middle of the cube."""
        made, params = self._algorithm(space)
        k_points, k_state, k_ask = jax.random.split(key, 3)
        points = uniform(k_points, (self.population, dimensions(space)))
        if self.name in ("de", "pso"):
            state = made.init(k_state, points, jnp.full(self.population, jnp.inf), params)
        else:
            state = made.init(k_state, jnp.full(dimensions(space), 0.5), params)
            points, state = made.ask(k_ask, state, params)
        return Strategy(_strong(state), points), decoded(space, points)

    def update(
        self, space: MappingSpace, memory: Strategy, asked: Genes, scores: Array, key: Array
    ) -> tuple[Strategy, Genes]:
        """Tell, then ask."""
        made, params = self._algorithm(space)
        k_tell, k_ask = jax.random.split(key)
        # Distributions are moved by ranks; infinite scores would make weights of some NaN.
        fitness = jnp.minimum(jnp.log(scores[:, 0]), 1e3)
        state, _ = made.tell(k_tell, memory.points, fitness, memory.state, params)
        points, state = made.ask(k_ask, state, params)
        return Strategy(_strong(state), points), decoded(space, points)


def _strong(state: Any) -> Any:
    """The state with the types that it will have after a step: none are weak."""
    return jax.tree.map(lambda a: lax.convert_element_type(a, jnp.asarray(a).dtype), state)
