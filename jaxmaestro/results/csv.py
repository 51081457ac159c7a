"""The reference's CSV, byte for byte, written on the host from the counts in :class:`Costs`.

Printed ratios are recomputed with NumPy from the integers, in the reference's own order and precision,
because six significant digits can hang on the last bit (see ``decimals.py``).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from jaxmaestro.encoding.slots import FILTER, INPUT, OUTPUT
from jaxmaestro.equations import pricing
from jaxmaestro.equations.costs import TENSORS, Costs
from jaxmaestro.results import decimals
from jaxmaestro.results.accelerator import accelerator_figures
from jaxmaestro.results.decimals import Reals
from jaxmaestro.results.network import NetworkCosts

Counts = npt.NDArray[np.int64]

MIN, MAX, AVERAGE = range(3)

# Clients look columns up by these names, so the odd spaces and the two "Compute Delay (Min)" stay.
HEADER = (
    "Neural Network Name, Layer Number, NumPEs, Runtime (Cycles), Activity count-based Energy (nJ), "
    "Throughput (MACs/Cycle), Throughput Per Energy (GMACs/s*J), Area, Power, "
    "NoC BW Req (Elements/cycle), Avg BW Req, Peak BW Req, Vector Width, "
    "Offchip BW Req (Elements/cycle),  L2 SRAM Size Req (Bytes), L1 SRAM Size Req (Bytes), "
    "Multicasting Factor (Weight), Multicasting Factor (Input), "
    "Num Total Input Pixels, Num Total Weight Pixels, Ops/J, Num MACs, "
    "PE power, L1 power, L2 power, NOC power, "
    + "".join(
        f"{name} l1 read, {name} l1 write, {name} l2 read, {name} l2 write, {name} reuse factor,"
        for name in TENSORS
    )
    + "Ingress Delay (Min), Ingress Delay (Max), Ingress Delay (Avg), "
    "Egress Delay (Min), Egress Delay (Max),  Egress Delay (Avg),"
    "Compute Delay (Min), Compute Delay (Min), Compute Delay (Avg),"
    "Avg number of utilized PEs, Arithmetic Intensity\n"
)

# What stands before each of the 52 fields of a row
_SEPARATORS = ("", *(",",) * 26, *(", ",) * 25)


def write_csv(network_costs: NetworkCosts, path: str | os.PathLike[str], append: bool = True) -> None:
    """Write the costs of a network as the reference does.

    A file that exists is appended to (no second header) unless ``append`` is False. Raises ``OSError``
    when the file cannot be written.
    """
    file = Path(path)
    new = not (append and file.exists())
    with file.open("w" if new else "a", encoding="utf-8", errors="surrogateescape", newline="") as out:
        out.write((HEADER if new else "") + "".join(csv_rows(network_costs)))


def csv_rows(network_costs: NetworkCosts) -> list[str]:
    """One line a layer, with its newline."""
    columns = _columns(network_costs)
    spaced = [
        column if separator == "" else [separator + text for text in column]
        for separator, column in zip(_SEPARATORS, columns, strict=True)
    ]
    return ["".join(row) + "\n" for row in zip(*spaced, strict=True)]


def maestro_energy(network_costs: NetworkCosts) -> Reals:
    """The energy that the reference's CSV states, nJ, float64 [n layers].

    For a layer analysed in more than one cluster level it adds, instead of the layer's own L1 accesses,
    those of the layer before in the same network (none for the first): its counters outlive the loop over
    the layers. ``Costs.energy`` is each layer's own.
    """
    c = network_costs.costs
    own, l2 = _l1_terms(c), _l2_terms(c)
    before = np.concatenate([np.zeros((1, 6)), own])[: len(own)]
    # The order of the additions is the reference's too: a single level adds L2 first.
    several = _accumulated((before, pricing.L1_ENERGY), (l2, pricing.L2_ENERGY))
    single = _accumulated((l2, pricing.L2_ENERGY), (own, pricing.L1_ENERGY))
    energy: Reals = np.where(np.asarray(c.levels_reached, bool), several, single) * pricing.MAC_ENERGY
    return energy


def l1_bytes(costs: Costs) -> Counts:
    """L1 requirement as printed: the sum wrapped to 32 bits, as the reference's ``int`` holds it."""
    return _wrapped(counts(costs.l1_sizes).sum(-1))


def l2_bytes(costs: Costs) -> Counts:
    """L2 requirement as printed, wrapped to 32 bits."""
    return _wrapped(counts(costs.l2_sizes).sum(-1))


def average_bandwidth(costs: Costs) -> list[str]:
    """Average NoC bandwidth as printed: divided in ``long double``, kept as ``double``."""
    summed, iterations = counts(costs.noc_bandwidth_sum), counts(costs.iterations)
    return decimals.shortest_extended(
        ratio(summed, iterations),
        lambda i: decimals.rounded(decimals.quotient(int(summed[i]), int(iterations[i])), decimals.DOUBLE),
    )


def arithmetic_intensity(costs: Costs) -> Reals:
    """MACs over ingress elements of the last iteration case, 0 where every case was skipped."""
    value = ratio(counts(costs.intensity_macs), counts(costs.intensity_traffic))
    return np.where(counts(costs.iterations) == 0, 0.0, value)


def counts(field: Any) -> Counts:
    """A field as int64 on the host (float32 mode prints as integers too)."""
    return np.asarray(field).astype(np.int64)


def ratio(numerator: Counts, denominator: Counts) -> Reals:
    """float64 quotient of counts, with inf and NaN for a zero denominator."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return numerator.astype(np.float64) / denominator.astype(np.float64)


def _accumulated(*groups: tuple[Reals, float]) -> Reals:
    """Accesses [n, k] times energy, added in float64 one after the other."""
    total = np.zeros(len(groups[0][0]))
    for terms, energy in groups:
        for term in terms.T:
            total += term * energy
    return total


def _wrapped(sizes: Counts) -> Counts:
    return sizes.astype(np.int32).astype(np.int64)


def _l1_terms(c: Costs) -> Reals:
    reads, writes = counts(c.l1_reads), counts(c.l1_writes)
    return np.stack([reads, writes], -1).reshape(*reads.shape[:-1], 6).astype(np.float64)


def _l2_terms(c: Costs) -> Reals:
    reads, writes = counts(c.l2_reads), counts(c.l2_writes)
    inputs = [reads[..., INPUT], writes[..., INPUT], reads[..., FILTER], writes[..., FILTER]]
    return np.stack([*inputs, writes[..., OUTPUT]], -1).astype(np.float64)


def _columns(network_costs: NetworkCosts) -> list[Sequence[str]]:
    """The 52 columns as text."""
    c, hardware, rows = network_costs.costs, network_costs.hardware, len(network_costs)
    runtime, macs = counts(c.runtime), counts(c.num_macs)
    l1_reads, l1_writes = counts(c.l1_reads), counts(c.l1_writes)
    l2_reads, l2_writes = counts(c.l2_reads), counts(c.l2_writes)
    l1_size, l2_size = l1_bytes(c), l2_bytes(c)
    energy = maestro_energy(network_costs)
    figures = accelerator_figures(
        hardware.num_pes, hardware.simd_lanes, hardware.noc_bandwidths[0], l1_size, l2_size
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        throughput = ratio(macs, runtime)
        per_energy = throughput / energy * 1e9
        per_joule = macs / energy * 1e9
    peak = _integers(c.noc_bandwidth_peak)
    columns: list[Sequence[str]] = [
        [network_costs.network] * rows,
        network_costs.layers,
        [str(hardware.num_pes)] * rows,
        _integers(runtime),
        decimals.shortest(energy),
        decimals.shortest(throughput),
        decimals.shortest_extended(
            per_energy,
            lambda i: decimals.rounded(
                decimals.quotient(int(macs[i]), int(runtime[i]), float(energy[i])) * 10**9
            ),
        ),
        decimals.shortest(figures.area),
        decimals.shortest(figures.power),
        peak,
        average_bandwidth(c),
        peak,
        [str(hardware.simd_lanes)] * rows,
        _integers(c.offchip_bandwidth),
        _integers(l2_size),
        _integers(l1_size),
        decimals.shortest(ratio(l1_writes[:, FILTER], l2_reads[:, FILTER])),
        decimals.shortest(ratio(l1_writes[:, INPUT], l2_reads[:, INPUT])),
        _integers(c.input_elements),
        _integers(c.filter_elements),
        decimals.shortest(per_joule),
        _integers(macs),
        decimals.shortest(figures.pe_power),
        decimals.shortest(figures.l1_power),
        decimals.shortest(figures.l2_power),
        decimals.shortest(figures.noc_power),
    ]
    for t in range(len(TENSORS)):
        columns += [_integers(x[:, t]) for x in (l1_reads, l1_writes, l2_reads, l2_writes)]
        columns.append(_reuse(l1_reads[:, t], l1_writes[:, t]))
    for delay in (c.ingress_delay, c.egress_delay, c.compute_delay):
        columns += [_integers(counts(delay)[:, value]) for value in (MIN, MAX, AVERAGE)]
    columns.append(decimals.shortest(np.asarray(c.average_active_pes, np.float64)))
    columns.append(decimals.shortest(arithmetic_intensity(c)))
    return columns


def _integers(field: Any) -> list[str]:
    return [str(value) for value in counts(field).tolist()]


def _reuse(reads: Counts, writes: Counts) -> list[str]:
    """L1 reads over L1 writes of one tensor, a ``long double`` in the reference."""
    return decimals.shortest_extended(
        ratio(reads, writes), lambda i: decimals.quotient(int(reads[i]), int(writes[i]))
    )
