"""Searchers by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jaxmaestro.description import DescriptionError, Hardware
from jaxmaestro.search.annealing import Annealing
from jaxmaestro.search.evolution import ALGORITHMS, Evolution
from jaxmaestro.search.genetic import Genetic
from jaxmaestro.search.nsga2 import NSGA2
from jaxmaestro.search.random_search import RandomSearch
from jaxmaestro.search.state import Searcher
from jaxmaestro.search.variation import Rates

_ROUNDINGS = 10


def _gradient(population: int, hardware: Hardware, objective: str) -> Any:
    from jaxmaestro.search.gradient import Gradient  # brings optax

    return Gradient(hardware, objective, starts=max(population // _ROUNDINGS, 1), roundings=_ROUNDINGS)


def _surrogate(population: int, hardware: Hardware, objective: str) -> Any:
    from jaxmaestro.search.surrogate import guided  # brings flax

    return guided(population, hardware, objective)


def _evolution(name: str) -> Callable[[int, Hardware, str], Any]:
    return lambda population, hardware, objective: Evolution(name, population)


SEARCHERS: dict[str, Callable[[int, Hardware, str], Any]] = {
    "random": lambda population, hardware, objective: RandomSearch(population),
    "gamma": lambda population, hardware, objective: Genetic.gamma(population),
    "genetic": lambda population, hardware, objective: Genetic(population),
    "annealing": lambda population, hardware, objective: Annealing(population),
    "nsga2": lambda population, hardware, objective: NSGA2(population),
    **{name: _evolution(name) for name in ALGORITHMS},
    "gradient": _gradient,
    "surrogate": _surrogate,
}
"""From a population, an accelerator and the first objective. ``gamma``: GAMMA's rates; ``genetic``: ours."""

_GIVEN = {"population", "name", "rates", "hardware", "objective", "model", "starts", "roundings"} | {
    "temperatures",
    "softness",
}
"""Fields that are no options: given in another way, or no numbers."""


def _range(option: str, default: Any, rate: bool) -> tuple[float, float, Any]:
    """Least and largest value of an option, and its type."""
    if isinstance(default, bool):
        return 0, 1, bool
    if isinstance(default, int):
        return int(not rate), np.inf, int
    if rate or option in _SHARES:
        return 0, 1, int | float
    return (0 if option in _NOTHING else 1e-6), 1e6, int | float


_SHARES = {"parents", "elite", "alike", "return_share", "cooling"}
_NOTHING = {"penalty", "jitter"}
"""Options that may be 0."""


def searcher(
    name: str,
    population: int,
    hardware: Hardware,
    objective: str,
    options: Mapping[str, Any] | None = None,
) -> Searcher:
    """The searcher of a name; ``options`` are fields of it, or of its rates.

    Raises DescriptionError for a name, a field, a value or a size that cannot be, or without evosax.
    """
    if name not in SEARCHERS:
        raise DescriptionError(f"there is no searcher {name!r}", fix=f"give {', '.join(SEARCHERS)}")
    if population < 4:
        raise DescriptionError(f"a population of {population}", fix="give 4 at least")
    made = SEARCHERS[name](population, hardware, objective)
    own = {f.name: f for f in dataclasses.fields(made) if f.name not in _GIVEN}
    rates = {f.name: f for f in dataclasses.fields(Rates)} if hasattr(made, "rates") else {}
    known = own | rates
    for option, value in (options or {}).items():
        if option not in known:
            raise DescriptionError(
                f"searcher {name} has no option {option!r}", fix=f"give {', '.join(sorted(known)) or 'none'}"
            )
        least, most, kind = _range(option, known[option].default, option in rates)
        if (
            not isinstance(value, kind)
            or isinstance(value, bool) != (kind is bool)
            or not least <= value <= most
        ):
            words = {bool: "true or false", int: "a whole number"}.get(kind, "a number")
            between = "" if kind is bool else f" from {least:g}" + (f" to {most:g}" if most < np.inf else "")
            raise DescriptionError(
                f"option {option} of searcher {name} is {value!r}", fix=f"give {words}{between}"
            )
    given = dict(options or {})
    changed = {key: value for key, value in given.items() if key in rates}
    if changed:
        made = dataclasses.replace(made, rates=dataclasses.replace(made.rates, **changed))
    return dataclasses.replace(made, **{key: value for key, value in given.items() if key in own})
