"""A small product with equal entries, and an evaluation that costs nothing in place of the cost model."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxmaestro import (
    Batch,
    Cluster,
    Costs,
    Dataflow,
    Hardware,
    Layer,
    SpatialMap,
    Sz,
    TemporalMap,
    encode_product,
    to_table,
)
from jaxmaestro.equations.costs import BY_THREE


def convolution(name: str, k: int) -> Layer:
    return Layer.of(name, "CONV", {"K": k, "C": 3, "R": 3, "S": 3, "Y": 8, "X": 8})


LAYERS = [
    convolution("first", 4),
    Layer.of("product", "GEMM", {"M": 5, "N": 6, "K": 7}),
    convolution("second", 8),
    convolution("first again", 4),
    # The same to evaluation: sizes in another order, and a TRCONV is priced as a CONV.
    Layer.of("turned", "TRCONV", {"X": 8, "Y": 8, "S": 3, "R": 3, "C": 3, "K": 8}),
]
FLOWS = [
    Dataflow((SpatialMap(1, 1, "K"), TemporalMap(Sz("R"), 1, "Y"))),
    Dataflow((SpatialMap(1, 1, "K"), Cluster(2), TemporalMap(1, 1, "C"), SpatialMap(1, 1, "K"))),
    Dataflow((SpatialMap(1, 1, "K"), TemporalMap(Sz("R"), 1, "Y")), name="another name"),
]
POINTS = [Hardware(num_pes=n) for n in (4, 8, 4, 16)]

Lists = tuple[list[Layer], list[Dataflow], list[Hardware]]
PRODUCT: Lists = (LAYERS, FLOWS, POINTS)
DIFFERENT: Lists = (LAYERS[:3], FLOWS[:2], [POINTS[0], POINTS[1], POINTS[3]])
"""The product of what is different alone."""


class StandIn:
    """In place of ``evaluate_batch``: figures that only equal tuples share, and a count of calls."""

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self.devices: list[tuple[Any, ...]] = []

    def __call__(self, batch: Batch, precision: str = "exact", devices: Sequence[Any] = ()) -> Costs:
        self.lengths.append(len(batch))
        self.devices.append(tuple(devices))
        rows = [
            (batch.layers, batch.layer),
            (batch.mappings, batch.mapping),
            (batch.hardware, batch.accelerator),
        ]
        number = np.zeros(len(batch), np.int64)
        for table, index in rows:
            for leaf in jax.tree.leaves(table):
                flat = np.asarray(leaf).reshape(len(leaf), -1).astype(np.int64)
                number = number * 31 + (flat @ (np.arange(flat.shape[1]) * 7919 + 1))[index]
        number = number % 1_000_003
        return Costs(**{field.name: _figure(field.name, number) for field in dataclasses.fields(Costs)})

    @property
    def tuples(self) -> int:
        return sum(self.lengths)


def _figure(name: str, number: np.ndarray) -> np.ndarray:
    if name == "reasons":
        return (number % 2).astype(np.uint32)
    if name in ("sound", "fits", "levels_reached"):
        return number % 3 == 0
    if name.startswith(("energy", "area", "power")):
        number = number / 7
    shift = len(name)
    return np.stack([number + shift, number, number * 2], 1) if name in BY_THREE else number + shift


def whole(lists: Lists = PRODUCT) -> dict[str, Any]:
    """Columns of the whole product, evaluated at once by a stand-in, as lists."""
    columns: dict[str, Any] = to_table(StandIn()(encode_product(*lists))).to_pydict()
    return columns


@dataclasses.dataclass(frozen=True)
class Sum:
    """A reduction: how many tuples, a sum of their numbers, the sum of their cycles."""

    factor: int = 1

    def start(self) -> dict[str, Any]:
        return {"tuples": 0, "sums": np.zeros(2, np.int64)}

    def add(self, state: dict[str, Any], index: np.ndarray, costs: Costs) -> dict[str, Any]:
        sums = state["sums"]
        # In place: what was saved must not change with it.
        sums += np.array([(index * (index % 17)).sum(), costs.runtime.sum() * self.factor])
        return {"tuples": state["tuples"] + len(index), "sums": sums}

    def result(self, state: dict[str, Any]) -> tuple[int, ...]:
        return (state["tuples"], *state["sums"].tolist())


def expected_sum(factor: int = 1) -> tuple[int, ...]:
    """What :class:`Sum` gives for the whole product."""
    runtime = whole()["runtime"]
    return (len(runtime), sum(i * (i % 17) for i in range(len(runtime))), factor * sum(runtime))
