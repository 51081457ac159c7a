"""What workloads of different frontends have in common: their layers without names and order."""

from __future__ import annotations

from collections import Counter

from jaxmaestro.frontends.workload import Phase, Workload


def layers_of(workload: Workload, phase: Phase | None = None) -> Counter[object]:
    """Shapes, types and strides of all layers (or of one phase) with how often they run."""
    found = Counter[object]()
    for entry in workload.entries:
        if phase in (None, entry.phase):
            layer = entry.layer
            sizes = tuple(pair for pair in layer.dimensions if pair != ("N", 1) or layer.type.value == "GEMM")
            found[layer.type, sizes, layer.strides] += entry.count
    return found
