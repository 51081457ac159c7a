"""Compare answers field by field as text, and keep the statistics of a run."""

from __future__ import annotations

import collections
import dataclasses

from tests.fuzz.binary import Death, Row
from tests.fuzz.cases import Case
from tests.fuzz.ours import evaluate

FROM_THE_ROW_BEFORE = {
    " Activity count-based Energy (nJ)",
    " Throughput Per Energy (GMACs/s*J)",
    " Ops/J",
}
"""Columns that depend on the layer before in the same file."""


@dataclasses.dataclass
class Example:
    """A difference to look at."""

    title: str
    layer: str
    accelerator: str
    fields: list[tuple[str, str, str]]

    def __str__(self) -> str:
        fields = [f"    {name}: theirs {theirs!r}, ours {ours!r}" for name, theirs, ours in self.fields[:12]]
        more = [f"    ... {len(self.fields) - 12} more"] if len(self.fields) > 12 else []
        return "\n".join([f"{self.title} ({self.accelerator})", *fields, *more, self.layer.rstrip()])


@dataclasses.dataclass
class Report:
    """Counts over all cases; ``differences`` decides the exit status.

    A row that differs where our own flags say that the reference overflows or reads
    uninitialised memory is counted in ``excused`` (``strict``: as a difference too).
    """

    limit: int = 10
    strict: bool = False
    rows: int = 0
    not_finite: int = 0
    sound: int = 0
    valid: int = 0
    fields: int = 0
    refused: int = 0
    by_column: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    by_category: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    refusals: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    excused: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    deaths: collections.Counter[tuple[str, str]] = dataclasses.field(default_factory=collections.Counter)
    examples: list[Example] = dataclasses.field(default_factory=list)
    unflagged: list[Example] = dataclasses.field(default_factory=list)

    @property
    def differences(self) -> int:
        """Fields that differ and layers that we refuse."""
        return sum(self.by_column.values()) + self.refused

    def count_reference(self, case: Case) -> None:
        """Statistics of the reference's figures alone."""
        self.rows += len(case.rows)
        self.not_finite += sum(_not_finite(row) for row in case.rows)

    def compare(self, case: Case) -> None:
        """Evaluate a case and count what differs."""
        self.count_reference(case)
        ours = evaluate(case)
        if ours.refusal:
            self._find_refused(case, ours.refusal)
            return
        if ours.header != case.header:
            self._add(case, -1, "header", _differing(case.header, case.header, ours.header))
        if len(ours.rows) != len(case.rows):
            self._add(case, -1, "number of rows", [("rows", str(len(case.rows)), str(len(ours.rows)))])
            return
        self.sound += sum(ours.sound)
        self.valid += sum(ours.valid)
        for index, (theirs, mine) in enumerate(zip(case.rows, ours.rows, strict=True)):
            self.fields += len(theirs)
            if theirs == mine:
                continue
            fields = _differing(case.header, theirs, mine)
            excuse = ours.excuse(index)
            if (
                not excuse
                and index
                and ours.excuse(index - 1)
                and {n for n, _, _ in fields} <= FROM_THE_ROW_BEFORE
            ):
                excuse = "energy after such a row"
            if excuse:
                self.excused[excuse] += 1
            if self.strict or not excuse:
                self._add(case, index, f"flags {ours.why(index)}", fields)

    def death(self, death: Death) -> None:
        """What we say of a layer that the reference dies of."""
        case = Case(
            death.file.name,
            death.file.category,
            death.file.text,
            death.file.hardware.text,
            death.file.hardware.flags,
            (),
            (),
        )
        ours = evaluate(case)
        said = "refused" if ours.refusal else ours.verdict(-1)
        if said == "NOT FLAGGED" and len(self.unflagged) < self.limit:
            title = f"{case.name}: {death.cause}"
            self.unflagged.append(Example(title, case.layer_texts[-1], case.accelerator, []))
        self.deaths[death.cause, said] += 1

    def _find_refused(self, case: Case, message: str) -> None:
        """One layer of a file refused: find which, by giving each alone."""
        found = 0
        head = case.mapping[: case.mapping.index(case.layer_texts[0])]
        for index, layer in enumerate(case.layer_texts):
            text = head + layer.rstrip().removesuffix("}" if index == len(case.rows) - 1 else "") + "\n}\n"
            alone = evaluate(dataclasses.replace(case, mapping=text))
            if alone.refusal:
                found += 1
                self.refusals[alone.refusal.split(": ", 2)[-1][:100]] += 1
                self._example(case, index, f"we refuse: {alone.refusal}", [])
        self.refused += max(found, 1)
        self.by_category[case.category] += 1
        if not found:
            self.refusals[message[:160]] += 1

    def _add(self, case: Case, index: int, what: str, fields: list[tuple[str, str, str]]) -> None:
        self.by_column.update(name for name, _, _ in fields)
        self.by_category[case.category] += 1
        self._example(case, index, what, fields)

    def _example(self, case: Case, index: int, what: str, fields: list[tuple[str, str, str]]) -> None:
        if len(self.examples) < self.limit:
            layer = case.layer_texts[index] if index >= 0 else ""
            self.examples.append(Example(f"{case.name} row {index}: {what}", layer, case.accelerator, fields))

    def __str__(self) -> str:
        lines = [
            f"{self.rows:,} rows that the reference evaluates, {self.not_finite:,} of them with nan or inf",
            f"{self.fields:,} fields compared; {self.sound:,} rows sound, {self.valid:,} valid by our flags",
            f"{self.differences:,} differences ({self.refused:,} layers that we refuse)",
        ]
        lines += [f"  {count:8,} {name.strip()}" for name, count in self.by_column.most_common()]
        if self.by_category:
            lines.append("rows or files with differences, by category:")
            lines += [f"  {count:8,} {name}" for name, count in self.by_category.most_common()]
        lines += [f"  {count:8,} refused: {message}" for message, count in self.refusals.most_common()]
        if self.excused:
            lines.append("rows that differ where, by our flags, the reference's own figures mean nothing:")
            lines += [f"  {count:8,} {excuse}" for excuse, count in self.excused.most_common()]
        if self.deaths:
            lines.append("layers that the reference dies of, and what we say of them:")
            lines += [f"  {count:8,} {cause} -> {said}" for (cause, said), count in self.deaths.most_common()]
        for title, examples in (("differences", self.examples), ("not flagged", self.unflagged)):
            lines += [f"\nfirst {title}:", *map(str, examples)] if examples else []
        return "\n".join(lines)


def _not_finite(row: Row) -> bool:
    return any(field.strip().lstrip("-") in ("nan", "inf") for field in row)


def _differing(header: Row, theirs: Row, ours: Row) -> list[tuple[str, str, str]]:
    """Name and both texts of each field that differs; a missing field is ''."""
    width = max(len(header), len(theirs), len(ours))
    names, left, right = ((*row, *[""] * (width - len(row))) for row in (header, theirs, ours))
    return [
        (n or f"column {i}", a, b)
        for i, (n, a, b) in enumerate(zip(names, left, right, strict=True))
        if a != b
    ]
