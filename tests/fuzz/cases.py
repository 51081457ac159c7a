"""One thing to compare: a mapping file, an accelerator, and what the reference answered."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path

from tests.fuzz.binary import Answer, Row, parse_csv
from tests.fuzz.networks import FuzzFile


@dataclasses.dataclass(frozen=True)
class Case:
    """Texts only. ``hardware`` is "" where the accelerator is given by ``flags`` alone."""

    name: str
    category: str
    mapping: str
    hardware: str
    flags: tuple[tuple[str, int], ...]
    header: Row
    rows: tuple[Row, ...]

    @classmethod
    def of(cls, file: FuzzFile, answer: Answer) -> Case:
        """The case of a file and its answer."""
        hardware = file.hardware
        return cls(
            file.name, file.category, file.text, hardware.text, hardware.flags, answer.header, answer.rows
        )

    @property
    def layer_texts(self) -> list[str]:
        """The block of each layer, in order."""
        return re.split(r"^(?=\s*Layer\s)", self.mapping, flags=re.MULTILINE)[1:]

    @property
    def accelerator(self) -> str:
        """The accelerator in one line, for reports."""
        file = " ".join(self.hardware.split())
        return " ".join([file, *(f"--{flag}={value}" for flag, value in self.flags)]).strip()

    def save(self, folder: Path) -> None:
        """Write NAME.m, NAME.hw.m, NAME.args and NAME.csv, those that there are."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.name}.m").write_text(self.mapping)
        if self.hardware:
            (folder / f"{self.name}.hw.m").write_text(self.hardware)
        if self.flags:
            (folder / f"{self.name}.args").write_text("".join(f"--{f}={v}\n" for f, v in self.flags))
        (folder / f"{self.name}.csv").write_text(
            "".join(",".join(row) + "\n" for row in (self.header, *self.rows))
        )


def load_folder(folder: Path) -> Iterator[Case]:
    """Cases out of NAME.m, NAME.hw.m (or NAME.args) and NAME.csv, by name."""
    for csv in sorted(folder.glob("*.csv")):
        name = csv.stem
        hardware, args = folder / f"{name}.hw.m", folder / f"{name}.args"
        flags = re.findall(r"--(\w+)=(\d+)", args.read_text()) if args.exists() else []
        header, rows = parse_csv(csv.read_text())
        yield Case(
            name=name,
            category=re.sub(r"_\d+$", "", name),
            mapping=(folder / f"{name}.m").read_text(),
            hardware=hardware.read_text() if hardware.exists() else "",
            flags=tuple((flag, int(value)) for flag, value in flags),
            header=header,
            rows=rows,
        )


def to_json(cases: list[Case]) -> str:
    """Cases as JSON, rows as lines of the reference's CSV."""
    found = []
    for case in cases:
        entry = dataclasses.asdict(case) | {"flags": dict(case.flags)}
        found.append(entry | {"header": ",".join(case.header), "rows": [",".join(row) for row in case.rows]})
    return json.dumps(found, indent=0)


def from_json(text: str) -> list[Case]:
    """The inverse of :func:`to_json`."""
    return [
        Case(
            name=entry["name"],
            category=entry["category"],
            mapping=entry["mapping"],
            hardware=entry["hardware"],
            flags=tuple(entry["flags"].items()),
            header=tuple(entry["header"].split(",")),
            rows=tuple(tuple(row.split(",")) for row in entry["rows"]),
        )
        for entry in json.loads(text)
    ]
