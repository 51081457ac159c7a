"""The schema of mapping searches: ``conf/map.yaml`` and its groups ``search`` and ``mapspace``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from experiments.schema import HardwareConfig, ModelConfig
from jaxmaestro.mapspace import MappingOptions


@dataclass
class SearchConfig:
    """A searcher (``jaxmaestro.search.SEARCHERS``, or exhaustive)."""

    name: str = MISSING
    population: int = 100  # mappings a step and layer
    options: dict[str, Any] = field(default_factory=dict)  # fields of the searcher, or its rates


@dataclass
class MapspaceConfig:
    """Which mappings are searched (``jaxmaestro.mapspace.MappingOptions``)."""

    least_levels: int = 1
    most_levels: int = 2
    tiles: str = "ragged"  # or divisors
    spatial: list[str] = field(default_factory=lambda: ["N", "G", "K", "C", "Y", "X", "M"])
    clusters: Any = "any"  # or powers, or a list of sizes


@dataclass
class MapConfig:
    """``python -m experiments.map``."""

    hw: HardwareConfig = field(default_factory=HardwareConfig)  # its base point
    model: ModelConfig = field(default_factory=ModelConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    mapspace: MapspaceConfig = field(default_factory=MapspaceConfig)
    objectives: list[str] = field(default_factory=lambda: ["latency", "energy"])
    archive: int = 1  # mappings kept: of one, ties are broken by later objectives; of more, a Pareto front
    samples: int = 10000  # valid mappings a layer and seed
    patience: int = 10  # a search ends after so many times `samples` evaluations, valid or not
    seeds: list[int] = field(default_factory=lambda: [0])
    every: int = 10  # steps between checkpoints
    fused: bool = False  # these steps as one program: longer to compile, quicker for few mappings
    pictures: bool = True
    resume: bool = True


def options_of(config: MapspaceConfig) -> MappingOptions:
    """The mapping space of a configuration; raises DescriptionError for values that cannot be."""
    clusters: Any = config.clusters
    if isinstance(clusters, int):
        clusters = (clusters,)
    if not isinstance(clusters, str):
        clusters = tuple(clusters or ())
    tiles: Any = config.tiles
    return MappingOptions(config.least_levels, config.most_levels, tiles, tuple(config.spatial), clusters)


def register() -> None:
    """Put the schema in Hydra's store under the name that ``conf/map.yaml`` asks for."""
    ConfigStore.instance().store(name="map_schema", node=MapConfig)
