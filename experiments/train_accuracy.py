"""``python -m experiments.train_accuracy alphanet TABLE.csv``: train a shipped predictor again.

The weights go to ``jaxmaestro/accuracy/weights/`` (``--out`` for elsewhere) with their record:
settings, split, errors on held-out rows and on the tables of ``--check``.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from experiments.refusal import REFUSED
from jaxmaestro.accuracy import AccuracyTable, read_forest, read_table, scores
from jaxmaestro.accuracy import weights as shipped
from jaxmaestro.accuracy.network import Parameters, ensemble
from jaxmaestro.accuracy.predict import FEATURES
from jaxmaestro.accuracy.training import Settings, fit, split
from jaxmaestro.description import DescriptionError
from jaxmaestro.spaces import ALPHANET, ALPHANET_FORK, Configurations

SETTINGS = {
    "alphanet": Settings(width=64, steps=8000, learning_rate=1e-2, weight_decay=0.03),
    "nasbench301": Settings(width=48, steps=1500, learning_rate=1e-2, weight_decay=1.0),
}
"""Chosen on the validation rows."""

SPACES = {"alphanet": "alphanet_fork", "nasbench301": "nasbench301"}
"""Of which space the table of each predictor is."""

CHECKED = 5000
"""Architectures for which a forest is asked."""


def train(table: AccuracyTable, settings: Settings) -> tuple[Parameters, dict[str, Any]]:
    """Parameters as they are stored, and their record without checks."""
    part = split(len(table), settings)
    features = FEATURES[table.space](table.architectures)
    known = table.accuracy[part.train]
    mean, deviation = float(known.mean()), float(known.std())
    parameters = shipped.rounded(fit(features[part.train], (known - mean) / deviation, settings))
    predicted = mean + deviation * ensemble(parameters, table.architectures, FEATURES[table.space])
    record = {
        "rows": len(table),
        "mean": mean,
        "deviation": deviation,
        "settings": dataclasses.asdict(settings),
        "versions": {name: version(name) for name in ("jax", "flax", "optax", "numpy")},
        "validation": _scores(predicted, table, part.validation),
        "test": _scores(predicted, table, part.test),
        "checks": {},
    }
    if table.space != "nasbench301":
        record["checks"] = _by_resolution("test rows", predicted, table, part.test)
    return parameters, record


def _scores(predicted: np.ndarray, table: AccuracyTable, rows: np.ndarray) -> dict[str, Any]:
    return dataclasses.asdict(scores(predicted[rows], table.accuracy[rows]))


def _by_resolution(
    label: str, predicted: np.ndarray, table: AccuracyTable, rows: np.ndarray
) -> dict[str, Any]:
    """Scores at one resolution, on which most of the spread depends."""
    resolution = np.asarray(table.architectures.resolution)[rows]
    return {
        f"{label}, resolution {value}": _scores(predicted, table, rows[resolution == value])
        for value in np.unique(resolution)
    }


def check(parameters: Parameters, record: dict[str, Any], label: str, table: AccuracyTable) -> dict[str, Any]:
    """Scores on a table that was not learned from."""
    standardised = ensemble(parameters, table.architectures, FEATURES[table.space])
    predicted, rows = record["mean"] + record["deviation"] * standardised, np.arange(len(table))
    parts = {} if table.space == "nasbench301" else _by_resolution(label, predicted, table, rows)
    return {label: _scores(predicted, table, rows), **parts}


def _check_tables(name: str, label: str, path: str) -> dict[str, AccuracyTable]:
    if not path.endswith(".joblib"):
        return {label: read_table(SPACES[name], path)}
    if name != "alphanet":
        raise DescriptionError("a forest is no check for it", source=path, fix="give a table")
    forest = read_forest(path)
    samples = {"alphanet": ALPHANET.sample(0, CHECKED), "alphanet_fork": smallest(CHECKED)}
    return {
        f"{label}, {what}": AccuracyTable(space, samples[space], forest.predict(samples[space]))
        for space, what in (("alphanet", "whole space"), ("alphanet_fork", "nearly all choices least"))
    }


def smallest(count: int, seed: int = 0) -> Configurations:
    """Configurations of the seed's space, each choice but the resolution at its least with a chance of 0.9.

    Cheap networks lie there, and hardly any row of a random table.
    """
    random = np.random.default_rng(seed)
    codes = random.integers(0, ALPHANET_FORK.cardinalities, (count, len(ALPHANET_FORK.cardinalities)))
    keep = random.random(codes.shape) < 0.9
    keep[:, 0] = False
    return ALPHANET_FORK.decode(np.where(keep, 0, codes))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m experiments.train_accuracy", description=__doc__)
    parser.add_argument("predictor", choices=sorted(SETTINGS))
    parser.add_argument("table", help="CSV, or a pickled list of accuracies")
    parser.add_argument("--architectures", help="the pickled architectures of a pickled list")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--check", action="append", default=[], metavar="NAME=FILE", help="another table, not learned"
    )
    parser.add_argument("--out", type=Path, help="the .npz to write")
    options = parser.parse_args()
    try:
        _run(options)
    except (DescriptionError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(REFUSED)


def _run(options: argparse.Namespace) -> None:
    name = options.predictor
    table = read_table(SPACES[name], options.table, options.architectures)
    settings = dataclasses.replace(SETTINGS[name], seed=options.seed)
    if len(table) < 2 * (settings.validation + settings.test):
        raise DescriptionError(
            f"the table has {len(table):,} rows", source=options.table, fix="give 4,000 or more"
        )
    checks: dict[str, AccuracyTable] = {}
    for text in options.check:
        label, _, path = text.partition("=")
        checks |= _check_tables(name, label, path)
    parameters, record = train(table, settings)
    for label, other in checks.items():
        record["checks"] |= check(parameters, record, label, other)
    out = options.out or Path(shipped.__file__).parent / "weights" / f"{name}.npz"
    shipped.save(out, parameters, record)
    for label, found in (
        ("validation", record["validation"]),
        ("test", record["test"]),
        *record["checks"].items(),
    ):
        print(
            f"{label}: {found['count']:,} rows, MAE {found['mae']:.4f}, RMSE {found['rmse']:.4f}, "
            f"Spearman {found['spearman']:.4f}, Kendall {found['kendall']:.4f}"
        )
    print(f"{out}: {out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
