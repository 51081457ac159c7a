"""Networks of the zoo, each traced once a session."""

from __future__ import annotations

from typing import Any

import pytest

from jaxmaestro import zoo
from jaxmaestro.frontends import jax_modules, jax_tracing
from jaxmaestro.frontends.workload import Workload


class Zoo:
    """``zoo.workload`` with a memory, also of the functions and shapes that were traced."""

    def __init__(self) -> None:
        self._found: dict[Any, tuple[Workload, jax_modules.Model]] = {}

    def __call__(self, name: str, **options: Any) -> Workload:
        return self._traced(name, options)[0]

    def model(self, name: str, **options: Any) -> jax_modules.Model:
        """What the workload of the same arguments was read from, so that parameters are found once."""
        return self._traced(name, options)[1]

    def _traced(self, name: str, options: dict[str, Any]) -> tuple[Workload, jax_modules.Model]:
        key = (name, *sorted(options.items()))
        if key not in self._found:
            models: list[jax_modules.Model] = []

            def model_of(*args: Any) -> jax_modules.Model:
                models.append(jax_modules.model_of(*args))
                return models[-1]

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(jax_tracing, "model_of", model_of)
                self._found[key] = (zoo.workload(name, **options), models[0])
        return self._found[key]


@pytest.fixture(scope="session")
def traced() -> Zoo:
    """Workloads by name and options."""
    return Zoo()
