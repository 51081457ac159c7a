"""Campaigns with made-up costs: nothing is evaluated, every figure is known."""

from __future__ import annotations

import numpy as np

from jaxmaestro.codesign import Campaign, Points, TupleCosts, plan
from jaxmaestro.codesign.campaign import Plan
from jaxmaestro.description import Hardware, Layer
from jaxmaestro.spaces import Workloads


def conv(k: int, columns: int = 8, kind: str = "CONV", filters: int = 1) -> Layer:
    sizes = {"K": k, "C": 4, "R": filters, "S": filters, "Y": columns, "X": columns}
    return Layer.of(f"{kind} {k} {columns} {filters}", kind, sizes)


def made_up(
    counts: np.ndarray, runtime: np.ndarray, energy: np.ndarray, dataflows: tuple[str, ...] = ("X-P", "YR-P")
) -> Campaign:
    """Costs ``[u, points]`` of CONV layers, which no two dataflows share."""
    layers = tuple(conv(k + 1) for k in range(counts.shape[1]))
    machines = runtime.shape[1] // len(dataflows)
    points = Points(dataflows, tuple(Hardware(num_pes=16 + h, name=str(h)) for h in range(machines)))
    todo = plan(layers, points)
    return with_costs(Workloads(layers, counts), todo, runtime, energy)


def with_costs(workloads: Workloads, todo: Plan, runtime: np.ndarray, energy: np.ndarray) -> Campaign:
    shape = (len(todo.pairs), len(todo.points.hardware))
    flat = todo.pair_of_point, todo.points.accelerator
    costs = {"runtime": np.zeros(shape, np.int64), "energy": np.zeros(shape)}
    costs["runtime"][flat], costs["energy"][flat] = runtime, energy
    whole = np.ones(shape, bool)
    return Campaign(workloads, todo, TupleCosts(**costs, legal=whole, sound=whole))


def random_problem(
    seed: int, n: int = 60, layers: int = 12, points: int = 6, alike: float = 0.7
) -> tuple[Campaign, np.ndarray]:
    """A campaign and accuracies that rise with size; ``alike``: how much points agree (1: they scale)."""
    rng = np.random.default_rng(seed)
    counts = (rng.integers(0, 4, (n, layers)) * (rng.random((n, layers)) < 0.4)).astype(np.int32)
    counts[:, 0] = 1
    base = rng.integers(10, 1000, (layers, 1))
    noise = rng.integers(10, 1000, (layers, points))
    scale = rng.integers(1, 6, points)
    runtime = np.round((alike * base + (1 - alike) * noise) * scale).astype(np.int64)
    energy = runtime * rng.uniform(0.5, 1.5, (layers, 1))
    size = counts @ base[:, 0]
    accuracy = 70 + size / size.max() + rng.normal(0, 0.1, n)
    return made_up(counts, runtime, energy), np.round(accuracy, 2)  # some are equal


def poisoned(campaign: Campaign, evaluated: np.ndarray, seed: int) -> Campaign:
    """The same, but costs that these evaluations ``[n, points]`` do not tell are other ones."""
    rng = np.random.default_rng(seed)
    has = campaign.workloads.counts > 0
    told = (has.T.astype(int) @ evaluated.astype(int)) > 0  # [u, points]
    runtime, energy = campaign.by_layer("runtime"), campaign.by_layer("energy")
    wrong = rng.integers(0, 5000, runtime.shape)
    return with_costs(
        campaign.workloads,
        campaign.plan,
        np.where(told, runtime, wrong),
        np.where(told, energy, wrong * 1.5),
    )
