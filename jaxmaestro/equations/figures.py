"""Figures of each tuple, from the sums over the top level's iterations (MICRO'19, performance analysis)."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax.numpy as jnp

from jaxmaestro.encoding.slots import AXES, FILTER, INPUT, OUT_Y, OUTPUT, SLOTS, WINDOWS, K
from jaxmaestro.encoding.tables import Rows
from jaxmaestro.equations import pricing
from jaxmaestro.equations.arithmetic import Arithmetic, product, truncated_div
from jaxmaestro.equations.clusters import Level, by_point, with_axes
from jaxmaestro.equations.costs import BY_THREE, Costs
from jaxmaestro.equations.top import Delays, TopCost

Array = Any


def layer_macs(batch: Rows, arithmetic: Arithmetic) -> Array:
    """MACs that each tuple's layer has, ``[b]``: strides counted, no padding."""
    lay = batch.layers
    per_channel = lay.depthwise[:, None] & (jnp.arange(SLOTS) == K)
    sizes = jnp.where(lay.present & ~per_channel, lay.sizes, 1)
    axes, filter_size = sizes[:, AXES], sizes[:, WINDOWS]
    windows = truncated_div(axes - filter_size, jnp.maximum(lay.output_strides, 1)) + 1
    windows = jnp.where(axes < filter_size, 0, windows)
    declared = lay.references[:, OUT_Y:]  # a layer over Y' and X' says how many there are
    windows = jnp.where(declared > 0, declared, windows)
    return _with_windows(sizes, windows, lay.sliding).prod(1, dtype=arithmetic.count)


def _with_windows(sizes: Array, windows: Array, sliding: Array) -> Array:
    """Sizes ``[b, 8]`` with, where the filter slides, so many ``windows`` (``[b, 2]``) instead of Y and X."""
    return with_axes(sizes, jnp.where(sliding[:, None], windows, sizes[:, AXES]))


def _volume(sizes: Array, mask: Array, arithmetic: Arithmetic) -> Array:
    """Elements of a tensor with these dimensions, ``[b]``."""
    return jnp.where(mask, sizes, 1).prod(1, dtype=arithmetic.count)


def figures(batch: Rows, level: Level, top: TopCost, flags: Array, arithmetic: Arithmetic) -> Costs:
    """Every figure of a batch, not judged yet, ``[p, q, b]``; ``flags`` is uint32 ``[b]``.

    An axis is of length 1 where a figure does not vary along it.
    """
    sums, times = top.totals, top.performance
    real = arithmetic.real
    lay, hw = batch.layers, batch.hardware
    coupled = lay.coupled
    sizes = level.dims.T
    held = [_volume(sizes, coupled[:, t], arithmetic) for t in (INPUT, FILTER)]
    # Outputs without strides: what the reference counts as the output's L2 reads.
    windows = _with_windows(sizes, sizes[:, AXES] - sizes[:, WINDOWS] + 1, lay.sliding)
    outputs = _volume(windows, coupled[:, OUTPUT], arithmetic)
    l2_reads = jnp.stack([sums.l2_read_input, sums.l2_read_filter, outputs], -1)
    l2_writes = jnp.stack([*held, sums.l2_write_output], -1)
    l1_reads = jnp.stack([sums.macs, sums.macs, sums.output_accesses], -1)
    l1_writes = jnp.stack([sums.l2_read_input, sums.l2_read_filter, sums.output_accesses], -1)
    l1_sizes = 2 * jnp.stack([top.l1_input, top.l1_filter, top.l1_output], -1)
    l2_sizes = 2 * jnp.stack([sums.l2_input, sums.l2_filter, sums.l2_output], -1)

    num_pes, lanes = by_point(hw.num_pes), by_point(hw.simd_lanes)
    # The first level's NoC in the reference's numbering is the innermost one: its area is priced.
    noc_bandwidth = by_point(hw.noc_bandwidth[..., 0])
    priced = (
        num_pes.astype(real),
        lanes.astype(real),
        noc_bandwidth.astype(real),
        l1_sizes.sum(-1).astype(real),
        l2_sizes.sum(-1).astype(real),
    )
    powers = pricing.powers_of(*priced)
    energy_l1 = product((l1_reads + l1_writes).astype(real), pricing.L1_ENERGY * pricing.MAC_ENERGY)
    energy_l2 = product((l2_reads + l2_writes).astype(real), pricing.L2_ENERGY * pricing.MAC_ENERGY)
    # The reference leaves the output's L2 reads out of the energy of a layer.
    left = product(l2_writes[:, OUTPUT].astype(real), pricing.L2_ENERGY * pricing.MAC_ENERGY)
    counted = jnp.stack([energy_l2[:, INPUT], energy_l2[:, FILTER], left], -1)
    iterations = sums.iterations
    costs = Costs(
        runtime=times.runtime,
        num_macs=sums.macs,
        layer_macs=layer_macs(batch, arithmetic),
        throughput=_ratio(sums.macs, times.runtime, real),
        ingress_delay=_delays(times.ingress, iterations, arithmetic),
        egress_delay=_delays(times.egress, iterations, arithmetic),
        compute_delay=_delays(times.compute, iterations, arithmetic),
        average_active_pes=_ratio(sums.active_pes, iterations, real),
        l1_reads=l1_reads,
        l1_writes=l1_writes,
        l2_reads=l2_reads,
        l2_writes=l2_writes,
        noc_bandwidth_peak=times.peak_bandwidth,
        noc_bandwidth_average=_ratio(times.bandwidth_sum, iterations, real),
        offchip_bandwidth=times.offchip_bandwidth,
        intensity_macs=sums.last_macs,
        intensity_traffic=sums.last_traffic,
        noc_bandwidth_sum=times.bandwidth_sum,
        iterations=iterations,
        l1_sizes=l1_sizes,
        l2_sizes=l2_sizes,
        input_elements=_volume(lay.sizes, lay.printed[:, INPUT], arithmetic),
        filter_elements=_volume(lay.sizes, lay.printed[:, FILTER], arithmetic),
        energy=_by_tensor(energy_l1) + _by_tensor(counted),
        energy_l1=energy_l1,
        energy_l2=energy_l2,
        energy_macs=sums.macs.astype(real) * pricing.MAC_ENERGY,
        area=pricing.area_of(*priced),
        power=sum(powers[1:], powers[0]),
        power_pe=powers[0],
        power_l1=powers[1],
        power_l2=powers[2],
        power_noc=powers[3],
        num_pes=num_pes,
        noc_bandwidth=noc_bandwidth,
        simd_lanes=lanes,
        levels_reached=top.started & ~level.innermost,
        reasons=flags,
        sound=jnp.ones(flags.shape, bool),
        fits=jnp.ones(flags.shape, bool),
    )

    def with_axes(name: str) -> Array:
        """What all hardware points of a pair share gets axes of length 1 for them."""
        value = getattr(costs, name)
        return value[None, None] if value.ndim - (name in BY_THREE) == 1 else value

    return Costs(**{f.name: with_axes(f.name) for f in dataclasses.fields(costs)})


def _by_tensor(energy: Array) -> Array:
    """Sum over the tensors, in their order (a reduction has none)."""
    return energy[..., INPUT] + energy[..., FILTER] + energy[..., OUTPUT]


def _ratio(numerator: Array, denominator: Array, real: Any) -> Array:
    """A quotient; 0 where there is nothing to divide by (such tuples are flagged)."""
    # Asked of both, so that the divisor has the shape of the quotient: XLA would multiply by
    # the reciprocal of a broadcast one, which rounds differently.
    none = (denominator == 0) | (numerator == 0)
    return jnp.where(none, 0, numerator.astype(real) / jnp.where(none, 1, denominator).astype(real))


def _delays(delays: Delays, iterations: Array, arithmetic: Arithmetic) -> Array:
    """Minimum, maximum, truncated average; without iterations what the reference's casts give."""
    none = iterations == 0
    average = arithmetic.div(delays.total, arithmetic.divisor(jnp.maximum(iterations, 1)))
    return jnp.stack(
        [
            jnp.where(none, arithmetic.smallest, delays.least),
            delays.most,
            jnp.where(none, arithmetic.smallest, average),
        ],
        -1,
    )
