"""The schema of ``conf/codesign_networks.yaml``: networks, budgets, and how designs are searched."""

from __future__ import annotations

from dataclasses import dataclass, field

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from experiments.map_schema import MapspaceConfig
from experiments.schema import ModelConfig


@dataclass
class BudgetConfig:
    """A budget and the accelerators that it is for (jaxmaestro.accelerators.Budget, DesignSpace)."""

    area: float | None = None  # mm^2; null: no limit
    power: float | None = None  # mW, as the cost model has it
    model: str = "digamma"  # of the area; or reference
    num_pes: list[int] = field(default_factory=list)
    noc_bandwidth: list[int] = field(default_factory=list)  # elements a cycle
    offchip_bandwidth: list[int] = field(default_factory=list)
    l1_sizes: list[int] = field(default_factory=list)  # bytes; none: as the mappings need
    l2_sizes: list[int] = field(default_factory=list)
    noc_hops: int = 1
    hop_latency: int = 1
    simd_lanes: int = 1


@dataclass
class BudgetsConfig:
    """Budgets by name; each is a search of its own."""

    budgets: dict[str, BudgetConfig] = field(default_factory=dict)


@dataclass
class StrategyConfig:
    """How designs are searched. A strategy takes the fields that its file in ``conf/strategy`` has."""

    name: str = MISSING
    population: int | None = None  # mappings a step and layer; genetic: accelerators
    rounds: int | None = None
    steps: int | None = None
    outer: str | None = None
    trials: int | None = None
    batch: int | None = None
    generations: int | None = None
    style: str | None = None
    limited: str | None = None
    share: float | None = None
    samples: int | None = None


@dataclass
class CodesignNetworksConfig:
    """``python -m experiments.codesign space=networks``."""

    model: ModelConfig = field(default_factory=ModelConfig)
    budget: BudgetsConfig = field(default_factory=BudgetsConfig)
    strategy: StrategyConfig = field(default_factory=StrategyConfig)
    mapspace: MapspaceConfig = field(default_factory=MapspaceConfig)
    objectives: list[str] = field(default_factory=lambda: ["latency", "edp"])  # or energy
    together: bool = False  # one accelerator for all networks, run one after the other
    seed: int = 0
    pictures: bool = True
    resume: bool = True


def register() -> None:
    """Put the schema in Hydra's store under the name that ``conf/codesign_networks.yaml`` asks for."""
    ConfigStore.instance().store(name="codesign_networks_schema", node=CodesignNetworksConfig)
