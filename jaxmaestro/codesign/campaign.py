"""A campaign: latency and energy of n architectures on every point (a dataflow on an accelerator).

The cost of an architecture is the sum over its layers, which run one after the other. So a campaign is
``counts [n, u] @ costs [u, points]``: only distinct (layer, directives, accelerator) tuples are evaluated.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from jaxmaestro.description import Dataflow, DescriptionError, Hardware, Layer
from jaxmaestro.description.reasons import ILLEGAL, Reason
from jaxmaestro.encoding import encode_pairs
from jaxmaestro.evaluation import evaluate_batch
from jaxmaestro.results.accelerator import accelerator_figures
from jaxmaestro.spaces.dataflows import seed_dataflow
from jaxmaestro.spaces.workloads import Workloads

NEVER = np.iinfo(np.int64).max
"""Latency where an architecture has no figures on a point: it meets no constraint."""

_NO_FIGURES = int(ILLEGAL | Reason.NO_WORK | Reason.NEGATIVE)


@dataclasses.dataclass(frozen=True)
class Points:
    """Every dataflow on every accelerator. Point ``p`` is dataflow ``p // H`` on accelerator ``p % H``."""

    dataflows: tuple[str, ...]  # D
    hardware: tuple[Hardware, ...]  # H

    def __post_init__(self) -> None:
        """Raises DescriptionError where there are none, or two dataflows or accelerators share a name."""
        for what, names in (
            ("dataflows", self.dataflows),
            ("accelerators", tuple(h.name for h in self.hardware)),
        ):
            if not names:
                raise DescriptionError(f"there are no {what}", fix="give one or more")
            if len(set(names)) < len(names):
                raise DescriptionError(f"two {what} have one name", fix="give each a name of its own")

    def __len__(self) -> int:
        return len(self.dataflows) * len(self.hardware)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Name of each point, such as ``KC-P/12``: the dataflow, then the accelerator's name."""
        return tuple(f"{flow}/{h.name}" for flow in self.dataflows for h in self.hardware)

    @cached_property
    def dataflow(self) -> np.ndarray:
        """Which dataflow each point has, int ``[points]``."""
        return np.repeat(np.arange(len(self.dataflows)), len(self.hardware))

    @cached_property
    def accelerator(self) -> np.ndarray:
        """Which accelerator each point has, int ``[points]``."""
        return np.tile(np.arange(len(self.hardware)), len(self.dataflows))

    @cached_property
    def area(self) -> np.ndarray:
        """Area of each point's accelerator, um^2, float64 ``[points]``.

        PEs with the L1 they have, the L2, the bus and its arbiter: the accelerator as it is
        described. (The cost model's own area is of the buffers that a layer asks for.)
        """
        one = [
            accelerator_figures(
                h.num_pes, h.simd_lanes, h.noc_bandwidths[0], np.array([h.l1_size]), np.array([h.l2_size])
            ).area[0]
            for h in self.hardware
        ]
        return np.array(one)[self.accelerator]

    def index(self, name: str) -> int:
        """The point of a name; raises DescriptionError for one that is not there."""
        if name not in self.names:
            raise DescriptionError(
                f"there is no point {name!r}", fix=f"give DATAFLOW/ACCELERATOR, such as {self.names[0]}"
            )
        return self.names.index(name)


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """What a campaign evaluates: P distinct (layer, directives) pairs on H accelerators.

    Dataflows that put the same directives on a layer share its pair (in the seed every
    depthwise layer has one template).
    """

    pairs: tuple[tuple[Layer, Dataflow], ...]  # P
    pair: np.ndarray  # [u, D] int: pair of each layer under each dataflow
    points: Points

    def __len__(self) -> int:
        """Tuples to evaluate, P * H."""
        return len(self.pairs) * len(self.points.hardware)

    @cached_property
    def pair_of_point(self) -> np.ndarray:
        """Pair of each layer at each point, int ``[u, points]``."""
        return self.pair[:, self.points.dataflow]


def plan(
    layers: Sequence[Layer], points: Points, dataflow_of: Callable[[str, Layer], Dataflow] = seed_dataflow
) -> Plan:
    """The distinct tuples of these layers; ``dataflow_of(name, layer)`` gives a layer's directives.

    Raises DescriptionError for no layers, and as ``dataflow_of`` does.
    """
    if not layers:
        raise DescriptionError("a campaign without layers", fix="give one or more")
    number: dict[tuple[object, ...], int] = {}
    pairs: list[tuple[Layer, Dataflow]] = []
    table = np.zeros((len(layers), len(points.dataflows)), np.int64)
    for row, layer in enumerate(layers):
        for column, name in enumerate(points.dataflows):
            flow = dataflow_of(name, layer)
            # The name of a layer is no part of its cost.
            key = (layer.type, layer.dimensions, layer.strides, flow)
            if key not in number:
                number[key] = len(pairs)
                pairs.append((layer, flow))
            table[row, column] = number[key]
    return Plan(tuple(pairs), table, points)


@dataclasses.dataclass(frozen=True, eq=False)
class TupleCosts:
    """Figures of tuples, ``[pairs, H]`` each."""

    runtime: np.ndarray  # int64 cycles, 0 where there are none
    energy: np.ndarray  # float64 nJ
    legal: np.ndarray  # bool: there are figures
    sound: np.ndarray  # bool: and they can be trusted (docs/reference-behaviour.md)


def evaluate_tuples(todo: Plan, start: int = 0, stop: int | None = None) -> TupleCosts:
    """Evaluate the pairs ``start`` to ``stop`` of a plan on all its accelerators: exact, in one batch.

    Tuples without figures (the C++ reference dies there, or has nothing to count) are not legal.
    """
    pairs = todo.pairs[start:stop]
    hardware = todo.points.hardware
    costs = evaluate_batch(encode_pairs([a for a, _ in pairs], [b for _, b in pairs], hardware))
    shape = (len(pairs), len(hardware))
    legal = ((np.asarray(costs.reasons) & _NO_FIGURES) == 0) & (costs.runtime >= 0) & (costs.energy >= 0)
    return TupleCosts(
        runtime=np.where(legal, costs.runtime, 0).astype(np.int64).reshape(shape),
        energy=np.where(legal, costs.energy, 0.0).reshape(shape),
        legal=np.asarray(legal).reshape(shape),
        sound=(np.asarray(costs.sound) & legal).reshape(shape),
    )


def join(parts: Sequence[TupleCosts]) -> TupleCosts:
    """The costs of consecutive ranges of pairs as one."""
    fields = [field.name for field in dataclasses.fields(TupleCosts)]
    return TupleCosts(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in fields})


@dataclasses.dataclass(frozen=True, eq=False)
class Campaign:
    """Latency and energy of every architecture on every point, from the costs of the distinct tuples.

    A total is legal where every layer of the architecture is; elsewhere ``latency`` is
    :data:`NEVER` and ``energy`` is infinite.
    """

    workloads: Workloads  # n architectures, u layers
    plan: Plan
    tuples: TupleCosts

    @property
    def points(self) -> Points:
        return self.plan.points

    def by_layer(self, field: str) -> np.ndarray:
        """A field of the tuples by layer and point, ``[u, points]``."""
        return np.asarray(getattr(self.tuples, field))[self.plan.pair_of_point, self.points.accelerator]

    @cached_property
    def legal(self) -> np.ndarray:
        """bool ``[n, points]``."""
        refused = (~self.by_layer("legal")).astype(np.float64)
        return np.asarray(self.workloads.counts.astype(np.float64) @ refused == 0)

    @cached_property
    def latency(self) -> np.ndarray:
        """Cycles, int64 ``[n, points]``, exact. Raises OverflowError beyond 63 bits."""
        return np.where(self.legal, exact_product(self.workloads.counts, self.by_layer("runtime")), NEVER)

    @cached_property
    def energy(self) -> np.ndarray:
        """nJ, float64 ``[n, points]``."""
        total = self.workloads.counts.astype(np.float64) @ self.by_layer("energy")
        return np.where(self.legal, total, np.inf)

    @cached_property
    def live(self) -> np.ndarray:
        """Points on which every architecture has figures, bool ``[points]``."""
        return np.asarray(self.legal.all(0))

    @property
    def layer_evaluations(self) -> int:
        """Layers that the campaign would evaluate one by one: repeats, dataflows and accelerators counted."""
        return self.workloads.occurrences * len(self.points)


def exact_product(counts: np.ndarray, runtime: np.ndarray) -> np.ndarray:
    """``counts [n, u] @ runtime [u, p]`` in int64 (NumPy multiplies integers as such: nothing is rounded).

    Raises OverflowError where a sum could pass 2**63 - 1.
    """
    if counts.size == 0 or runtime.size == 0:
        return np.zeros((counts.shape[0], runtime.shape[1]), np.int64)
    most = int(counts.sum(1, dtype=np.int64).max()) * int(np.abs(runtime).max())
    if most >= NEVER:
        raise OverflowError(f"latencies of up to {most:,} cycles do not fit 64 bits")
    # BLAS on float64 is exact as long as no sum passes 2**53, and many times quicker.
    if most <= 2**53:
        return (counts.astype(np.float64) @ runtime.astype(np.float64)).astype(np.int64)
    return counts.astype(np.int64) @ runtime.astype(np.int64)


def run_campaign(
    workloads: Workloads,
    points: Points,
    dataflow_of: Callable[[str, Layer], Dataflow] = seed_dataflow,
) -> Campaign:
    """Plan, evaluate and total in one call. Raises as :func:`plan`."""
    todo = plan(workloads.layers, points, dataflow_of)
    return Campaign(workloads, todo, evaluate_tuples(todo))
