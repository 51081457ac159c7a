"""Accelerators under budgets of area and power, designed together with the mappings of networks."""

from jaxmaestro.accelerators.budget import (
    AREA_MODELS,
    CLOUD,
    EDGE,
    Budget,
    digamma_area,
    reference_area,
    reference_power,
)
from jaxmaestro.accelerators.confuciux import Assignment, Options, Pipeline, assign, mapped, options_of
from jaxmaestro.accelerators.design import Checked, Design, RefusedError, check
from jaxmaestro.accelerators.elites import GOALS, Exploration
from jaxmaestro.accelerators.genetic import GeneticLoop, genetic_loop
from jaxmaestro.accelerators.one_loop import OneLoop, one_loop
from jaxmaestro.accelerators.packing import Packing, genetic_packing, pack, random_packing
from jaxmaestro.accelerators.problem import Front, Keep, Moment, Outcome, Problem, Report
from jaxmaestro.accelerators.roofline import roofline
from jaxmaestro.accelerators.space import DesignSpace
from jaxmaestro.accelerators.two_loop import TwoLoop, two_loop

__all__ = [
    "AREA_MODELS",
    "CLOUD",
    "EDGE",
    "GOALS",
    "Assignment",
    "Budget",
    "Checked",
    "Design",
    "DesignSpace",
    "Exploration",
    "Front",
    "GeneticLoop",
    "Keep",
    "Moment",
    "OneLoop",
    "Options",
    "Outcome",
    "Packing",
    "Pipeline",
    "Problem",
    "RefusedError",
    "Report",
    "TwoLoop",
    "assign",
    "check",
    "digamma_area",
    "genetic_loop",
    "genetic_packing",
    "mapped",
    "one_loop",
    "options_of",
    "pack",
    "random_packing",
    "reference_area",
    "reference_power",
    "roofline",
    "two_loop",
]
