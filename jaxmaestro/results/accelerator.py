"""Area and power of an accelerator on the host, in the reference's own order of float64 additions.

The cost function multiplies; the reference adds one PE after the other, so at a tie in the sixth digit
the two differ. Only what is printed needs this.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from jaxmaestro.equations import pricing
from jaxmaestro.results.decimals import Reals, repeated_sum


@dataclasses.dataclass(frozen=True)
class AcceleratorFigures:
    """Area in um^2 and power in mW, float64 [n], one entry a layer (buffers are sized to the layer)."""

    area: Reals
    power: Reals
    pe_power: Reals
    l1_power: Reals
    l2_power: Reals
    noc_power: Reals


def accelerator_figures(
    num_pes: int,
    simd_lanes: int,
    noc_bandwidth: int,
    l1_size: npt.NDArray[np.int64],
    l2_size: npt.NDArray[np.int64],
) -> AcceleratorFigures:
    """Figures for ``num_pes`` PEs with buffers of ``l1_size`` and ``l2_size`` bytes [n]."""
    sizes, where = np.unique(l1_size, return_inverse=True)
    mac_area = pricing.MAC_AREA * float(simd_lanes)
    mac_power = pricing.MAC_POWER * float(simd_lanes)
    l1_cells = np.where(sizes == 0, 1.0, sizes.astype(np.float64))
    l2_cells = np.where(l2_size == 0, 1.0, l2_size.astype(np.float64))
    l1_area, l1_power = pricing.SRAM_AREA * l1_cells, pricing.SRAM_POWER * l1_cells
    l2_area, l2_power = pricing.SRAM_AREA * l2_cells, pricing.SRAM_POWER * l2_cells
    noc_area, noc_power = noc_figures(num_pes, noc_bandwidth)

    per_pe = np.concatenate([[mac_power], l1_power, mac_area + l1_area, mac_power + l1_power])
    pe_power, l1_sum, area_sum, power_sum = np.split(
        repeated_sum(per_pe, num_pes), np.cumsum([1, len(sizes), len(sizes)])
    )
    return AcceleratorFigures(
        area=area_sum[where] + l2_area + noc_area,
        power=power_sum[where] + l2_power + noc_power,
        pe_power=np.broadcast_to(pe_power, where.shape),
        l1_power=l1_sum[where],
        l2_power=l2_power,
        noc_power=np.full(where.shape, noc_power),
    )


def noc_figures(num_pes: int, bandwidth: int) -> tuple[float, float]:
    """Area (um^2) and power (mW) of the bus and the matrix arbiter between ``num_pes`` PEs."""
    n = float(num_pes)
    wires, crossings = pricing.bus_scale(n), pricing.arbiter_scale(n)
    bus_area = pricing.BUS_AREA * wires * bandwidth
    bus_power = pricing.BUS_POWER * wires / 1000 * bandwidth
    arbiter_area = max(pricing.ARBITER_AREA * crossings, pricing.ARBITER_AREA)
    arbiter_power = max(pricing.ARBITER_POWER * crossings / 1000, pricing.ARBITER_POWER)
    return bus_area + arbiter_area, bus_power + arbiter_power
