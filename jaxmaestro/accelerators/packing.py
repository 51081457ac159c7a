"""One choice for each item within a limit on the sum of weights, at the least cost: exactly.

The multiple-choice knapsack problem (Kellerer, Pferschy, Pisinger 2004, chapter 11), by dynamic
programming over undominated sums. Sums that the linear relaxation of the items left excludes are
dropped; as its bound is close, few remain.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from jaxmaestro.description import DescriptionError

SLACK = 1e-12
"""Relative rounding that is put up with where sums are compared."""


@dataclasses.dataclass(frozen=True, eq=False)
class Packing:
    """A choice for each item, and what is known of the optimum."""

    choice: np.ndarray  # int64 [n] option of each item
    cost: float
    weight: float
    bound: float  # no packing costs less

    @property
    def proven(self) -> bool:
        """Whether this is an optimum."""
        return self.cost <= self.bound * (1 + 10 * SLACK)


def pack(cost: np.ndarray, weight: np.ndarray, limit: float, most: int = 200_000) -> Packing:
    """The best packing of costs and weights ``[n, m]``, all at least 0; infinite: not an option.

    At most so many sums are held at a time; where there are more, the least promising are left, and
    the bound says what that may have cost.

    Raises DescriptionError where the lightest packing is beyond the limit.
    """
    items = [_Item.of(cost[i], weight[i]) for i in range(len(cost))]
    lightest = sum(item.weight[0] for item in items if len(item.option))
    if any(not len(item.option) for item in items) or lightest > limit * (1 + SLACK):
        raise DescriptionError(
            f"the budget of {limit:,.6g} is below {lightest:,.6g}, the least that the layers can do with",
            fix="give a larger budget or smaller levels",
        )
    suffixes = [_Relaxation.of(items[i:]) for i in range(len(items) + 1)]
    best = _greedy(items, limit)
    incumbent = _total(items, best)[0]
    dropped = np.inf
    costs, weights = np.zeros(1), np.zeros(1)
    parents: list[tuple[np.ndarray, np.ndarray]] = []
    for number, item in enumerate(items):
        rest = suffixes[number + 1]
        new_cost = (costs[:, None] + item.cost).reshape(-1)
        new_weight = (weights[:, None] + item.weight).reshape(-1)
        bound = new_cost + rest.least(limit - new_weight)
        # A sum that can only be as good as what is known is no use either, but for rounding.
        kept = np.flatnonzero(bound <= incumbent * (1 + SLACK))
        order = kept[np.lexsort((new_cost[kept], new_weight[kept]))]
        before = np.concatenate([[np.inf], np.minimum.accumulate(new_cost[order])[:-1]])
        order = order[new_cost[order] < before]
        if len(order) > most:
            ranked = order[np.argsort(bound[order], kind="stable")]
            dropped = min(dropped, float(bound[ranked[most]]))
            order = np.sort(ranked[:most])
        state, option = np.divmod(order, len(item.option))
        parents.append((state, option))
        costs, weights = new_cost[order], new_weight[order]
    if len(costs) and costs.min() < incumbent:
        place = int(np.argmin(costs))
        for number in range(len(items) - 1, -1, -1):
            state, option = parents[number]
            best[number], place = option[place], int(state[place])
    total, used = _total(items, best)
    choice = np.array([item.option[b] for item, b in zip(items, best, strict=True)], np.int64)
    return Packing(choice, total, used, min(total, dropped))


@dataclasses.dataclass(frozen=True, eq=False)
class _Item:
    """Options of an item that no other beats in both, the lightest first, and the corners of their hull."""

    option: np.ndarray  # int64 [k]
    cost: np.ndarray
    weight: np.ndarray
    corners: tuple[int, ...]  # numbers among these

    @classmethod
    def of(cls, cost: np.ndarray, weight: np.ndarray) -> _Item:
        order = np.lexsort((cost, weight))
        order = order[np.isfinite(cost[order]) & np.isfinite(weight[order])]
        before = np.concatenate([[np.inf], np.minimum.accumulate(cost[order])[:-1]])[: len(order)]
        order = order[cost[order] < before]
        x, y = weight[order], cost[order]
        corners: list[int] = []
        for place in range(len(order)):
            while len(corners) > 1:
                a, b = corners[-2], corners[-1]
                if (y[b] - y[a]) * (x[place] - x[a]) < (y[place] - y[a]) * (x[b] - x[a]):
                    break
                corners.pop()
            corners.append(place)
        return cls(order, y, x, tuple(corners))

    @property
    def steps(self) -> list[tuple[float, float, float]]:
        """Slope, weight and cost of each step along the hull; slopes are below 0."""
        pairs = zip(self.corners, self.corners[1:], strict=False)
        found = [(self.weight[b] - self.weight[a], self.cost[b] - self.cost[a]) for a, b in pairs]
        return [(change / more, more, change) for more, change in found]


@dataclasses.dataclass(frozen=True, eq=False)
class _Relaxation:
    """What items cost at least if shares of options could be taken: convex in the weight allowed."""

    weight: np.ndarray  # [k] rising
    cost: np.ndarray  # [k]

    @classmethod
    def of(cls, items: list[_Item]) -> _Relaxation:
        steps = sorted(step for item in items for step in item.steps)
        weight = np.cumsum([sum(item.weight[0] for item in items), *(step[1] for step in steps)])
        cost = np.cumsum([sum(item.cost[0] for item in items), *(step[2] for step in steps)])
        return cls(weight, cost)

    def least(self, allowed: np.ndarray) -> np.ndarray:
        """The least cost within weights; infinite where not even the lightest options are."""
        fits = allowed >= self.weight[0] - SLACK * max(1.0, abs(self.weight[0]))
        found = np.where(fits, np.interp(allowed, self.weight, self.cost), np.inf)
        return found * (1 - SLACK)


def _greedy(items: list[_Item], limit: float) -> list[int]:
    """Steps along the hulls, the steepest first, while they fit."""
    best = [0] * len(items)
    used = sum(item.weight[0] for item in items)
    moves = sorted(
        (step[0], number, place) for number, item in enumerate(items) for place, step in enumerate(item.steps)
    )
    for _, number, place in moves:
        item = items[number]
        target = item.corners[place + 1]
        more = item.weight[target] - item.weight[best[number]]
        if used + more <= limit:
            best[number], used = target, used + more
    return best


def _total(items: list[_Item], best: list[int]) -> tuple[float, float]:
    pairs = list(zip(items, best, strict=True))
    return float(sum(i.cost[b] for i, b in pairs)), float(sum(i.weight[b] for i, b in pairs))


def random_packing(
    cost: np.ndarray, weight: np.ndarray, limit: float, samples: int, seed: int
) -> Packing | None:
    """The best of so many packings of options that have a cost, drawn uniformly.

    None where none is within the limit.
    """
    return _best_of(cost, weight, limit, _drawn(np.random.default_rng(seed), cost, samples))


def _drawn(draws: np.random.Generator, cost: np.ndarray, count: int) -> np.ndarray:
    """So many options ``[count, n]`` of those that have a cost; of a row without any, any."""
    there = np.isfinite(cost)
    columns = [np.flatnonzero(row) if row.any() else np.arange(len(row)) for row in there]
    return np.stack([own[draws.integers(len(own), size=count)] for own in columns], 1)


def genetic_packing(
    cost: np.ndarray, weight: np.ndarray, limit: float, samples: int, seed: int, population: int = 100
) -> Packing | None:
    """The best that a plain genetic algorithm finds in so many packings; None as above."""
    draws = np.random.default_rng(seed)
    rows = np.arange(len(cost))
    own = _drawn(draws, cost, population)
    best: Packing | None = None
    for _ in range(max(samples // population, 1)):
        found = _best_of(cost, weight, limit, own)
        if found is not None and (best is None or found.cost < best.cost):
            best = found
        costs, weights = cost[rows, own].sum(1), weight[rows, own].sum(1)
        # What is beyond the limit comes last, the nearest first.
        over = ~np.isfinite(costs) | ~(weights <= limit)
        order = np.lexsort((np.where(over, weights, costs), over))
        parents = own[order[: max(population * 2 // 5, 2)]]
        pair = draws.integers(len(parents), size=(2, population))
        mixed = np.where(draws.random(own.shape) < 0.5, parents[pair[0]], parents[pair[1]])
        changed = draws.random(own.shape) < 1.5 / len(cost)
        own = np.where(changed, _drawn(draws, cost, population), mixed)
        own[0] = parents[0]
    return best


def _best_of(cost: np.ndarray, weight: np.ndarray, limit: float, choice: np.ndarray) -> Packing | None:
    rows = np.arange(len(cost))
    costs, weights = cost[rows, choice].sum(1), weight[rows, choice].sum(1)
    good = np.isfinite(costs) & (weights <= limit)
    if not good.any():
        return None
    top = int(np.argmin(np.where(good, costs, np.inf)))
    return Packing(choice[top], float(costs[top]), float(weights[top]), 0.0)
