"""Searching mappings: one interface for all searchers, budgets in valid evaluations, checkpoints."""

from jaxmaestro.search.annealing import Annealing
from jaxmaestro.search.checkpoint import load, save
from jaxmaestro.search.evolution import Evolution
from jaxmaestro.search.exhaustive import Optimum, exhaustive
from jaxmaestro.search.genetic import Genetic
from jaxmaestro.search.nsga2 import NSGA2
from jaxmaestro.search.objective import OBJECTIVES
from jaxmaestro.search.problem import Problem
from jaxmaestro.search.random_search import RandomSearch
from jaxmaestro.search.run import Budget, Found, History, scan, search
from jaxmaestro.search.searchers import SEARCHERS, searcher
from jaxmaestro.search.state import Searcher, State, advance, initial, step
from jaxmaestro.search.variation import TUNED, Rates

__all__ = [
    "NSGA2",
    "OBJECTIVES",
    "SEARCHERS",
    "TUNED",
    "Annealing",
    "Budget",
    "Evolution",
    "Found",
    "Genetic",
    "History",
    "Optimum",
    "Problem",
    "RandomSearch",
    "Rates",
    "Searcher",
    "State",
    "advance",
    "exhaustive",
    "initial",
    "load",
    "save",
    "scan",
    "search",
    "searcher",
    "step",
]
