"""Mappings drawn at random, each gene uniformly: what any other search has to beat."""

from __future__ import annotations

import dataclasses
from typing import Any

from jaxmaestro.mapspace import Genes, MappingSpace

Array = Any


@dataclasses.dataclass(frozen=True)
class RandomSearch:
    """``population`` new mappings a step."""

    population: int = 100

    def start(self, space: MappingSpace, key: Array, objectives: int) -> tuple[tuple[()], Genes]:
        """Nothing is remembered."""
        return (), space.sample(key, self.population)

    def update(
        self, space: MappingSpace, memory: tuple[()], asked: Genes, scores: Array, key: Array
    ) -> tuple[tuple[()], Genes]:
        """Others, whatever was found."""
        return (), space.sample(key, self.population)
