"""A model as the cost model takes it: layers in order with how often each runs, and what is no layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from jaxmaestro.description import Dataflow, Layer, MappedLayer, Network
from jaxmaestro.frontends.describe import Style

Phase = Literal["forward", "recomputed", "backward"]
"""Inference; forward work that a checkpoint does again in the backward pass; gradients."""

Kind = Literal["elementwise", "reduction", "movement", "communication", "other"]
"""What an operation without layer does. ``other``: its count is an estimate, or unknown."""


@dataclasses.dataclass(frozen=True)
class Unmapped:
    """Operations of one kind that are no layer.

    ``calls``: how often they run. ``operations``: arithmetic (or comparing) operations in all.
    ``elements``: elements that they write in all.
    """

    name: str
    kind: Kind
    calls: int
    operations: int
    elements: int


@dataclasses.dataclass(frozen=True)
class WorkloadLayer:
    """A layer and where it comes from.

    ``count`` is how often it runs (batched products, heads, trips of a loop). ``macs`` and
    ``effective_macs`` are those of the model for one run, with and without padding; the layer as it
    is described may have others (:attr:`Layer.macs`). ``unbounded``: it stands in a loop whose number
    of trips is not known, and ``count`` takes one.
    """

    layer: Layer
    count: int
    macs: int
    effective_macs: int
    phase: Phase = "forward"
    unbounded: bool = False
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Workload:
    """What a frontend has read from a model.

    ``entries`` are in the order of the model. ``parameters`` is how many numbers the model's
    parameters are, None where the frontend was not told which inputs are parameters.
    """

    name: str
    entries: tuple[WorkloadLayer, ...]
    unmapped: tuple[Unmapped, ...] = ()
    parameters: int | None = None
    style: Style = dataclasses.field(default_factory=Style)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def layers(self) -> list[Layer]:
        """The layers in order, each once however often it runs; names are unique."""
        return [entry.layer for entry in self.entries]

    @property
    def counts(self) -> np.ndarray:
        """How often each of :attr:`layers` runs, int64 ``[layers]``."""
        return np.array([entry.count for entry in self.entries], np.int64)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the model, those with padding included."""
        return sum(entry.macs * entry.count for entry in self.entries)

    @property
    def effective_macs(self) -> int:
        """Multiply-accumulates without those of padding and of zeros between inputs."""
        return sum(entry.effective_macs * entry.count for entry in self.entries)

    @property
    def layer_macs(self) -> int:
        """Multiply-accumulates of the layers as they are described; ``macs`` with exact padding."""
        return sum(entry.layer.macs * entry.count for entry in self.entries)

    @property
    def operations(self) -> int:
        """Operations that are no part of a layer."""
        return sum(each.operations for each in self.unmapped)

    def network(self, dataflow: Dataflow | Callable[[Layer], Dataflow] | None = None) -> Network:
        """The layers as a network, each once (see :attr:`counts`).

        Args:
            dataflow: one for all layers, a function that gives one for each, or None (a model).
        """
        mapped = (
            MappedLayer(layer, dataflow(layer) if callable(dataflow) else dataflow) for layer in self.layers
        )
        return Network(self.name, tuple(mapped))

    def unique(self) -> Workload:
        """Each shape once, under the name of its first layer, with the counts added up."""
        found: dict[WorkloadLayer, WorkloadLayer] = {}
        for entry in self.entries:
            # Layers of one description may have different MACs where padding is left out of it.
            key = dataclasses.replace(entry, layer=dataclasses.replace(entry.layer, name=""), count=0)
            first = found.get(key)
            count = entry.count + (first.count if first else 0)
            found[key] = dataclasses.replace(first or entry, count=count)
        return dataclasses.replace(self, entries=tuple(found.values()))

    def report(self) -> str:
        """Everything as text: totals, one line a layer, one a kind of operation, notes."""
        lines = [*_head(self), "", *_layers(self.entries), "", *_unmapped(self)]
        notes = _notes(self)
        return "\n".join([*lines, *(["", "notes", *(f"  {note}" for note in notes)] if notes else [])])


def _head(workload: Workload) -> list[str]:
    runs = sum(entry.count for entry in workload.entries)
    known = "" if workload.parameters is None else f", {workload.parameters:,} parameters"
    lines = [
        f"workload {workload.name}: {len(workload)} layers ({runs:,} runs), {workload.macs:,} MACs{known}",
        f"  without padding: {workload.effective_macs:,} MACs",
    ]
    if workload.layer_macs != workload.macs:
        lines.append(
            f"  as described (padding={workload.style.padding}): {workload.layer_macs:,} MACs; "
            f'padding="exact" keeps all'
        )
    for phase in ("forward", "recomputed", "backward"):
        macs = sum(e.macs * e.count for e in workload.entries if e.phase == phase)
        if macs and macs != workload.macs:
            lines.append(f"  {phase}: {macs:,} MACs")
    return lines


def _layers(entries: Sequence[WorkloadLayer]) -> list[str]:
    if not entries:
        return ["layers: none"]
    rows: list[tuple[str, ...]] = [("layer", "type", "sizes", "stride", "runs", "MACs a run")]
    for entry in entries:
        sizes = " ".join(f"{name}{size}" for name, size in entry.layer.dimensions)
        strides = "/".join(str(stride) for _, stride in entry.layer.strides)
        runs = f"{entry.count:,}" + ("+" if entry.unbounded else "")
        rows.append((entry.layer.name, entry.layer.type.value, sizes, strides, runs, f"{entry.macs:,}"))
    return _table(rows, right=2)


def _unmapped(workload: Workload) -> list[str]:
    if not workload.unmapped:
        return ["no other operations"]
    rows: list[tuple[str, ...]] = [("other operations", "kind", "calls", "operations", "elements")]
    for each in workload.unmapped:
        numbers = (f"{each.calls:,}", f"{each.operations:,}", f"{each.elements:,}")
        rows.append((each.name, each.kind, *numbers))
    calls, elements = (
        sum(getattr(each, field) for each in workload.unmapped) for field in ("calls", "elements")
    )
    rows.append(("all", "", f"{calls:,}", f"{workload.operations:,}", f"{elements:,}"))
    return _table(rows, right=3)


def _notes(workload: Workload) -> list[str]:
    by_note: dict[str, list[str]] = {}
    for entry in workload.entries:
        for note in entry.notes:
            by_note.setdefault(note, []).append(entry.layer.name)
        if entry.unbounded:
            by_note.setdefault("counted once a loop, whose trips are not known", []).append(entry.layer.name)
    layers = [f"{', '.join(names)}: {note}" for note, names in by_note.items()]
    guesses = ", ".join(each.name for each in workload.unmapped if each.kind == "other")
    estimate = "an estimate, one operation an element or the leading order of a solver"
    return [*workload.notes, *layers, *([f"{guesses}: {estimate}"] if guesses else [])]


def _table(rows: Sequence[tuple[str, ...]], right: int) -> list[str]:
    """Rows in columns; the last ``right`` columns are flush right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    left = len(widths) - right
    return [
        "  ".join(
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
