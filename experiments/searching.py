"""One search: a method on a problem from its proxies, and what is written of it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from experiments.study import Study
from experiments.study_schema import ConstraintsConfig, MethodConfig, MethodName, Problem
from jaxmaestro.codesign import (
    Constraints,
    Figures,
    Outcome,
    adaptive,
    certify,
    cover,
    fully_coupled,
    fully_decoupled,
    on_each_point,
    on_product,
    score,
    semi_decoupled,
)
from jaxmaestro.description import DescriptionError

NO_PROXY = "none"
"""Name of the run of a method that takes no proxy."""


def make_constraints(study: Study, config: ConstraintsConfig) -> Constraints:
    """The constraints of a configuration; raises DescriptionError for quantiles that are none."""
    if config.problem is Problem.product:
        return on_product(study.campaign, config.latency, config.energy, config.area)
    return on_each_point(study.campaign, config.latency, config.energy)


def check_method(config: MethodConfig) -> None:
    """Raises DescriptionError for values out of range."""
    if config.size is not None and config.size < 1:
        raise DescriptionError(f"method.size is {config.size}", fix="it must be 1 or more, or null")
    if not 0 <= config.tolerance < math.inf:
        raise DescriptionError(f"method.tolerance is {config.tolerance}", fix="it must be a number from 0")
    if config.budget is not None and config.budget < 1:
        raise DescriptionError(f"method.budget is {config.budget}", fix="it must be 1 or more, or null")


def proxies_of(study: Study, method: MethodConfig) -> dict[str, tuple[int, ...]]:
    """The runs of a method: its proxies by name. ``all``: each point that has figures, by itself.

    Raises DescriptionError for a point that is not there or has no figures.
    """
    if method.name is MethodName.fully_coupled:
        return {NO_PROXY: ()}
    points, live = study.campaign.points, study.campaign.live
    found: dict[str, tuple[int, ...]] = {}
    for name in method.proxies:
        if name == "all":
            found |= {points.names[p]: (p,) for p in np.flatnonzero(live).tolist()}
        elif name == NO_PROXY and method.name is MethodName.fully_decoupled:
            found[name] = ()
        else:
            chosen = tuple(points.index(part) for part in name.split("+"))
            for p in chosen:
                if not live[p]:
                    raise DescriptionError(
                        f"the proxy {points.names[p]} has no figures for every architecture",
                        fix="take another (KC-P needs 64 PEs)",
                    )
            found[name] = chosen
    if not found:
        raise DescriptionError("method.proxies is empty", fix="give points, or all")
    return found


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """An outcome with its certificate and counters."""

    outcome: Outcome
    bound: np.ndarray | None  # [c] percent; None: not asked for
    members: int  # architectures that stage 2 searches, or the grown set
    added: int = 0
    rounds: int = 0
    inverted: tuple[int, ...] = ()  # answers that are added architectures, by dataflow of the point


def run_method(
    study: Study,
    constraints: Constraints,
    method: MethodConfig,
    proxies: tuple[int, ...],
    *,
    certified: bool = False,
) -> Found:
    """Search once; ``certified`` bounds the loss of methods that do not do so themselves."""
    campaign, accuracy = study.campaign, study.accuracy
    figures = Figures.of(campaign, accuracy)
    if method.name is MethodName.adaptive:
        found = adaptive(
            campaign, accuracy, constraints, proxies, method.size, method.tolerance, method.budget
        )
        flows = len(campaign.points.dataflows)
        return Found(
            outcome=found.outcome,
            bound=found.bound,
            members=len(found.members),
            added=len(found.added),
            rounds=found.rounds,
            inverted=tuple(found.inverted.reshape(flows, -1).sum(1).tolist()),
        )
    if method.name is MethodName.semi_decoupled:
        outcome = semi_decoupled(figures, constraints, proxies, method.size)
        others = np.setdiff1d(np.flatnonzero(constraints.allowed.any(0)), proxies)
        members = int(outcome.evaluated[:, others].any(1).sum()) if others.size else len(accuracy)
    elif method.name is MethodName.fully_decoupled:
        outcome = fully_decoupled(figures, constraints, proxies[0] if proxies else None)
        members = len(np.unique(outcome.architecture[outcome.architecture >= 0]))
    else:
        outcome = fully_coupled(figures, constraints)
        members = len(accuracy)
    bound = certify(campaign, accuracy, constraints, outcome) if certified else None
    return Found(outcome, bound, members)


def score_row(found: Found, coupled: Outcome) -> dict[str, Any]:
    """The figures of a search as one row: against the coupled optimum, what it took, what is certified."""
    row: dict[str, Any] = dataclasses.asdict(score(found.outcome, coupled))
    row |= {"members": found.members, "added": found.added, "rounds": found.rounds}
    row |= {"inverted": list(found.inverted)}
    if found.bound is not None:
        finite = found.bound[np.isfinite(found.bound)]
        row |= {
            "largest_bound": float(finite.max(initial=0.0)),
            "mean_bound": float(finite.mean()) if finite.size else None,
            "certified_exact": float((found.bound == 0).mean()),
            "no_bound": int(found.bound.size - finite.size),
        }
    return row


def shared_evaluations(study: Study) -> int:
    """Evaluations that tell every total, if what an evaluation says of its layers is remembered."""
    return len(cover(study.campaign.workloads.counts)) * int(study.campaign.live.sum())
