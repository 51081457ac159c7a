"""Can the figures be trusted, and does the mapping fit the hardware?

The reference reports figures for mappings that do only part of the layer's work
or more than all of it, and never checks the limits that it is given. The figures
stay as they are; these flags say what to make of them.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxmaestro.description.reasons import DESCRIBED, ILLEGAL, UNFIT, UNSOUND, Reason
from jaxmaestro.encoding.slots import SLOTS
from jaxmaestro.encoding.tables import Rows
from jaxmaestro.equations.arithmetic import INT32_MAX, Arithmetic
from jaxmaestro.equations.clusters import Level
from jaxmaestro.equations.costs import Costs
from jaxmaestro.equations.flags import any_of, flag
from jaxmaestro.equations.tiles import Tiles
from jaxmaestro.equations.top import TopCost

Array = Any

FLOAT32_SLACK = 1e-5
"""Relative difference below which counts of float32 mode pass for equal."""

_IDENTITY = {"num_pes", "noc_bandwidth", "simd_lanes", "layer_macs", "reasons", "sound", "fits"}
"""Fields that stay as they are when a tuple is illegal."""


def judge(
    batch: Rows, costs: Costs, level: Level, tiles: Tiles, top: TopCost, arithmetic: Arithmetic
) -> Array:
    """Every reason against the figures, uint32 ``[p, b]``; arrays of ``costs`` are ``[p, b]``."""
    hw = jax.tree.map(lambda field: jnp.swapaxes(field, 0, 1), batch.hardware)  # [p, b]
    count = arithmetic.count
    reasons = costs.reasons

    limits = {
        Reason.L1_SIZE: (costs.l1_sizes.sum(-1), hw.l1_size),
        Reason.L2_SIZE: (costs.l2_sizes.sum(-1), hw.l2_size),
        Reason.NOC_BANDWIDTH: (costs.noc_bandwidth_peak, hw.noc_bandwidth[..., 0]),
        Reason.OFFCHIP_BANDWIDTH: (costs.offchip_bandwidth, hw.offchip_bandwidth),
    }
    for reason, (asked, limit) in limits.items():
        reasons |= flag(asked > limit.astype(count), reason)
    units = jnp.maximum(hw.num_pes, 1).astype(count) * jnp.maximum(hw.simd_lanes, 1).astype(count)
    # Rounded counts are told apart only where they differ by more than rounding can do.
    slack = 0 if arithmetic.exact else costs.layer_macs * FLOAT32_SLACK
    reasons |= flag(costs.num_macs < costs.layer_macs - slack, Reason.FEWER_MACS)
    reasons |= flag(costs.num_macs > costs.layer_macs + slack, Reason.MORE_MACS)
    needed = costs.layer_macs.astype(arithmetic.real) / units.astype(arithmetic.real)
    least = needed if arithmetic.exact else needed * (1 - FLOAT32_SLACK)
    reasons |= flag(costs.runtime.astype(arithmetic.real) < least, Reason.BELOW_ROOFLINE)
    reasons |= flag(~top.started, Reason.NO_WORK)
    negative = costs.runtime < 0
    for counts in (costs.l1_reads, costs.l1_writes, costs.l2_reads, costs.l2_writes, costs.l2_sizes):
        negative |= (counts < 0).any(-1)
    reasons |= flag(negative, Reason.NEGATIVE)
    # Where sub-tiles were left out, what looks like one that terminates is another tuple's.
    crowded = any_of(reasons, Reason.CAPACITY)
    reasons |= flag(top.totals.terminates & ~crowded, Reason.TERMINATES)
    reasons |= flag(top.totals.overflows | _overflows(costs, level, tiles), Reason.OVERFLOW)
    for value in (hw.simd_lanes, hw.noc_bandwidth.min(-1), hw.offchip_bandwidth):
        reasons |= flag(value < 1, Reason.NONPOSITIVE)

    illegal = any_of(reasons, ILLEGAL)
    # Of an illegal tuple nothing but its illegality is known.
    return jnp.where(illegal, reasons & jnp.uint32(int(ILLEGAL | DESCRIBED)), reasons)


def flagged(batch: Rows, costs: Costs, reasons: Array) -> Costs:
    """The costs wanted, in their order, with ``reasons``, ``sound`` and ``fits``; illegal ones are zero."""
    illegal = any_of(reasons, ILLEGAL)

    def blank(name: str, value: Array) -> Array:
        if name in _IDENTITY:
            return value
        mask = illegal.reshape(illegal.shape + (1,) * (value.ndim - illegal.ndim))
        return jnp.where(mask, jnp.zeros_like(value), value)

    blanked = {f.name: blank(f.name, getattr(costs, f.name)) for f in dataclasses.fields(costs)}
    judged = dataclasses.replace(
        Costs(**blanked),
        reasons=reasons,
        sound=~any_of(reasons, UNSOUND),
        fits=~illegal & ~any_of(reasons, UNFIT),
    )
    # By point and pair until here: arrays run along the pairs.
    return jax.tree.map(
        lambda a: jnp.take(a.reshape(-1, *a.shape[2:]), batch.order, axis=0, mode="clip"), judged
    )


def _overflows(costs: Costs, level: Level, tiles: Tiles) -> Array:
    """Sizes beyond the reference's 32 bits, or work that could pass 63."""
    sizes = (costs.l1_sizes.sum(-1) > INT32_MAX) | (costs.l2_sizes.sum(-1) > INT32_MAX)
    extent = jnp.maximum(tiles.size[:SLOTS], level.dims).astype(jnp.float32)
    work = tiles.clusters.astype(jnp.float32) * extent.prod(0)
    return sizes | (work > 2.0**62)
