"""What the reference prints on the screen: every layer's analysis, buffer and bandwidth warnings.

Wording and line layout are the reference's, so that programs that read its output can read ours.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from jaxmaestro.equations import pricing
from jaxmaestro.equations.costs import TENSORS, Costs
from jaxmaestro.results import decimals
from jaxmaestro.results.csv import arithmetic_intensity, average_bandwidth, counts, ratio
from jaxmaestro.results.network import NetworkCosts


def screen_text(network_costs: NetworkCosts) -> str:
    """The analysis of every layer, then the buffer analysis of the network (``--print_res=true``)."""
    c = network_costs.costs
    bandwidths = average_bandwidth(c)
    intensities = decimals.shortest(arithmetic_intensity(c))
    layers = [_layer(c[i], bandwidths[i], intensities[i]) for i in range(len(network_costs))]
    return "".join(layers) + buffer_analysis(network_costs)


def buffer_analysis(network_costs: NetworkCosts) -> str:
    """Warnings where a layer needs more L1 or L2 than there is, and what all layers need together."""
    hardware = network_costs.hardware
    l1 = counts(network_costs.costs.l1_sizes).sum(-1)
    l2 = counts(network_costs.costs.l2_sizes).sum(-1)
    warnings = _warnings(
        "Buffer",
        "size",
        ("L1", int(l1.max(initial=0)), hardware.l1_size),
        ("L2", int(l2.max(initial=0)), hardware.l2_size),
    )
    return (
        "Buffer Analysis:\n"
        + warnings
        + "[Model-wise Buffer Summary]\n"
        + f"Model-wise total L2 size usage: {l2.sum()}\n"
        + f"Model-wise total L1 size usage: {l1.sum()}\n"
    )


def bandwidth_analysis(network_costs: NetworkCosts) -> str:
    """Warnings where a layer asks for more NoC or off-chip bandwidth than there is (with every CSV)."""
    hardware, c = network_costs.hardware, network_costs.costs
    return "BW Analysis:\n" + _warnings(
        "BW",
        "BW",
        ("NoC", int(counts(c.noc_bandwidth_peak).max(initial=0)), hardware.noc_bandwidths[0]),
        ("OffChip", int(counts(c.offchip_bandwidth).max(initial=0)), hardware.offchip_bandwidth),
    )


def _warnings(kind: str, what: str, *requirements: tuple[str, int, int]) -> str:
    """A line for each (name, need, limit) that is exceeded, or that all pass."""
    lines = [
        f"[WARNING:{kind}] Per-layer {name} {what} requirement [{need}] "
        f"is larger than the given {name} {what} [{limit}]\n"
        for name, need, limit in requirements
        if need > limit
    ]
    return "".join(lines) or "[PASS]\n"


def _layer(c: Costs, bandwidth: str, intensity: str) -> str:
    """The block of one layer (``c`` has no layer axis), two empty lines first."""
    macs, runtime = int(c.num_macs), int(c.runtime)
    reads, writes = counts(c.l1_reads), counts(c.l1_writes)
    throughput = ratio(counts(c.num_macs), counts(c.runtime))
    energies = _Energies(c)
    lines = [
        "",
        "",
        f"Num MACs: {macs}",
        "",
        "[Performance Analysis]",
        f"Runtime: {runtime} cycles",
        f"Throughput: {_text(throughput)} MACs/cycle",
        "[Buffer Access Analysis]",
    ]
    for t, tensor in enumerate(TENSORS):
        lines += [
            f"Tensor {tensor}",
            f"L2 size requirement: {int(c.l2_sizes[t])}",
            f"L1 size requirement: {int(c.l1_sizes[t])}",
            f"L2 buffer write: {int(c.l2_writes[t])}",
            f"L2 buffer read: {int(c.l2_reads[t])}",
            f"L1 buffer write: {writes[t]}",
            f"L1 buffer read: {reads[t]}",
            f"Data reuse factor: {_text(ratio(reads[t], writes[t]))}",
        ]
    lines += [
        f"Overall data reuse factor: {_text(ratio(reads.sum(), writes.sum()))}",
        "[Energy Analysis]",
        "-For each data class",
    ]
    for t, tensor in enumerate(TENSORS):
        lines += [f"Tensor {tensor}"]
        lines += [
            f"{name} energy: {_text(energies.by_tensor[name][t])} X MAC energy" for name in energies.by_tensor
        ]
    lines += [
        "",
        "[Summary]",
        f"Total L2 buffer requirement: {counts(c.l2_sizes).sum()}",
        f"Total L1 buffer requirement: {counts(c.l1_sizes).sum()}",
        *(f"Total {name} energy: {energies.text(name)} X MAC energy" for name in energies.by_tensor),
        f"Total MAC energy: {macs} X MAC energy",
        f"Peak bandwidth requirement: {int(c.noc_bandwidth_peak)}",
        f"Avg bandwidth requirement: {bandwidth}",
        "",
        f"Total energy consumption: {decimals.shortest_fraction(energies.total)} X MAC energy",
        f"Runtime: {runtime} cycles",
        f"Throughput: {_text(throughput)} MACs/cycle",
        f"Performance per MAC energy: {energies.performance(float(throughput))} MACs/cycle/(MAC_energy)",
    ]
    for name, delay in (
        ("Ingress", c.ingress_delay),
        ("Egress", c.egress_delay),
        ("Computation", c.compute_delay),
    ):
        lines.append(f"{name} Delay")
        lines += [
            f"{which}: {value}" for which, value in zip(("Min", "Max", "Avg"), counts(delay), strict=True)
        ]
    lines += [
        f"Average number of utilized PEs: {_text(c.average_active_pes)}",
        f"Arithmetic intensity: {intensity}",
    ]
    return "\n".join(lines) + "\n"


class _Energies:
    """Buffer energies of one layer in MAC energies, summed in ``long double`` as the screen shows them."""

    def __init__(self, c: Costs) -> None:
        self.by_tensor = {
            "L2 buffer write": counts(c.l2_writes).astype(np.float64) * pricing.L2_ENERGY,
            "L2 buffer read": counts(c.l2_reads).astype(np.float64) * pricing.L2_ENERGY,
            "L1 buffer write": counts(c.l1_writes).astype(np.float64) * pricing.L1_ENERGY,
            "L1 buffer read": counts(c.l1_reads).astype(np.float64) * pricing.L1_ENERGY,
        }
        self.sums = {name: decimals.total(terms.tolist()) for name, terms in self.by_tensor.items()}
        self.total = decimals.total([*self.sums.values(), int(c.num_macs)])

    def text(self, name: str) -> str:
        """Sum over the tensors, as printed."""
        return decimals.shortest_fraction(self.sums[name])

    def performance(self, throughput: float) -> str:
        """``throughput`` over the total energy, as printed."""
        if self.total == 0 or throughput == 0 or not math.isfinite(throughput):
            with np.errstate(divide="ignore", invalid="ignore"):
                return _text(np.float64(throughput) / np.float64(self.total))
        return decimals.shortest_fraction(decimals.quotient(Fraction(throughput), self.total))


def _text(value: object) -> str:
    return decimals.shortest(np.atleast_1d(np.asarray(value, np.float64)))[0]
