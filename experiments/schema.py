"""The schema of ``conf/``: every key with its type, so that Hydra refuses any other by name."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from jaxmaestro.description import LayerType


class Precision(enum.Enum):
    """Arithmetic of the cost model."""

    exact = "exact"
    float32 = "float32"


@dataclass
class LayerRow:
    """One row of a network: a layer and how often it occurs.

    ``Y`` and ``X`` include the padding that the filter touches, so the output
    has ``(Y - R) / stride + 1`` rows. A GEMM is ``[M, K] x [K, N] -> [M, N]``.
    A size that the type does not have stays unset. ``stride`` is along Y and X
    where ``stride_x`` gives no other for X.
    """

    name: str = MISSING
    type: LayerType = MISSING
    N: int | None = None
    G: int | None = None
    K: int | None = None
    C: int | None = None
    R: int | None = None
    S: int | None = None
    Y: int | None = None
    X: int | None = None
    M: int | None = None
    stride: int = 1
    stride_x: int | None = None
    repeat: int = 1


@dataclass
class NetworkConfig:
    """A network: rows of layers, or a model that has them.

    ``spec`` names the model (jaxmaestro/frontends/specs.py), ``options`` are those of its frontend or,
    for the zoo, of the network. Layers beside a spec are taken as they are, in its place.
    ``published_gmacs`` is what the total is checked against (GMACs).
    """

    title: str = ""
    source: str = ""
    published_gmacs: float | None = None
    spec: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    layers: list[LayerRow] = field(default_factory=list)


@dataclass
class ModelConfig:
    """Networks by name, and how those that come from models are described.

    ``padding``, ``products`` and ``training`` are options of the frontends (docs/frontends.md). ``batch``,
    ``image`` and ``tokens`` are set for every network of the zoo that has them.
    """

    networks: dict[str, NetworkConfig] = field(default_factory=dict)
    padding: str = "exact"  # or same-as-maestro
    products: str = "auto"  # or gemm, conv
    training: bool = False
    batch: int | None = None
    image: int | None = None
    tokens: int | None = None


@dataclass
class DataflowConfig:
    """One dataflow: directives by the kind of layer that they map.

    A strided kind that is not given is that of the unstrided layers. A dataflow
    without directives for a kind does not map such layers.
    """

    title: str = MISSING
    conv: list[str] | None = None
    conv_strided: list[str] | None = None
    depthwise: list[str] | None = None
    depthwise_strided: list[str] | None = None
    gemm: list[str] | None = None


@dataclass
class DataflowsConfig:
    """Dataflows by name."""

    dataflows: dict[str, DataflowConfig] = field(default_factory=dict)


@dataclass
class HardwareBase:
    """The base point (see :class:`jaxmaestro.description.Hardware` for units)."""

    num_pes: int = MISSING
    l1_size: int = MISSING
    l2_size: int = MISSING
    noc_bandwidth: int = MISSING
    noc_hops: int = 1
    hop_latency: int = 1
    offchip_bandwidth: int = MISSING
    simd_lanes: int = 1


@dataclass
class HardwareGrid:
    """Values to sweep, every combination; an empty list keeps the value of the base point."""

    num_pes: list[int] = field(default_factory=list)
    l1_size: list[int] = field(default_factory=list)
    l2_size: list[int] = field(default_factory=list)
    noc_bandwidth: list[int] = field(default_factory=list)
    noc_hops: list[int] = field(default_factory=list)
    hop_latency: list[int] = field(default_factory=list)
    offchip_bandwidth: list[int] = field(default_factory=list)
    simd_lanes: list[int] = field(default_factory=list)


@dataclass
class HardwareConfig:
    """A named accelerator: a base point and a grid around it."""

    name: str = MISSING
    base: HardwareBase = field(default_factory=HardwareBase)
    grid: HardwareGrid = field(default_factory=HardwareGrid)


@dataclass
class SweepConfig:
    """How to run and report (comments in ``conf/sweep/default.yaml``)."""

    chunk: int = 2048
    precision: Precision = Precision.exact
    fits: bool = False
    csv: bool = False
    pictures: bool = True
    resume: bool = True


@dataclass
class Config:
    """The whole configuration of a sweep."""

    hw: HardwareConfig = field(default_factory=HardwareConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    dataflow: DataflowsConfig = field(default_factory=DataflowsConfig)
    sweep: SweepConfig = field(default_factory=SweepConfig)


def register() -> None:
    """Put the schema in Hydra's store under the name that ``conf/config.yaml`` asks for."""
    ConfigStore.instance().store(name="schema", node=Config)
