"""Methods of co-design: fully coupled, fully decoupled, semi-decoupled (Lu et al., tinyML 2022).

One **evaluation** is the estimate of one architecture on one point, latency and energy together; one that
was made is kept for all constraints. A method may use the figures of the pairs that it evaluated and of no
other (the tests overwrite the rest and expect the same answers).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from jaxmaestro.codesign.campaign import Campaign
from jaxmaestro.codesign.constraints import Constraints
from jaxmaestro.description import DescriptionError
from jaxmaestro.reductions import pareto_mask

NONE = -1
"""Architecture and point of a constraint that nothing meets."""


@dataclasses.dataclass(frozen=True, eq=False)
class Figures:
    """What the methods search: totals of a campaign, and the accuracies of its architectures."""

    latency: np.ndarray  # [n, points] int64 cycles
    energy: np.ndarray  # [n, points] float64 nJ
    accuracy: np.ndarray  # [n] percent

    def __post_init__(self) -> None:
        """Raises DescriptionError for accuracies that are not one number an architecture."""
        if self.accuracy.shape != (len(self.latency),) or not np.isfinite(self.accuracy).all():
            raise DescriptionError(
                f"accuracies of shape {self.accuracy.shape} for {len(self.latency)} architectures",
                fix="give one finite number each",
            )

    @classmethod
    def of(cls, campaign: Campaign, accuracy: np.ndarray) -> Figures:
        return cls(campaign.latency, campaign.energy, np.asarray(accuracy, np.float64))


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """The answer to each of c constraints, and what it took."""

    architecture: np.ndarray  # [c] int, NONE: no answer
    point: np.ndarray  # [c] int, NONE: no answer
    accuracy: np.ndarray  # [c] percent, NaN: no answer
    evaluated: np.ndarray  # [n, points] bool

    @property
    def evaluations(self) -> int:
        return int(self.evaluated.sum())


def fully_coupled(figures: Figures, constraints: Constraints) -> Outcome:
    """The optimum over every architecture on every point: exact, and it evaluates all of them."""
    return search(figures, constraints, np.arange(len(figures.accuracy)))


def semi_decoupled(
    figures: Figures, constraints: Constraints, proxies: Sequence[int], size: int | None = None
) -> Outcome:
    """Stage 1: :func:`proxy_set` on one or more proxies. Stage 2: the best of that set on every point.

    ``size`` is the most architectures that a proxy hands on (None: all). Evaluates every
    architecture on the proxies and the set on the other points.
    """
    members = np.unique(np.concatenate([proxy_set(figures, proxy, size) for proxy in proxies]))
    found = search(figures, constraints, members)
    evaluated = found.evaluated.copy()
    evaluated[:, list(proxies)] = True
    return dataclasses.replace(found, evaluated=evaluated)


def fully_decoupled(figures: Figures, constraints: Constraints, proxy: int | None = None) -> Outcome:
    """The best architecture first, the point for it afterwards.

    With a proxy: the most accurate architecture that meets the limits on the proxy (evaluates
    all there). Without: the most accurate of all, whatever the hardware. Then the point, among
    those allowed, with the lowest latency of those that meet the limits; where none does there
    is no answer.
    """
    n, points = figures.latency.shape
    evaluated = np.zeros((n, points), bool)
    if proxy is None:
        chosen = np.full(len(constraints), int(np.argmax(figures.accuracy)))
    else:
        there = np.arange(points) == proxy
        on_proxy = dataclasses.replace(constraints, allowed=np.tile(there, (len(constraints), 1)))
        first = search(figures, on_proxy, np.arange(n))
        chosen, evaluated = first.architecture, first.evaluated.copy()
    taken = np.flatnonzero(chosen != NONE)
    evaluated_rows = np.zeros_like(evaluated)
    np.logical_or.at(evaluated_rows, chosen[taken], constraints.allowed[taken])
    architecture = np.full(len(constraints), NONE)
    point = np.full(len(constraints), NONE)
    latency = figures.latency[chosen[taken]]  # [taken, points]
    meets = (
        (latency <= constraints.latency[taken, None])
        & (figures.energy[chosen[taken]] <= constraints.energy[taken, None])
        & constraints.allowed[taken]
    )
    best = np.where(meets, latency, np.iinfo(np.int64).max).argmin(1)
    answered = meets.any(1)
    architecture[taken[answered]] = chosen[taken][answered]
    point[taken[answered]] = best[answered]
    return _outcome(figures, architecture, point, evaluated | evaluated_rows)


def proxy_set(figures: Figures, proxy: int, size: int | None = None) -> np.ndarray:
    """Architectures that are optimal on a proxy for some limits of latency and energy, ascending ``[k]``.

    That is the Pareto front of (accuracy, latency, energy) on the proxy. Of more than ``size``
    as many are kept, evenly spread by rank of accuracy, the most and the least accurate among
    them (of one: the most accurate).

    Raises DescriptionError for a size below 1 or a proxy on which not all have figures.
    """
    if size is not None and size < 1:
        raise DescriptionError(f"a set of {size} architectures", fix="keep 1 or more, or null for all")
    if not np.isfinite(figures.energy[:, proxy]).all():
        raise DescriptionError(
            f"point {proxy} has no figures for some architectures", fix="take another proxy"
        )
    objectives = (-figures.accuracy, figures.latency[:, proxy], figures.energy[:, proxy])
    # Dense ranks are exact for all three, whatever their types.
    ranks = np.stack([np.unique(x, return_inverse=True)[1] for x in objectives], 1)
    front = np.flatnonzero(np.asarray(pareto_mask(ranks.astype(np.int32))))
    if size is not None and len(front) > size:
        by_accuracy = front[np.argsort(-figures.accuracy[front], kind="stable")]
        front = by_accuracy[np.round(np.linspace(0, len(front) - 1, size)).astype(int)]
    return np.sort(front)


def search(figures: Figures, constraints: Constraints, members: np.ndarray) -> Outcome:
    """The most accurate of ``members`` that meets each constraint on some allowed point; evaluates all.

    Of equally accurate ones the first, of several points the first.
    """
    ranked = by_accuracy(figures, members)
    rank = np.full(len(constraints), len(ranked))
    point = np.full(len(constraints), NONE)
    for p in np.flatnonzero(constraints.allowed.any(0)).tolist():
        rows = np.flatnonzero(constraints.allowed[:, p])
        meets = within(figures, constraints, ranked, p, rows)
        first = np.where(meets.any(0), meets.argmax(0), len(ranked))
        better = first < rank[rows]
        rank[rows[better]] = first[better]
        point[rows[better]] = p
    answered = rank < len(ranked)
    architecture = np.where(answered, ranked[np.minimum(rank, len(ranked) - 1)], NONE)
    evaluated = np.zeros(figures.latency.shape, bool)
    evaluated[np.ix_(members, constraints.allowed.any(0))] = True
    return _outcome(figures, architecture, point, evaluated)


def by_accuracy(figures: Figures, members: np.ndarray) -> np.ndarray:
    """Members from the most to the least accurate; of equal ones the first comes first."""
    ordered = np.sort(members)
    return ordered[np.argsort(-figures.accuracy[ordered], kind="stable")]


def within(
    figures: Figures, constraints: Constraints, members: np.ndarray, point: int, rows: np.ndarray
) -> np.ndarray:
    """Which members meet which constraints on a point, bool ``[members, rows]``."""
    latency = figures.latency[members, point][:, None] <= constraints.latency[rows]
    return latency & (figures.energy[members, point][:, None] <= constraints.energy[rows])


def _outcome(figures: Figures, architecture: np.ndarray, point: np.ndarray, evaluated: np.ndarray) -> Outcome:
    accuracy = np.where(architecture == NONE, np.nan, figures.accuracy[np.maximum(architecture, 0)])
    return Outcome(architecture, point, accuracy, evaluated)


@dataclasses.dataclass(frozen=True)
class Score:
    """A method against the fully coupled optimum, over the constraints that something meets."""

    constraints: int
    exact: float  # share of equal accuracy
    unanswered: float  # share without an answer where there is one
    largest_loss: float  # percentage points of accuracy, over those answered
    mean_loss: float
    evaluations: int
    saved: float  # evaluations of the coupled search over those of the method


def score(outcome: Outcome, coupled: Outcome) -> Score:
    """How far an outcome is from the optimum. Losses are 0 where nothing is answered."""
    asked = coupled.architecture != NONE
    best, found = coupled.accuracy[asked], outcome.accuracy[asked]
    answered = np.isfinite(found)
    loss = best[answered] - found[answered]
    count = max(1, int(asked.sum()))
    return Score(
        constraints=int(asked.sum()),
        exact=float((loss == 0).sum() / count),
        unanswered=float((~answered).sum() / count),
        largest_loss=float(loss.max(initial=0.0)),
        mean_loss=float(loss.mean()) if loss.size else 0.0,
        evaluations=outcome.evaluations,
        saved=coupled.evaluations / max(1, outcome.evaluations),
    )
