"""Run a reference binary on a file; find the layers that it dies of."""

from __future__ import annotations

import collections
import dataclasses
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.networks import FuzzFile

Row = tuple[str, ...]
"""One line of the reference's CSV, split at the commas, spaces kept."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the binary said: CSV header and rows, or why there are none."""

    header: Row
    rows: tuple[Row, ...]
    cause: str = ""
    csv: str = ""

    @property
    def died(self) -> bool:
        """No figures were printed."""
        return bool(self.cause)


@dataclasses.dataclass(frozen=True)
class Death:
    """A layer that the binary gives no figures for."""

    file: FuzzFile
    cause: str


def parse_csv(text: str) -> tuple[Row, tuple[Row, ...]]:
    """Header and rows of the reference's CSV; fields as text with their spaces."""
    header, *rows = (tuple(line.split(",")) for line in text.splitlines() if line.strip())
    return header, tuple(rows)


def _cause(code: int, output: str) -> str:
    """Why it died, without numbers, so that deaths can be counted by cause."""
    for line in output.splitlines():
        if "rror" in line or "Assertion" in line or "what():" in line or "Invalid" in line:
            line = re.sub(r"\S*/\S*|in target file.*|\bin \S+\.m\b", "", line)
            return re.sub(r"\d+", "#", line).strip()[:120]
    names = {-8: "SIGFPE (integer division by zero)", -11: "SIGSEGV", -6: "SIGABRT"}
    return names.get(code, f"exit status {code}")


class Binary:
    """A MAESTRO-compatible command, a limit in seconds for each run, and its environment (None: ours)."""

    def __init__(self, path: Path, timeout: float = 20.0, environment: dict[str, str] | None = None) -> None:
        self.path, self.timeout, self.environment = path.resolve(), timeout, environment

    def run(self, file: FuzzFile) -> Answer:
        """Figures of one file, run in an empty folder."""
        with tempfile.TemporaryDirectory() as folder:
            command = [str(self.path), f"--Mapping_file={file.name}.m", "--print_res=false"]
            (Path(folder) / f"{file.name}.m").write_text(file.text)
            if file.hardware.text:
                (Path(folder) / f"{file.name}.hw.m").write_text(file.hardware.text)
                command.append(f"--HW_file={file.name}.hw.m")
            command += [f"--{flag}={value}" for flag, value in file.hardware.flags]
            try:
                done = subprocess.run(
                    command,
                    cwd=folder,
                    capture_output=True,
                    text=True,
                    timeout=self.timeout,
                    env=self.environment,
                    errors="replace",
                    check=False,
                )
            except subprocess.TimeoutExpired:
                return Answer((), (), "too slow")
            found = list(Path(folder).glob("*.csv"))
            if done.returncode != 0 or not found:
                return Answer((), (), _cause(done.returncode, done.stdout + done.stderr))
            csv = found[0].read_text()
        header, rows = parse_csv(csv)
        return Answer(header, rows, "", csv)

    def evaluable(self, file: FuzzFile) -> tuple[FuzzFile, Answer, list[Death]]:
        """The file without the units that the binary dies of, its answer, and those units.

        A unit may die alone, or only after others (the tensors of a layer type are
        fixed by its first layer): what is left then is found by bisection.
        """
        answer = self.run(file)
        if not answer.died:
            return file, answer, []
        deaths: list[Death] = []
        alive: list[str] = []
        for unit in file.units:
            alone = file.with_units((unit,))
            cause = self.run(alone).cause
            if cause:
                deaths.append(Death(alone, cause))
            else:
                alive.append(unit)
        while alive:
            file = file.with_units(tuple(alive))
            answer = self.run(file)
            if not answer.died:
                return file, answer, deaths
            culprit = self._first_fatal_prefix(file)
            deaths.append(Death(file.with_units(file.units[:culprit]), "only after others: " + answer.cause))
            del alive[culprit - 1]
        return file.with_units(()), answer, deaths

    def _first_fatal_prefix(self, file: FuzzFile) -> int:
        low, high = 0, len(file.units)
        while high - low > 1:
            middle = (low + high) // 2
            if self.run(file.with_units(file.units[:middle])).died:
                high = middle
            else:
                low = middle
        return high


def count_causes(deaths: Sequence[Death]) -> dict[str, int]:
    """Deaths by cause, most frequent first."""
    return dict(collections.Counter(death.cause for death in deaths).most_common())
