"""What each predictor is, what it learned from and how far it can be trusted."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxmaestro.accuracy import weights
from jaxmaestro.accuracy.metrics import Scores
from jaxmaestro.description import DescriptionError


@dataclasses.dataclass(frozen=True)
class About:
    """A predictor's provenance. Errors are in percentage points of accuracy."""

    space: str
    predicts: str  # what the percentage is an estimate of
    learned_from: str
    rows: int  # of the table; those of `test` were not learned from
    test: Scores  # on rows of the table that were held out; no setting was chosen by them
    checks: Mapping[str, Scores]  # parts of the held-out rows, and other tables
    trust: str
    extrapolates: str
    settings: Mapping[str, Any]  # seed and all else that decides the weights

    def __str__(self) -> str:
        error = f"mean absolute error {self.test.mae:.3f}, RMSE {self.test.rmse:.3f} points"
        ranks = f"Spearman {self.test.spearman:.4f}, Kendall {self.test.kendall:.4f}"
        return (
            f"{self.space}: {self.predicts} Learned from {self.learned_from} ({self.rows:,} rows). "
            f"On {self.test.count:,} held-out rows: {error}, {ranks}. {self.trust} {self.extrapolates}"
        )


@dataclasses.dataclass(frozen=True)
class _Words:
    weights: str
    predicts: str
    learned_from: str
    trust: str
    extrapolates: str


_ALPHANET = _Words(
    weights="alphanet",
    predicts="The ImageNet accuracy that AttentiveNAS's released random forest predicts for a sub-network of "
    "its supernet (67 to 72 %), about ten points below the published networks' 77 to 81 %.",
    learned_from="the forest's figures for the seed's AlphaNet sample",
    trust="It stands for the forest, nothing more: the table holds no measured accuracy. Use it to rank. "
    "Nearly all of the spread is the resolution, then the depths of mb5 and mb4; differences below the "
    "RMSE mean nothing.",
    extrapolates="",
)

_WORDS = {
    "alphanet_fork": dataclasses.replace(
        _ALPHANET, extrapolates="The table is a sample of this space: nothing is extrapolated."
    ),
    "alphanet": dataclasses.replace(
        _ALPHANET,
        extrapolates="The table has one value of each width and of mb1 and mb7, so these have no effect; "
        "depths between two values of the table are interpolated, larger ones count as the largest. "
        "For the whole space read the released forest with read_forest. extrapolates() says which rows.",
    ),
    "nasbench301": _Words(
        weights="nasbench301",
        predicts="The CIFAR-10 validation accuracy that NAS-Bench-301's XGBoost surrogate (v0.9) predicts "
        "after 100 epochs with 8 cells of 32 channels, the benchmark's setting.",
        learned_from="the surrogate's figures, with its noise, for the seed's sample, which its authors "
        "published (github.com/Ren-Research/nasbench301, Apache-2.0)",
        trust="It stands for the surrogate, itself an estimate of trained networks; the figures hold its "
        "random noise. Good for ranking random genotypes; the few published networks lie too close together "
        "to be ranked.",
        extrapolates="The table is a uniform sample of the space: nothing is out of its range, but searched "
        "genotypes better than all random ones (above 94.6 %) are.",
    ),
}


def about(space_name: str) -> About:
    """The record of a space's predictor; nothing of flax or JAX is run.

    Args:
        space_name: nasbench301, alphanet or alphanet_fork.

    Raises:
        DescriptionError: there is no such predictor.
    """
    words = words_of(space_name)
    found = weights.record(words.weights)
    return About(
        space=space_name,
        predicts=words.predicts,
        learned_from=words.learned_from,
        rows=found["rows"],
        test=Scores(**found["test"]),
        checks={name: Scores(**scores) for name, scores in found["checks"].items()},
        trust=words.trust,
        extrapolates=words.extrapolates,
        settings=dict(found["settings"]),
    )


def words_of(space_name: str) -> _Words:
    """Raises DescriptionError where no predictor has that name."""
    if space_name not in _WORDS:
        raise DescriptionError(
            f"there is no accuracy predictor for '{space_name}'",
            fix=f"there is one for {', '.join(sorted(_WORDS))}",
        )
    return _WORDS[space_name]
