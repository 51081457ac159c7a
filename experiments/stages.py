"""Steps of a run that are kept as they are done, so that a second run continues the first."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jaxmaestro.results.files import atomic


@dataclasses.dataclass(frozen=True)
class Stages:
    """Named steps in a folder, one file of arrays each; a file appears whole or not at all."""

    folder: Path

    def arrays(self, name: str, compute: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """What a step gave, computed if it is not there or cannot be read."""
        place = self.folder / f"{name}.npz"
        stored = _read(place)
        if stored is not None:
            return stored
        found = compute()
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic(place) as path:
            np.savez_compressed(path, **found, **{_COUNT: np.array(len(found))})  # type: ignore[arg-type]
        return found


_COUNT = "number of arrays"


def _read(place: Path) -> dict[str, np.ndarray] | None:
    """The arrays of a file; None where it is not there, damaged or lacks some."""
    try:
        with zipfile.ZipFile(place) as archive:
            if archive.testzip() is not None:  # np.load does not read to the end if a shape is damaged
                return None
        with np.load(place, allow_pickle=False) as stored:
            found = dict(stored)
        return found if found.pop(_COUNT) == len(found) else None
    except Exception:  # a damaged archive can bring about nearly any
        return None


@dataclasses.dataclass(frozen=True)
class Records:
    """Results by key in a file of JSON lines that grows as they are found."""

    path: Path

    def load(self) -> dict[str, dict[str, Any]]:
        """Records by key; a line that a stop cut short is left out."""
        found = {}
        for line in self.path.read_text(errors="replace").splitlines() if self.path.exists() else ():
            try:
                record = json.loads(line)
                found[record.pop("key")] = record
            except (ValueError, KeyError, AttributeError, TypeError):
                continue
        return found

    def add(self, key: str, record: dict[str, Any]) -> None:
        """Append a record; it is on the file when this returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # A line that was cut short must not swallow the next one.
        with self.path.open("a") as file:
            file.write("\n" + json.dumps({"key": key} | record) + "\n")
