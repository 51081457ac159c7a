"""Workloads: which distinct layers a set of architectures has, and how often each has them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from jaxmaestro.description import DescriptionError, Layer
from jaxmaestro.description.fields import items, replace_field


@dataclasses.dataclass(frozen=True, eq=False)
class Workloads:
    """n architectures as multisets of u layer shapes.

    A cost that is summed over the layers of an architecture (runtime, energy, MACs) is
    ``counts @ cost of the shapes``, so each shape is evaluated once however many
    architectures have it. The order of an architecture's layers is not kept.
    """

    layers: tuple[Layer, ...]  # [u], no two alike
    counts: np.ndarray  # [n, u] int32, how often architecture i has layer j

    def __post_init__(self) -> None:
        """Raises DescriptionError for what is no layer and counts that are no whole numbers ``[n, u]``."""
        layers = items(self.layers, "layers of Workloads", fix="give Layer objects")
        for index, layer in enumerate(layers):
            if not isinstance(layer, Layer):
                raise DescriptionError(
                    f"layer {index} of Workloads is {layer!r}, which is no Layer", fix="give Layer objects"
                )
        counts = np.asarray(self.counts)
        if counts.ndim != 2 or counts.shape[1] != len(layers):
            raise DescriptionError(
                f"counts of Workloads have shape {counts.shape}",
                fix=f"give [n, {len(layers)}], a column a layer",
            )
        if counts.dtype.kind not in "iu" or (counts.size and counts.min() < 0):
            raise DescriptionError("counts of Workloads are no counts", fix="give whole numbers of 0 or more")
        replace_field(self, "layers", layers)
        replace_field(self, "counts", counts.astype(np.int32, copy=False))

    def __len__(self) -> int:
        """How many architectures there are."""
        return len(self.counts)

    @property
    def occurrences(self) -> int:
        """Layers of all architectures, repeats counted."""
        return int(self.counts.sum(dtype=np.int64))

    def select(self, rows: Any) -> Workloads:
        """The architectures ``rows`` (numbers, bool ``[n]`` or a slice), in that order, on the same layers.

        Raises IndexError for a number that is not there.
        """
        return Workloads(self.layers, self.counts[rows if isinstance(rows, slice) else np.asarray(rows)])

    def unique_used(self) -> Workloads:
        """The same architectures without the layers that none of them has."""
        used = np.flatnonzero(self.counts.any(0))
        return Workloads(tuple(self.layers[i] for i in used), self.counts[:, used])
