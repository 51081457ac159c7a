"""Steps of a run that are kept as they are done, so that a second run continues the first."""

from __future__ import annotations

import dataclasses
import json
import zipfile
import zlib
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
        try:
            with place.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                return dict(stored)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
            found = compute()
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic(place) as path:
            np.savez_compressed(path, **found)  # type: ignore[arg-type]
        return found


@dataclasses.dataclass(frozen=True)
class Records:
    """Results by key in a file of JSON lines that grows as they are found."""

    path: Path

    def load(self) -> dict[str, dict[str, Any]]:
        """Records by key; a line that a stop cut short is left out."""
        found = {}
        for line in self.path.read_text().splitlines() if self.path.exists() else ():
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
