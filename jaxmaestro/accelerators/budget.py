"""What an accelerator may cost: models of area and power, and budgets of them.

Both models are linear in the bytes of all buffers, ``num_pes * l1_size + l2_size``. So a budget leaves
the PEs and NoC of an accelerator a number of bytes, to be shared out between L1 and L2.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

from jaxmaestro.description import DescriptionError, Hardware
from jaxmaestro.equations import pricing
from jaxmaestro.results.accelerator import noc_figures

PE_AREA = 282.0
"""um^2 of a PE without its L1 (DiGamma: Kao et al., DATE 2022)."""
BYTE_AREA = 0.086 * 8
"""um^2 of a byte of either buffer (DiGamma: 0.086 um^2 a bit)."""


def digamma_area(hardware: Hardware) -> float:
    """um^2: PEs (each lane as one) and buffers; the NoC is free."""
    return PE_AREA * hardware.num_pes * hardware.simd_lanes + BYTE_AREA * buffer_bytes(hardware)


def reference_area(hardware: Hardware) -> float:
    """um^2 as the cost model prices an accelerator of these buffers: PEs, L1s, L2, bus and arbiter."""
    pes, lanes = hardware.num_pes, hardware.simd_lanes
    noc, _ = noc_figures(pes, hardware.noc_bandwidths[0])
    cells = pes * max(hardware.l1_size, 1) + max(hardware.l2_size, 1)
    return pricing.MAC_AREA * pes * lanes + pricing.SRAM_AREA * cells + noc


def reference_power(hardware: Hardware) -> float:
    """mW as the cost model prices an accelerator of these buffers."""
    pes, lanes = hardware.num_pes, hardware.simd_lanes
    _, noc = noc_figures(pes, hardware.noc_bandwidths[0])
    cells = pes * max(hardware.l1_size, 1) + max(hardware.l2_size, 1)
    return pricing.MAC_POWER * pes * lanes + pricing.SRAM_POWER * cells + noc


def buffer_bytes(hardware: Hardware) -> int:
    """Bytes of all L1s and the L2."""
    return hardware.num_pes * hardware.l1_size + hardware.l2_size


AREA_MODELS: dict[str, Callable[[Hardware], float]] = {
    "digamma": digamma_area,
    "reference": reference_area,
}
"""um^2 of an accelerator, by the name of the model."""

_SLOPES = {"digamma": BYTE_AREA, "reference": pricing.SRAM_AREA}


@dataclasses.dataclass(frozen=True)
class Budget:
    """At most ``area`` mm^2 by an area model and ``power`` mW by the reference's; None: no limit.

    Raises DescriptionError for no limit at all, one that is not positive, or an unknown model.
    """

    area: float | None = None
    power: float | None = None
    model: str = "digamma"
    name: str = dataclasses.field(default="", compare=False)

    def __post_init__(self) -> None:
        if self.model not in AREA_MODELS:
            raise DescriptionError(
                f"there is no area model {self.model!r}", fix=f"give {' or '.join(AREA_MODELS)}"
            )
        for what, limit in (("area", self.area), ("power", self.power)):
            if limit is not None and not 0 < limit < math.inf:
                raise DescriptionError(f"the {what} budget is {limit}", fix="give a positive number")
        if self.area is None and self.power is None:
            raise DescriptionError("a budget without limits", fix="give an area, a power or both")

    def area_of(self, hardware: Hardware) -> float:
        """mm^2 by the budget's model."""
        return AREA_MODELS[self.model](hardware) / 1e6

    def keeps(self, hardware: Hardware) -> bool:
        """Whether the accelerator is within every limit."""
        area = self.area is None or self.area_of(hardware) <= self.area
        return area and (self.power is None or reference_power(hardware) <= self.power)

    def cost_of(self, hardware: Hardware) -> str:
        """What of the limited resources the accelerator takes, in words."""
        parts = [] if self.area is None else [f"{self.area_of(hardware):.6g} mm^2"]
        return " and ".join(parts + ([] if self.power is None else [f"{reference_power(hardware):.6g} mW"]))

    def memory(self, point: Hardware) -> int:
        """Bytes that the limits leave ``num_pes * l1_size + l2_size`` of this accelerator; below 0: none.

        The sizes that the accelerator has do not count.
        """
        bare = point.replace(l1_size=1, l2_size=1)
        first = buffer_bytes(bare)
        room = []
        if self.area is not None:
            room.append((self.area * 1e6 - AREA_MODELS[self.model](bare)) / _SLOPES[self.model])
        if self.power is not None:
            room.append((self.power - reference_power(bare)) / pricing.SRAM_POWER)
        left = first + math.floor(min(room))
        if left < first:
            return -1
        # Rounding may be off by a byte; all bytes in L2 cost as much as anywhere else.
        while left >= first and not self.keeps(point.replace(l1_size=1, l2_size=left - point.num_pes)):
            left -= 1
        return left

    def __str__(self) -> str:
        parts = [] if self.area is None else [f"{self.area:g} mm^2 ({self.model})"]
        return " and ".join(parts + ([] if self.power is None else [f"{self.power:g} mW"]))


EDGE, CLOUD = Budget(area=0.2, name="edge"), Budget(area=7.0, name="cloud")
"""The budgets of DiGamma."""
