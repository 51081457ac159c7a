"""Adaptive co-design: the proxy's set grows by what bounds cannot exclude, until a loss is certified.

**What an evaluation tells.** The estimate of architecture i on point p is a sum over its layers,
``T_i(p) = sum_j c_ij t_j(p)`` with counts c_ij that are known and layer costs t_j(p) >= 0 that are
not; it lists them layer by layer (the C++ reference prints a row a layer). So each evaluation makes
the costs of its layers known on that point, for every architecture that has them.

**Bounds.** With K(p) the layers known on p, ``LB_i(p) = sum over j in K(p) of c_ij t_j(p)`` is at
most T_i(p), as what is left out is not negative, and equal where all layers of i are known. Energies
alike. Nothing is assumed of proxies, rank correlations or layers that have not been seen.

**Certificate.** For a constraint let a be the accuracy of its incumbent, the best of the pairs that
are known to meet it. Let b be that of the most accurate architecture with an allowed point where both
bounds are within the limits; the incumbent is such an architecture, so a <= b. The coupled optimum
meets the constraint on some allowed point, and its bounds are no larger than its figures, so it is
such an architecture too: a <= optimum <= b, and the loss is at most b - a. If there is none, nothing
meets the constraint.

**In terms of inversions.** Let S be the whole Pareto front on a proxy q, and x an architecture
outside it. Some s in S is no less accurate than x and neither slower nor hungrier on q. If S loses to
x under a constraint on p, then x meets it on p and that s does not: T_s(q) <= T_x(q) but T_s(p) >
T_x(p), or energies so. The proxy and the point rank the two in opposite order, and so for *every* s
that dominates x on q. A loss needs such pairwise inversions, and the search looks for these alone: an
architecture outside S is evaluated only where its bounds are within the limits and it is more
accurate than the incumbent, that is where the inversions are not excluded. Those that turn out to be
the answer are the failures of monotonicity that matter; ``inverted`` counts them by point.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from jaxmaestro.codesign.campaign import Campaign
from jaxmaestro.codesign.constraints import Constraints
from jaxmaestro.codesign.methods import NONE, Figures, Outcome, by_accuracy, proxy_set

SLACK = 1e-12
"""Relative error that a sum of float64 numbers is allowed: bounds are lowered by it."""

BLOCK = 64
"""Constraints that are looked at together."""


@dataclasses.dataclass(frozen=True, eq=False)
class Certificate:
    """Bounds on the optimum of each of c constraints."""

    outcome: Outcome
    bound: np.ndarray  # [c] percent, no less than the loss; 0: exact; inf: no answer, and none is excluded
    members: np.ndarray  # [k] the set: architectures of the proxies' sets, and those that were added
    added: np.ndarray  # [k'] those that were added and are the answer to some constraint
    inverted: np.ndarray  # [points] constraints whose answer there is an added architecture
    rounds: int  # evaluations within a round need nothing of each other


def cover(counts: np.ndarray) -> np.ndarray:
    """Few architectures that together have every layer that any of ``counts [n, u]`` has (greedy).

    Evaluated on a point, they tell every total there.
    """
    has = counts > 0
    left, chosen = has.any(0), []
    while left.any():
        chosen.append(int((has & left).sum(1).argmax()))
        left = left & ~has[chosen[-1]]
    return np.array(chosen, np.int64)


def adaptive(
    campaign: Campaign,
    accuracy: np.ndarray,
    constraints: Constraints,
    proxies: Sequence[int],
    size: int | None = None,
    tolerance: float = 0.0,
    budget: int | None = None,
) -> Certificate:
    """Search with evaluations as needed; the certificate says how far the answers can be from the optimum.

    On the proxies a cover of the layers is evaluated, which gives their sets as in
    :func:`~jaxmaestro.codesign.methods.semi_decoupled`. Then, round after round, every
    constraint that is open (its bound is above ``tolerance``, percent) asks for one point:
    the quickest so far of those that could hold something better. There the most accurate
    candidate of the sets is evaluated, or of all where the sets have none.

    ``budget`` stops after about so many evaluations (at the end of a round): the bounds
    then say what is left. Raises as :func:`~jaxmaestro.codesign.methods.proxy_set`.
    """
    figures = Figures.of(campaign, accuracy)
    members = np.unique(np.concatenate([proxy_set(figures, proxy, size) for proxy in proxies]))
    state = _Search.of(campaign, figures, constraints, members, proxies[0])
    first = cover(campaign.workloads.counts)
    for proxy in proxies:
        for architecture in first:
            state.evaluate(int(architecture), proxy)
    for point in np.flatnonzero(constraints.allowed.any(0)).tolist():
        state.update(point)
    rounds = 0
    while budget is None or state.evaluations < budget:
        asked = state.ask(tolerance)
        if not asked:
            break
        for architecture, point in asked:
            state.evaluate(architecture, point)
        for point in sorted({point for _, point in asked}):
            state.update(point)
        rounds += 1
    return state.certificate(rounds)


def certify(
    campaign: Campaign, accuracy: np.ndarray, constraints: Constraints, outcome: Outcome
) -> np.ndarray:
    """How far a method's answers can be from the optimum, percent ``[c]``, from its own evaluations alone.

    0: exact; inf: no answer, and none is excluded. As :class:`Certificate`, for any set.
    """
    figures = Figures.of(campaign, accuracy)
    state = _Search.of(campaign, figures, constraints, np.zeros(0, np.int64), 0)
    state.learn(outcome.evaluated)
    answered = outcome.architecture != NONE
    rank = np.argsort(state.order)  # of each architecture
    state.best[answered] = rank[outcome.architecture[answered]]  # nothing behind the answers is looked at
    for point in np.flatnonzero(constraints.allowed.any(0)).tolist():
        state.update(point)
    hope = state.hopes()
    most = np.append(figures.accuracy[state.order], -np.inf)[hope]
    found = np.where(outcome.architecture == NONE, -np.inf, np.nan_to_num(outcome.accuracy))
    with np.errstate(invalid="ignore"):  # nothing is asked for and nothing found: -inf on both sides
        return np.where(most > found, most - found, 0.0)


@dataclasses.dataclass(eq=False)
class _Search:
    """What is known so far. Architectures are numbered by rank of accuracy, 0 the most accurate; n: none."""

    campaign: Campaign
    figures: Figures
    constraints: Constraints
    order: np.ndarray  # [n] architecture of each rank
    member: np.ndarray  # [n] bool by rank: of a proxy's set
    counts: np.ndarray  # [n, u] float64 by rank
    known: np.ndarray  # [pairs, H] bool: tuples whose costs are known
    evaluated: np.ndarray  # [n, points] bool
    optimistic: np.ndarray  # [c, points] best rank that the bounds let through
    optimistic_member: np.ndarray  # [c, points] the same of the sets alone
    incumbent: np.ndarray  # [c, points] best rank that is known to meet the constraint
    base: np.ndarray  # [u] cycles of each layer on the first proxy
    scale: np.ndarray  # [points] cycles of the layers that are known over those on the first proxy; 0: none
    closed: np.ndarray  # [c] bool: the bound is within the tolerance
    best: np.ndarray  # [c] best rank that is known to meet the constraint somewhere, as of the last `ask`
    counted: np.ndarray  # [u, points] bool: layers that the bounds contain
    latency: np.ndarray  # [n, points] float64 by rank, lower bound
    energy: np.ndarray  # [n, points] float64 by rank, lower bound
    unknown: np.ndarray  # [n, points] float64 by rank: layers whose cost is not known, repeats counted

    @classmethod
    def of(
        cls,
        campaign: Campaign,
        figures: Figures,
        constraints: Constraints,
        members: np.ndarray,
        proxy: int,
    ) -> _Search:
        n, points = figures.latency.shape
        order = by_accuracy(figures, np.arange(n))
        shape = (len(constraints), points)
        return cls(
            campaign=campaign,
            figures=figures,
            constraints=constraints,
            order=order,
            member=np.isin(order, members),
            counts=campaign.workloads.counts[order].astype(np.float64),
            known=np.zeros(campaign.tuples.runtime.shape, bool),
            evaluated=np.zeros((n, points), bool),
            optimistic=np.full(shape, n),
            optimistic_member=np.full(shape, n),
            incumbent=np.full(shape, n),
            base=campaign.by_layer("runtime")[:, proxy].astype(np.float64),
            scale=np.zeros(points),
            closed=np.zeros(len(constraints), bool),
            best=np.full(len(constraints), n),
            counted=np.zeros((len(campaign.workloads.layers), points), bool),
            latency=np.zeros((n, points)),
            energy=np.zeros((n, points)),
            unknown=np.tile(campaign.workloads.counts[order].sum(1, dtype=np.float64)[:, None], points),
        )

    @property
    def evaluations(self) -> int:
        return int(self.evaluated.sum())

    def evaluate(self, architecture: int, point: int) -> None:
        """The costs of its layers on the point become known, also for dataflows with the same directives."""
        self.evaluated[architecture, point] = True
        layers = np.flatnonzero(self.campaign.workloads.counts[architecture])
        pairs = self.campaign.plan.pair_of_point[layers, point]
        self.known[pairs, self.campaign.points.accelerator[point]] = True

    def learn(self, evaluated: np.ndarray) -> None:
        """As :meth:`evaluate`, for all pairs of a mask ``[n, points]``."""
        self.evaluated |= evaluated
        has = (self.campaign.workloads.counts > 0).astype(np.float32)
        layer, point = np.nonzero(has.T @ evaluated.astype(np.float32))  # counts of True, exact
        pairs = self.campaign.plan.pair_of_point[layer, point]
        self.known[pairs, self.campaign.points.accelerator[point]] = True

    def update(self, point: int) -> None:
        """Bounds of all architectures on a point, and what they let through for each open constraint."""
        pairs = self.campaign.plan.pair_of_point[:, point]
        machine = self.campaign.points.accelerator[point]
        known = self.known[pairs, machine]
        new = np.flatnonzero(known & ~self.counted[:, point])
        self.counted[new, point] = True
        counts, tuples = self.counts[:, new], self.campaign.tuples
        self.latency[:, point] += counts @ tuples.runtime[pairs[new], machine].astype(np.float64)
        self.energy[:, point] += counts @ tuples.energy[pairs[new], machine]
        self.unknown[:, point] -= counts.sum(1)
        base = self.base[known].sum()
        self.scale[point] = tuples.runtime[pairs[known], machine].sum() / max(1.0, base)
        rows = np.flatnonzero(self.constraints.allowed[:, point] & ~self.closed)
        # Constraints with incumbents alike in rank together: nothing behind their incumbents matters.
        rows = rows[np.argsort(self.best[rows], kind="stable")]
        for start in range(0, rows.size, BLOCK):
            self._admit(point, rows[start : start + BLOCK])

    def _admit(self, point: int, rows: np.ndarray) -> None:
        """The best rank that each of these constraints lets through, of all, of the sets, of those known."""
        most = int(self.best[rows].max())
        exact = self.unknown[:most, point] == 0
        limits = self.constraints.latency[rows], self.constraints.energy[rows]
        passes = (self.latency[:most, point] * (1 - SLACK))[:, None] <= limits[0]
        passes &= (self.energy[:most, point] * (1 - SLACK))[:, None] <= limits[1]
        # Totals that are known are compared as they are: int64 and without slack.
        where = self.order[:most][exact]
        passes[exact] = (self.figures.latency[where, point][:, None] <= limits[0]) & (
            self.figures.energy[where, point][:, None] <= limits[1]
        )
        n = len(self.order)
        self.optimistic[rows, point] = _first(passes, n)
        self.optimistic_member[rows, point] = _first(passes[self.member[:most]], n, self.member)
        known = np.concatenate([exact, np.zeros(n - most, bool)])
        found = _first(passes[exact], n, known)
        self.incumbent[rows, point] = np.minimum(self.incumbent[rows, point], found)

    def ask(self, tolerance: float) -> list[tuple[int, int]]:
        """Pairs (architecture, point) to evaluate next, at most one a point."""
        best = self.best = self.incumbents()[0]
        # No answer yet is an infinite gain (accuracies are finite).
        accuracy = np.append(self.figures.accuracy[self.order], np.finfo(np.float64).min)
        rows = np.flatnonzero(~self.closed)
        hope, bar = self.optimistic[rows], best[rows][:, None]
        could = self.constraints.allowed[rows] & (hope < bar)
        could &= accuracy[hope] - tolerance > accuracy[bar]
        self.closed[rows] = ~could.any(1)
        rows, could = rows[could.any(1)], could[could.any(1)]
        quickest = np.where(could, self.scale, np.inf).argmin(1)
        asked = []
        for point in np.unique(quickest):
            mine = rows[quickest == point]
            of_set = self.optimistic_member[mine, point]
            picks = np.where(of_set < best[mine], of_set, self.optimistic[mine, point])
            # The tightest constraint's candidate is the least accurate: likeliest to meet its own.
            asked.append((int(self.order[picks.max()]), int(point)))
        return asked

    def incumbents(self) -> tuple[np.ndarray, np.ndarray]:
        """Rank of the best answer to each constraint (n: none) and its point."""
        ranks = np.where(self.constraints.allowed, self.incumbent, len(self.order))
        return ranks.min(1), ranks.argmin(1)

    def hopes(self) -> np.ndarray:
        """Rank of the best architecture that the bounds let through for each constraint (n: none)."""
        return np.where(self.constraints.allowed, self.optimistic, len(self.order)).min(1)

    def certificate(self, rounds: int) -> Certificate:
        n = len(self.order)
        best, point = self.incumbents()
        hope = self.hopes()
        accuracy = np.append(self.figures.accuracy[self.order], np.nan)
        answered = best < n
        bound = np.where(answered, accuracy[np.minimum(hope, best)] - accuracy[best], np.inf)
        bound[~answered & (hope == n)] = 0.0
        architecture = np.where(answered, np.append(self.order, NONE)[best], NONE)
        point = np.where(answered, point, NONE)
        outside = answered & ~np.append(self.member, True)[best]
        added = np.unique(architecture[outside])
        return Certificate(
            outcome=Outcome(architecture, point, accuracy[best], self.evaluated),
            bound=bound,
            members=np.union1d(self.order[self.member], added),
            added=added,
            inverted=np.bincount(point[outside], minlength=len(self.campaign.points)),
            rounds=rounds,
        )


def _first(passes: np.ndarray, none: int, chosen: np.ndarray | None = None) -> np.ndarray:
    """Rank of the first row of ``passes [r, c]`` that is True, by column; ``none`` where there is none.

    ``chosen [n]`` bool: the rows are these ranks (default: the first r).
    """
    if not len(passes):
        return np.full(passes.shape[1], none)
    row = passes.argmax(0)
    rank = row if chosen is None else np.flatnonzero(chosen)[row]
    return np.where(passes.any(0), rank, none)
