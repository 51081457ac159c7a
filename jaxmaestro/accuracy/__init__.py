"""Accuracy of architectures, estimated: shipped predictors, and tables that the user has.

:func:`predict` needs nothing but the package; :func:`about` says what its figures are and how
wrong they were on architectures that were not learned from. :func:`read_table`,
:func:`read_forest` and :func:`read_surrogate` use public data where the user has it.
Nothing is downloaded.
"""

from jaxmaestro.accuracy.forest import Forest, read_forest
from jaxmaestro.accuracy.metrics import Scores, scores
from jaxmaestro.accuracy.predict import extrapolates, predict
from jaxmaestro.accuracy.record import About, about
from jaxmaestro.accuracy.surrogate import read_surrogate
from jaxmaestro.accuracy.tables import AccuracyTable, genotypes_of, read_table

__all__ = [
    "About",
    "AccuracyTable",
    "Forest",
    "Scores",
    "about",
    "extrapolates",
    "genotypes_of",
    "predict",
    "read_forest",
    "read_surrogate",
    "read_table",
    "scores",
]
