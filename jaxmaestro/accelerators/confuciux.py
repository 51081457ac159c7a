"""Resources for the layers of a pipeline under one budget: ConfuciuX's problem (Kao et al., MICRO 2020).

Each layer of a network has an accelerator of its own, under a fixed style of dataflow: a number of PEs
and a buffer level (how many output channels, or channels of a depthwise layer, are held at a time). All
(layer, PEs, level) tuples are one batched call of the cost function, and the best assignment under the
budget of the sum of all layers' area or power is then found exactly.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

from jaxmaestro.accelerators.budget import AREA_MODELS, Budget, reference_power
from jaxmaestro.accelerators.packing import Packing, pack
from jaxmaestro.accelerators.roofline import roofline
from jaxmaestro.description import (
    UNLIMITED,
    Dataflow,
    DescriptionError,
    Directive,
    Hardware,
    Layer,
    LayerType,
    MappedLayer,
    SpatialMap,
    Sz,
    TemporalMap,
)
from jaxmaestro.encoding import encode_pairs
from jaxmaestro.evaluation import evaluate_batch

PES = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128)
"""Numbers of PEs that a layer may have, as in the paper."""
LEVELS = tuple(range(1, 13))
"""Buffer levels, as in the paper."""
STYLES = ("nvdla", "shidiannao", "eyeriss")
"""What the PEs share out: input channels, output columns, output rows."""

Style = Literal["nvdla", "shidiannao", "eyeriss"]


@dataclasses.dataclass(frozen=True)
class Pipeline:
    """The problem: layers in order (each as often as it occurs), a style, levels, one limit.

    ``share``: the limit is this share of what the largest levels take in all (as in the paper);
    None: it is the budget's. ``goal`` is ``"latency"`` or ``"energy"``, summed over the layers.

    Raises DescriptionError for a style, goal or share that cannot be, or no layers.
    """

    layers: tuple[Layer, ...]
    budget: Budget
    goal: str = "latency"
    style: str = "nvdla"
    share: float | None = None
    limited: str = "area"  # or power
    noc_bandwidth: int = 64
    offchip_bandwidth: int = 16
    num_pes: tuple[int, ...] = PES
    levels: tuple[int, ...] = LEVELS

    def __post_init__(self) -> None:
        for what, value, known in (
            ("style", self.style, STYLES),
            ("goal", self.goal, ("latency", "energy")),
            ("limit", self.limited, ("area", "power")),
        ):
            if value not in known:
                raise DescriptionError(
                    f"ConfuciuX's problem has no {what} {value!r}", fix=f"give {' or '.join(known)}"
                )
        if self.share is not None and not 0 < self.share <= 1:
            raise DescriptionError(f"the share is {self.share}", fix="give one above 0, up to 1")
        if self.share is None and getattr(self.budget, self.limited) is None:
            raise DescriptionError(
                f"the budget has no limit of {self.limited}", fix="give one, or a share of the largest"
            )
        if not self.layers or min((0, *self.num_pes)[1:], default=0) < 1 or min(self.levels, default=0) < 1:
            raise DescriptionError("no layers, PEs or levels", fix="give some, each 1 or more")


@dataclasses.dataclass(frozen=True, eq=False)
class Options:
    """What every layer can be given; n layers, m = PEs times levels (levels fastest)."""

    cost: np.ndarray  # float64 [n, m] cycles or nJ; infinite: not valid
    weight: np.ndarray  # float64 [n, m] um^2 or mW of the layer's PEs, buffers and NoC
    latency: np.ndarray  # float64 [n, m]
    energy: np.ndarray  # float64 [n, m]
    l1: np.ndarray  # int64 [n, m] bytes that the mapping needs
    l2: np.ndarray  # int64 [n, m]
    evaluated: int

    @property
    def largest(self) -> float:
        """um^2 or mW with everything at its largest."""
        return float(np.where(np.isfinite(self.weight), self.weight, -np.inf).max(1).sum())


@dataclasses.dataclass(frozen=True, eq=False)
class Assignment:
    """An accelerator and a mapping for each layer."""

    hardware: tuple[Hardware, ...]
    dataflows: tuple[Dataflow, ...]
    packing: Packing
    limit: float  # um^2 or mW
    latency: float
    energy: float


def style_dataflow(style: str, layer: Layer, level: int) -> Dataflow:
    """The mapping of a layer in a style, with ``level`` output channels (or as many as there are) held."""
    sizes = dict(layer.dimensions)
    if layer.type is LayerType.GEMM:
        held = min(level, sizes["N"])
        across = {"nvdla": "K", "shidiannao": "N", "eyeriss": "M"}[style]
        tiles = {"N": held if across != "N" else 1, "M": level if across == "N" else 1, "K": 1}
        tiles["M"] = min(tiles["M"], sizes["M"])
        order = [name for name in ("N", "M", "K") if name != across]
        rest = [TemporalMap(tiles[name], tiles[name], name) for name in order]
        return Dataflow((*rest, SpatialMap(1, 1, across)), f"{style}-{level}")
    spread: dict[str, Directive] = {
        "shidiannao": SpatialMap(Sz("S"), 1, "X"),
        "eyeriss": SpatialMap(Sz("R"), 1, "Y"),
    }
    along = spread.get(style)
    inputs: Directive = TemporalMap(1, 1, "C") if along else SpatialMap(1, 1, "C")
    if layer.type is LayerType.DSCONV:
        held = min(level, sizes["C"])
        channels = [TemporalMap(held, held, "C") if along else inputs]
    else:
        held = min(level, sizes["K"])
        channels = [TemporalMap(held, held, "K"), inputs]
    whole = [TemporalMap(Sz("R"), Sz("R"), "R"), TemporalMap(Sz("S"), Sz("S"), "S")]
    rows: Directive = TemporalMap(Sz("R"), 1, "Y")
    columns: Directive = TemporalMap(Sz("S"), 1, "X")
    if along is not None:
        rows, columns = (along, columns) if style == "eyeriss" else (rows, along)
    return Dataflow((*channels, *whole, rows, columns), f"{style}-{level}")


def options_of(pipeline: Pipeline) -> Options:
    """Every (layer, PEs, level), distinct ones evaluated once, all in one call."""
    index: dict[object, int] = {}
    where = []
    distinct: list[Layer] = []
    for layer in pipeline.layers:
        key = (layer.type, layer.dimensions, layer.strides)
        if key not in index:
            index[key] = len(distinct)
            distinct.append(layer)
        where.append(index[key])
    points = [_point(pipeline, pes) for pes in pipeline.num_pes]
    pairs = [(layer, style_dataflow(pipeline.style, layer, k)) for layer in distinct for k in pipeline.levels]
    batch = encode_pairs([layer for layer, _ in pairs], [flow for _, flow in pairs], points)
    costs = evaluate_batch(batch)
    shape = len(distinct), len(pipeline.levels), len(points)

    def laid(values: np.ndarray) -> np.ndarray:
        return np.swapaxes(np.asarray(values).reshape(shape), 1, 2)

    least = np.array([[roofline(layer, point) for point in points] for layer in distinct])[..., None]
    valid = laid(costs.valid) & (laid(costs.runtime) >= least)
    l1, l2 = laid(costs.l1_size), laid(costs.l2_size)
    weight = np.full(l1.shape, np.inf)
    price = AREA_MODELS[pipeline.budget.model] if pipeline.limited == "area" else reference_power
    for place in np.argwhere(valid):
        one = tuple(place)
        sized = points[place[1]].replace(l1_size=int(l1[one]), l2_size=int(l2[one]))
        weight[one] = price(sized)
    latency = np.where(valid, laid(costs.runtime).astype(np.float64), np.inf)
    energy = np.where(valid, laid(costs.energy), np.inf)
    cost = latency if pipeline.goal == "latency" else energy
    flat = [a.reshape(len(distinct), -1)[where] for a in (cost, weight, latency, energy, l1, l2)]
    return Options(flat[0], flat[1], flat[2], flat[3], flat[4], flat[5], len(batch))


def _point(pipeline: Pipeline, pes: int) -> Hardware:
    return Hardware(
        num_pes=pes,
        l1_size=UNLIMITED,
        l2_size=UNLIMITED,
        noc_bandwidth=pipeline.noc_bandwidth,
        hop_latency=1,
        offchip_bandwidth=pipeline.offchip_bandwidth,
    )


def limit_of(pipeline: Pipeline, options: Options) -> float:
    """The limit in um^2 or mW."""
    if pipeline.share is not None:
        return pipeline.share * options.largest
    limit = getattr(pipeline.budget, pipeline.limited)
    assert limit is not None
    return float(limit) * (1e6 if pipeline.limited == "area" else 1.0)


def assign(pipeline: Pipeline, options: Options | None = None) -> Assignment:
    """The best assignment, with its certificate (``packing.bound``, ``packing.proven``).

    Raises DescriptionError where even the smallest levels are beyond the limit, or a layer has no
    valid option.
    """
    options = options_of(pipeline) if options is None else options
    for layer, cost in zip(pipeline.layers, options.cost, strict=True):
        if not np.isfinite(cost).any():
            raise DescriptionError(
                f"no number of PEs and no level is valid in style {pipeline.style}",
                layer=layer.name,
                fix="give another style, larger bandwidths or other levels",
            )
    limit = limit_of(pipeline, options)
    packing = pack(options.cost, options.weight, limit)
    rows = np.arange(len(pipeline.layers))
    pes, level = np.divmod(packing.choice, len(pipeline.levels))
    hardware = tuple(
        _point(pipeline, pipeline.num_pes[p]).replace(
            l1_size=int(options.l1[i, c]), l2_size=int(options.l2[i, c])
        )
        for i, (p, c) in enumerate(zip(pes, packing.choice, strict=True))
    )
    flows = tuple(
        style_dataflow(pipeline.style, layer, pipeline.levels[k])
        for layer, k in zip(pipeline.layers, level, strict=True)
    )
    return Assignment(
        hardware,
        flows,
        packing,
        limit,
        float(options.latency[rows, packing.choice].sum()),
        float(options.energy[rows, packing.choice].sum()),
    )


def mapped(pipeline: Pipeline, assignment: Assignment) -> tuple[MappedLayer, ...]:
    """Every layer under its mapping."""
    pairs = zip(pipeline.layers, assignment.dataflows, strict=True)
    return tuple(MappedLayer(layer, flow) for layer, flow in pairs)
