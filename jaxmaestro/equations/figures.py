"""Figures of each tuple, from the sums over the top level's iterations (MICRO'19, performance analysis)."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from jaxmaestro.encoding.slots import FILTER, INPUT, OUT_Y, OUTPUT, SLIDES_OVER, K
from jaxmaestro.encoding.tables import Batch
from jaxmaestro.equations import pricing
from jaxmaestro.equations.arithmetic import Arithmetic, truncated_div
from jaxmaestro.equations.clusters import Level
from jaxmaestro.equations.costs import Costs
from jaxmaestro.equations.top import Delays, TopCost

Array = Any


def layer_macs(batch: Batch, arithmetic: Arithmetic) -> Array:
    """MACs that each tuple's layer has, ``[b]``: strides counted, no padding."""
    lay = batch.layers
    sizes = jnp.where(lay.present[batch.layer], lay.sizes[batch.layer], 1)
    sizes = sizes.at[:, K].set(jnp.where(lay.depthwise[batch.layer], 1, sizes[:, K]))
    strides = jnp.maximum(lay.output_strides[batch.layer], 1)
    for i, (axis, window) in enumerate(SLIDES_OVER.items()):
        windows = truncated_div(sizes[:, axis] - sizes[:, window], strides[:, i]) + 1
        windows = jnp.where(sizes[:, axis] < sizes[:, window], 0, windows)
        declared = lay.references[batch.layer, OUT_Y + i]  # a layer over Y' and X' says how many there are
        windows = jnp.where(declared > 0, declared, windows)
        sizes = sizes.at[:, axis].set(jnp.where(lay.sliding[batch.layer], windows, sizes[:, axis]))
    return sizes.prod(1, dtype=arithmetic.count)


def _volume(sizes: Array, mask: Array, arithmetic: Arithmetic) -> Array:
    """Elements of a tensor with these dimensions, ``[b]``."""
    return jnp.where(mask, sizes, 1).prod(1, dtype=arithmetic.count)


@functools.partial(jax.jit, static_argnames="arithmetic")
def figures(batch: Batch, level: Level, top: TopCost, flags: Array, arithmetic: Arithmetic) -> Costs:
    """Every figure of a batch, not judged yet; ``top`` has arrays ``[1, b]``, ``flags`` is uint32 ``[b]``."""
    top = jax.tree.map(lambda a: a[0], top)
    real = arithmetic.real
    lay, hw = batch.layers, batch.hardware
    coupled = lay.coupled[batch.layer]
    sizes = level.dims.T
    held = [_volume(sizes, coupled[:, t], arithmetic) for t in (INPUT, FILTER)]
    # Outputs without strides: what the reference counts as the output's L2 reads.
    windows = sizes
    for axis, window in SLIDES_OVER.items():
        rows = sizes[:, axis] - sizes[:, window] + 1
        windows = windows.at[:, axis].set(jnp.where(lay.sliding[batch.layer], rows, sizes[:, axis]))
    outputs = _volume(windows, coupled[:, OUTPUT], arithmetic)
    l2_reads = jnp.stack([top.l2_read_input, top.l2_read_filter, outputs], -1)
    l2_writes = jnp.stack([*held, top.l2_write_output], -1)
    l1_reads = jnp.stack([top.macs, top.macs, top.output_accesses], -1)
    l1_writes = jnp.stack([top.l2_read_input, top.l2_read_filter, top.output_accesses], -1)
    l1_sizes = 2 * jnp.stack([top.l1_input, top.l1_filter, top.l1_output], -1)
    l2_sizes = 2 * jnp.stack([top.l2_input, top.l2_filter, top.l2_output], -1)

    num_pes = hw.num_pes[batch.accelerator]
    lanes = hw.simd_lanes[batch.accelerator]
    # The first level's NoC in the reference's numbering is the innermost one: its area is priced.
    noc_bandwidth = hw.noc_bandwidth[batch.accelerator, 0]
    priced = (
        num_pes.astype(real),
        lanes.astype(real),
        noc_bandwidth.astype(real),
        l1_sizes.sum(-1).astype(real),
        l2_sizes.sum(-1).astype(real),
    )
    powers = pricing.powers_of(*priced)
    energy_l1 = (l1_reads + l1_writes).astype(real) * (pricing.L1_ENERGY * pricing.MAC_ENERGY)
    energy_l2 = (l2_reads + l2_writes).astype(real) * (pricing.L2_ENERGY * pricing.MAC_ENERGY)
    # The reference leaves the output's L2 reads out of the energy of a layer.
    left_out = l2_reads[:, OUTPUT].astype(real) * (pricing.L2_ENERGY * pricing.MAC_ENERGY)
    iterations = top.iterations
    return Costs(
        runtime=top.runtime,
        num_macs=top.macs,
        layer_macs=layer_macs(batch, arithmetic),
        throughput=_ratio(top.macs, top.runtime, real),
        ingress_delay=_delays(top.ingress, iterations, arithmetic),
        egress_delay=_delays(top.egress, iterations, arithmetic),
        compute_delay=_delays(top.compute, iterations, arithmetic),
        average_active_pes=_ratio(top.active_pes, iterations, real),
        l1_reads=l1_reads,
        l1_writes=l1_writes,
        l2_reads=l2_reads,
        l2_writes=l2_writes,
        noc_bandwidth_peak=top.peak_bandwidth,
        noc_bandwidth_average=_ratio(top.bandwidth_sum, iterations, real),
        offchip_bandwidth=top.offchip_bandwidth,
        intensity_macs=top.last_macs,
        intensity_traffic=top.last_traffic,
        noc_bandwidth_sum=top.bandwidth_sum,
        iterations=iterations,
        l1_sizes=l1_sizes,
        l2_sizes=l2_sizes,
        input_elements=_volume(lay.sizes[batch.layer], lay.printed[batch.layer, INPUT], arithmetic),
        filter_elements=_volume(lay.sizes[batch.layer], lay.printed[batch.layer, FILTER], arithmetic),
        energy=energy_l1.sum(-1) + energy_l2.sum(-1) - left_out,
        energy_l1=energy_l1,
        energy_l2=energy_l2,
        energy_macs=top.macs.astype(real) * pricing.MAC_ENERGY,
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


def _ratio(numerator: Array, denominator: Array, real: Any) -> Array:
    """A quotient; 0 where there is nothing to divide by (such tuples are flagged)."""
    none = denominator == 0
    return jnp.where(none, 0, numerator.astype(real) / jnp.where(none, 1, denominator).astype(real))


def _delays(delays: Delays, iterations: Array, arithmetic: Arithmetic) -> Array:
    """Minimum, maximum, truncated average; without iterations what the reference's casts give."""
    none = iterations == 0
    average = arithmetic.div(delays.total, jnp.maximum(iterations, 1))
    return jnp.stack(
        [
            jnp.where(none, arithmetic.smallest, delays.least),
            delays.most,
            jnp.where(none, arithmetic.smallest, average),
        ],
        -1,
    )
