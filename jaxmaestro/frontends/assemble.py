"""From the operators that a frontend found to a workload: names, repeats, one rule for batches."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence

from jaxmaestro.frontends.describe import Style, describe
from jaxmaestro.frontends.operators import Operator
from jaxmaestro.frontends.workload import Kind, Phase, Unmapped, Workload, WorkloadLayer


@dataclasses.dataclass(frozen=True)
class Found:
    """An operator in a model, before it is described.

    ``count`` is how often it runs. ``unbounded``: it stands in a loop whose number of trips is not
    known, and ``count`` takes one.
    """

    name: str
    operator: Operator
    count: int = 1
    phase: Phase = "forward"
    unbounded: bool = False
    notes: tuple[str, ...] = ()


def assemble(
    name: str,
    found: Iterable[Found],
    unmapped: Iterable[Unmapped] = (),
    *,
    parameters: int | None = None,
    style: Style | None = None,
    notes: Sequence[str] = (),
) -> Workload:
    """A workload from what a frontend found, in the order of the model.

    Operators of no work (a size is 0) are listed with the unmapped operations. Unmapped operations
    of one name and kind are added up. If some convolution of a kind has a batch, all of that kind
    get a dimension N, which MAESTRO asks of a network.

    Raises:
        DescriptionError: for a size beyond 32 bits.
    """
    style = style or Style()
    entries, others, names = list[WorkloadLayer](), list(unmapped), dict[str, int]()
    for each in found:
        if each.operator.macs == 0:
            others.append(
                Unmapped(f"empty {type(each.operator).__name__.lower()}", "other", each.count, 0, 0)
            )
            continue
        described = describe(unique_name(plain_name(each.name), names), each.operator, style)
        entries.append(
            WorkloadLayer(
                described.layer,
                each.count * described.count,
                each.operator.macs // described.count,
                each.operator.effective_macs // described.count,
                each.phase,
                each.unbounded,
                (*each.notes, *described.notes),
            )
        )
    uniform = tuple(_with_batch(entries))
    return Workload(plain_name(name), uniform, tuple(_added(others)), parameters, style, tuple(notes))


def plain_name(name: str) -> str:
    """A name that a model file can hold: no white space and none of the characters that separate there."""
    return re.sub(r"[\s,\-<>():;{}]+", "_", re.sub(r"//+", "/", name)).strip("_/") or "layer"


def unique_name(name: str, names: dict[str, int]) -> str:
    """The name, numbered from the second time on; ``names`` counts them."""
    names[name] = names.get(name, 0) + 1
    if names[name] == 1:
        return name
    return unique_name(f"{name}_{names[name]}", names)


def _with_batch(entries: Sequence[WorkloadLayer]) -> Iterable[WorkloadLayer]:
    batched = {entry.layer.type.tensors for entry in entries if "N" in entry.layer}
    batched = {kind for kind in batched if kind.is_convolution}
    for entry in entries:
        layer = entry.layer
        if layer.type.tensors in batched and "N" not in layer:
            layer = dataclasses.replace(layer, dimensions=(("N", 1), *layer.dimensions))
        yield dataclasses.replace(entry, layer=layer)


def _added(unmapped: Iterable[Unmapped]) -> Iterable[Unmapped]:
    """One entry a name and kind, most operations first."""
    total: dict[tuple[str, Kind], Unmapped] = {}
    for each in unmapped:
        before = total.get((each.name, each.kind), Unmapped(each.name, each.kind, 0, 0, 0))
        total[each.name, each.kind] = Unmapped(
            each.name,
            each.kind,
            before.calls + each.calls,
            before.operations + each.operations,
            before.elements + each.elements,
        )
    return sorted(total.values(), key=lambda each: (-each.operations, -each.elements, each.name))
