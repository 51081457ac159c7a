"""Accelerators to choose from: PEs, bandwidths and buffer sizes, within a budget."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

from jaxmaestro.accelerators.budget import Budget, buffer_bytes, reference_power
from jaxmaestro.description import DescriptionError, Hardware

SMALLEST = 6
"""Bytes: one element of each tensor, double buffered."""


@dataclasses.dataclass(frozen=True)
class DesignSpace:
    """Every combination of PEs, NoC and off-chip bandwidth (elements a cycle); the rest is fixed.

    Buffers (bytes) are one of ``l1_sizes`` and ``l2_sizes``, or, where none are given, as large as
    the mappings need.

    Raises DescriptionError for a list without values where one is needed, or values below 1.
    """

    num_pes: tuple[int, ...]
    noc_bandwidth: tuple[int, ...]
    offchip_bandwidth: tuple[int, ...]
    l1_sizes: tuple[int, ...] = ()
    l2_sizes: tuple[int, ...] = ()
    noc_hops: int = 1
    hop_latency: int = 1
    simd_lanes: int = 1

    def __post_init__(self) -> None:
        for field in ("num_pes", "noc_bandwidth", "offchip_bandwidth", "l1_sizes", "l2_sizes"):
            values = getattr(self, field)
            if any(value < 1 for value in values) or (not values and field not in ("l1_sizes", "l2_sizes")):
                raise DescriptionError(
                    f"{field} of the accelerators is {list(values)}", fix="give values of 1 or more"
                )
            object.__setattr__(self, field, tuple(sorted(set(values))))

    def points(self, budget: Budget) -> tuple[Hardware, ...]:
        """Accelerators without buffers (sizes 0) for which the budget leaves room for some.

        Raises DescriptionError where there is none.
        """
        every = [
            Hardware(pes, 0, 0, noc, self.noc_hops, self.hop_latency, off, self.simd_lanes)
            for pes, noc, off in itertools.product(self.num_pes, self.noc_bandwidth, self.offchip_bandwidth)
        ]
        found = tuple(point for point in every if budget.memory(point) >= buffer_bytes(self.least(point)))
        if not found:
            least = [self.least(point) for point in every]
            price = budget.area_of if budget.area is not None else reference_power
            smallest = min(least, key=price)
            raise DescriptionError(
                f"no accelerator of the space is within the budget of {budget}: the smallest, "
                f"{smallest.num_pes} PEs, takes {budget.cost_of(smallest)}",
                fix="give a larger budget or fewer PEs",
            )
        return found

    def least(self, point: Hardware) -> Hardware:
        """The point with the smallest buffers of the space."""
        return point.replace(
            l1_size=min(self.l1_sizes, default=SMALLEST), l2_size=min(self.l2_sizes, default=SMALLEST)
        )

    def largest_l2(self, most: np.ndarray) -> np.ndarray:
        """The largest L2 of at most ``most [n]`` bytes; negative: none."""
        if not self.l2_sizes:
            return most
        sizes = np.array((-1, *self.l2_sizes))
        return sizes[np.searchsorted(sizes, most, side="right").clip(1) - 1]

    def sized(self, point: Hardware, l1: int, l2: int) -> Hardware:
        """The point with buffers that hold so many bytes."""
        l1 = min((size for size in self.l1_sizes if size >= l1), default=l1)
        l2 = min((size for size in self.l2_sizes if size >= l2), default=l2)
        return point.replace(l1_size=l1, l2_size=l2)
