"""Accuracy tables that the user has: read, checked, and looked up by architecture."""

from __future__ import annotations

import ast
import csv
import dataclasses
import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxmaestro.accuracy.pickles import read_pickle
from jaxmaestro.accuracy.predict import checked
from jaxmaestro.description import DescriptionError
from jaxmaestro.spaces import NASBENCH301, space
from jaxmaestro.spaces.alphanet import Configurations
from jaxmaestro.spaces.nasbench301 import NODES, OPERATIONS, Genotypes


@dataclasses.dataclass(frozen=True, eq=False)
class AccuracyTable:
    """Accuracies of n architectures of a space."""

    space: str
    architectures: Any  # the space's struct of arrays, n rows
    accuracy: np.ndarray  # [n] float64, percent

    def __post_init__(self) -> None:
        """Raises DescriptionError for counts that differ, figures that are no percentages, foreign rows."""
        if np.shape(self.accuracy) != (len(self.architectures),):
            raise DescriptionError(
                f"there are {np.size(self.accuracy)} accuracies for {len(self.architectures)} architectures",
                fix="give files of one sample",
            )
        wrong = ~((self.accuracy >= 0) & (self.accuracy <= 100))
        if wrong.any():
            row = int(np.argmax(wrong))
            raise DescriptionError(
                f"accuracy {row} is {self.accuracy[row]}", fix="give percentages, 0 to 100"
            )
        checked(self.space, self.architectures)

    def __len__(self) -> int:
        return len(self.accuracy)

    @functools.cached_property
    def _rows(self) -> dict[bytes, int]:
        # The first row of an architecture counts: a table with noise may hold it twice.
        keys = _keys(self.architectures)
        return {key: row for row, key in reversed(list(enumerate(keys)))}

    def lookup(self, architectures: Any) -> np.ndarray:
        """The table's accuracy of each architecture, float64 ``[m]``.

        Raises:
            DescriptionError: an architecture is not of the space, or not in the table.
        """
        checked(self.space, architectures)
        rows = [self._rows.get(key, -1) for key in _keys(architectures)]
        if -1 in rows:
            raise DescriptionError(
                f"architecture {rows.index(-1)} is not in the table of {len(self):,}",
                fix="use jaxmaestro.accuracy.predict for others",
            )
        return self.accuracy[rows]


def read_table(space_name: str, path: str | Path, architectures: str | Path | None = None) -> AccuracyTable:
    """Read a table by its suffix: ``.csv``, ``.pickle`` or ``.pkl``, ``.json``.

    Args:
        space_name: nasbench301, alphanet or alphanet_fork.
        path: CSV with a header; a pickled list of accuracies; for NAS-Bench-301 also the JSON
            of NAS-Bench-Suite-Zero (zc_nasbench301.json).
        architectures: for a pickle: the pickled list of architectures beside it. For
            NAS-Bench-301 it may be left out: then they are the first of the seed's sampler.

    CSV columns, lists separated by blanks: ``accuracy`` or ``predicted_accuracy``; for AlphaNet
    ``resolution, width, kernel_size, expand_ratio, depth``; for NAS-Bench-301 ``normal`` and
    ``reduce`` of eight ``operation:input`` each.

    Raises:
        DescriptionError: naming the file, and the line where there is one.
        OSError: a file cannot be read.
    """
    space(space_name)
    suffix = Path(path).suffix
    nasbench = space_name == "nasbench301"
    try:
        if suffix == ".csv":
            return _from_csv(space_name, path, _GENOTYPE_CELLS if nasbench else _CONFIGURATION_CELLS)
        if suffix == ".json" and nasbench:
            return _from_suite_zero(path)
        if suffix in (".pickle", ".pkl"):
            return _from_pickles(space_name, path, architectures)
    except DescriptionError as error:
        if error.source:
            raise
        raise DescriptionError(error.message, source=str(path), fix=error.fix) from None
    raise DescriptionError(
        f"there is no reader of '{suffix}' files for {space_name}",
        source=str(path),
        fix="give .csv, .pickle" + (" or .json" if nasbench else ""),
    )


def genotypes_of(cells: Sequence[Sequence[Sequence[tuple[str | int, int]]]]) -> Genotypes:
    """Genotypes of, for each architecture, a normal and a reduction cell of eight (operation, input) pairs.

    Raises:
        DescriptionError: an operation that is not one of the seven, or another number of pairs.
    """
    numbers = {name: number for number, name in enumerate(OPERATIONS)}
    found = np.empty((len(cells), 2, 2 * NODES, 2), np.int32)
    for row, architecture in enumerate(cells):
        if [len(cell) for cell in architecture] != [2 * NODES] * 2:
            raise DescriptionError(
                f"genotype {row} has not two cells of eight edges", fix="give DARTS genotypes"
            )
        for cell, edges in enumerate(architecture):
            for edge, (operation, source) in enumerate(edges):
                number = numbers.get(operation, -1) if isinstance(operation, str) else operation
                if not 0 <= number < len(OPERATIONS):
                    raise DescriptionError(
                        f"genotype {row} has the operation '{operation}'", fix=f"give {', '.join(OPERATIONS)}"
                    )
                if not 0 <= source <= NODES:
                    raise DescriptionError(f"genotype {row} has the input {source}", fix=f"give 0 to {NODES}")
                found[row, cell, edge] = number, source
    shape = (len(cells), 2, NODES, 2)
    return Genotypes(found[..., 0].reshape(shape), found[..., 1].reshape(shape))


def _from_pickles(space_name: str, path: str | Path, architectures: str | Path | None) -> AccuracyTable:
    accuracy = read_pickle(path)
    if not isinstance(accuracy, list) or not all(type(value) is float for value in accuracy):
        raise DescriptionError(
            "it holds no list of accuracies", fix="give accuracy.pickle or sample_accuracy.pickle"
        )
    found: Any
    if architectures is not None:
        found = _pickled_architectures(space_name, architectures)
    elif space_name == "nasbench301":
        found = NASBENCH301.fork_sample(len(accuracy))
    else:
        raise DescriptionError("a pickle of accuracies names no architectures", fix="give config.pickle too")
    return AccuracyTable(space_name, found, np.array(accuracy))


def _pickled_architectures(space_name: str, path: str | Path) -> Any:
    rows = read_pickle(path)
    try:
        if space_name == "nasbench301":
            return genotypes_of([(row.normal, row.reduce) for row in rows])
        return _configurations({name: [row[name] for row in rows] for name in _CONFIGURATION_CELLS})
    except DescriptionError as error:
        raise DescriptionError(error.message, source=str(path), fix=error.fix) from None
    except (AttributeError, KeyError, TypeError, ValueError):
        raise DescriptionError(
            f"it holds no list of {space_name}'s architectures",
            source=str(path),
            fix="give the sampler's pickle",
        ) from None


def _from_suite_zero(path: str | Path) -> AccuracyTable:
    """NAS-Bench-Suite-Zero: cells as lists of (input, operation), keys of a JSON object."""
    try:
        found = json.loads(Path(path).read_text())
        found = found.get("nasbench301", found)["cifar10"]
        cells = [ast.literal_eval(key) for key in found]
        turned = [[[(operation, source) for source, operation in cell] for cell in pair] for pair in cells]
        accuracy = np.array([float(row["val_accuracy"]) for row in found.values()])
    except (AttributeError, KeyError, TypeError, ValueError, SyntaxError):
        raise DescriptionError(
            "it is no table of NAS-Bench-Suite-Zero", fix="give zc_nasbench301.json"
        ) from None
    return AccuracyTable("nasbench301", genotypes_of(turned), accuracy)


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split()]


def _edges(text: str) -> list[tuple[str, int]]:
    return [(name, int(source)) for name, source in (word.split(":") for word in text.split())]


_GENOTYPE_CELLS: dict[str, Callable[[str], Any]] = {"normal": _edges, "reduce": _edges}
_CONFIGURATION_CELLS: dict[str, Callable[[str], Any]] = {
    "resolution": int, "width": _numbers, "kernel_size": _numbers, "expand_ratio": _numbers, "depth": _numbers
}  # fmt: skip


def _from_csv(space_name: str, path: str | Path, cells: dict[str, Callable[[str], Any]]) -> AccuracyTable:
    columns: dict[str, list[Any]] = {name: [] for name in cells}
    accuracy: list[float] = []
    with Path(path).open(newline="", encoding="utf-8") as file:
        lines = csv.DictReader(file)
        header = lines.fieldnames or ()
        name = next((name for name in ("accuracy", "predicted_accuracy") if name in header), "accuracy")
        missing = [column for column in (name, *cells) if column not in header]
        if missing:
            raise DescriptionError(f"there is no column '{missing[0]}'", source=str(path), line=1)
        for line in lines:
            try:
                accuracy.append(float(line[name]))
                for column, read in cells.items():
                    columns[column].append(read(line[column]))
            except (TypeError, ValueError, AttributeError):
                raise DescriptionError(
                    "a cell cannot be read",
                    source=str(path),
                    line=lines.line_num,
                    fix="see read_table for the columns",
                ) from None
    if space_name == "nasbench301":
        found: Any = genotypes_of(list(zip(columns["normal"], columns["reduce"], strict=True)))
    else:
        found = _configurations(columns)
    return AccuracyTable(space_name, found, np.array(accuracy, np.float64))


def _configurations(columns: dict[str, list[Any]]) -> Configurations:
    lengths = {"width": 9, "kernel_size": 7, "expand_ratio": 7, "depth": 7}
    for name, length in lengths.items():
        for row, values in enumerate(columns[name]):
            if len(values) != length:
                raise DescriptionError(f"row {row} has {len(values)} values of {name}", fix=f"give {length}")
    try:
        arrays = [np.array(columns[name], np.int32) for name in _CONFIGURATION_CELLS]
    except OverflowError:
        raise DescriptionError("it has a number that is too large", fix="give the space's values") from None
    shapes = [(-1,), *((-1, length) for length in lengths.values())]
    return Configurations(*(array.reshape(shape) for array, shape in zip(arrays, shapes, strict=True)))


def _keys(architectures: Any) -> list[bytes]:
    """Bytes that are alike for architectures that are the same network."""
    if isinstance(architectures, Genotypes):
        edges = np.asarray(architectures.inputs) * len(OPERATIONS) + np.asarray(architectures.operations)
        rows = np.sort(edges, -1).reshape(len(architectures), -1)
    else:
        fields = [
            np.asarray(getattr(architectures, field.name)) for field in dataclasses.fields(architectures)
        ]
        rows = np.concatenate([field.reshape(len(architectures), -1) for field in fields], 1)
    return [row.tobytes() for row in rows.astype(np.int32)]
