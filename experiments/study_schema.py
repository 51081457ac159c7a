"""The schema of the co-design experiments: what is sampled, on what it runs, how it is searched."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING


class Sampler(enum.Enum):
    """Who draws the architectures: the seed's script reproduced, or ``jax.random``."""

    fork = "fork"
    seeded = "seeded"


class Preset(enum.Enum):
    """Which accelerators: the seed's own 50, our 51 with a fixed seed, or ``count`` by ``seed``."""

    fork = "fork"
    fixed = "fixed"
    drawn = "drawn"


class Problem(enum.Enum):
    """``product``: any point may be chosen. ``each``: the point is given, every one in turn."""

    product = "product"
    each = "each"


class MethodName(enum.Enum):
    """How the problem is searched."""

    fully_coupled = "fully_coupled"
    fully_decoupled = "fully_decoupled"
    semi_decoupled = "semi_decoupled"
    adaptive = "adaptive"


@dataclass
class SpaceConfig:
    """A sample of a search space and which of it is kept."""

    name: str = MISSING
    sampler: Sampler = Sampler.fork
    count: int = MISSING  # architectures sampled
    random: int = 1000  # random ones kept beside the front in (accuracy, FLOPs)
    rule: str = "fork"  # layers as the seed counts them, or exact
    table: str | None = None  # CSV: index, selected, and accuracy or predicted_accuracy; null: predicted


@dataclass
class AcceleratorsConfig:
    """Accelerators; each is combined with each dataflow to a point."""

    preset: Preset = Preset.fork
    count: int | None = None  # fork, fixed: the first so many (null: all); drawn: how many
    dataflows: list[str] = field(default_factory=lambda: ["KC-P", "YR-P", "X-P"])


@dataclass
class MethodConfig:
    """A method. Each proxy is a run of its own; joined by ``+`` they are one run on several."""

    name: MethodName = MISSING
    proxies: list[str] = field(default_factory=lambda: ["all"])
    size: int | None = None  # most architectures a proxy hands on
    tolerance: float = 0.0  # adaptive: loss in accuracy (percent) that is put up with
    budget: int | None = None  # adaptive: evaluations after which it stops


@dataclass
class ConstraintsConfig:
    """Quantiles at which the limits are set; every combination is a constraint."""

    problem: Problem = MISSING
    latency: list[float] = MISSING
    energy: list[float] = MISSING
    area: list[float] = field(default_factory=list)


@dataclass
class StudyConfig:
    """What every co-design experiment needs."""

    space: SpaceConfig = field(default_factory=SpaceConfig)
    accelerators: AcceleratorsConfig = field(default_factory=AcceleratorsConfig)
    seed: int = 0
    pictures: bool = True
    resume: bool = True
    cache: str = "outputs/campaigns"  # campaigns, shared by runs


@dataclass
class CodesignConfig(StudyConfig):
    """``python -m experiments.codesign``."""

    method: MethodConfig = field(default_factory=MethodConfig)
    constraints: ConstraintsConfig = field(default_factory=ConstraintsConfig)


@dataclass
class MonotonicityConfig(StudyConfig):
    """``python -m experiments.monotonicity``."""

    pairs: list[list[str]] = field(default_factory=list)  # points to draw; none: picked by SRCC


@dataclass
class ReproduceConfig:
    """``python -m experiments.reproduce``: several studies, every method, one report."""

    spaces: dict[str, SpaceConfig] = field(default_factory=dict)
    accelerators: AcceleratorsConfig = field(default_factory=AcceleratorsConfig)
    constraints: dict[str, ConstraintsConfig] = field(default_factory=dict)
    sizes: list[int] = field(default_factory=lambda: [2, 5, 10, 20, 50])
    proxies: int | None = None  # so many of each dataflow, evenly spread; null: all
    seed: int = 0
    resume: bool = True
    cache: str = "outputs/campaigns"


def register() -> None:
    """Put the schemas in Hydra's store under the names that the files of ``conf/`` ask for."""
    store = ConfigStore.instance()
    store.store(name="codesign_schema", node=CodesignConfig)
    store.store(name="monotonicity_schema", node=MonotonicityConfig)
    store.store(name="reproduce_schema", node=ReproduceConfig)
