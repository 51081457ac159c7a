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
from jaxmaestro.equations.clusters import Level, by_point
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
    """Every reason against the figures, uint32 ``[p, q, b]``; ``costs`` as :func:`figures` gives them."""
    hw = jax.tree.map(by_point, batch.hardware)
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


def flagged(costs: Costs, reasons: Array) -> Costs:
    """The costs with ``reasons``, ``sound`` and ``fits``, ``[p, q, b]`` with axes of length 1 as before.

    Pairs that are illegal at every hardware point are zero; where only some points are,
    :func:`spread` has the room to tell them apart.
    """
    illegal = any_of(reasons, ILLEGAL)
    return dataclasses.replace(
        _blanked(costs, illegal.all((0, 1), keepdims=True)),
        reasons=reasons,
        sound=~any_of(reasons, UNSOUND),
        fits=~illegal & ~any_of(reasons, UNFIT),
    )


def spread(costs: Costs) -> Costs:
    """The costs of all hardware points, every field ``[b, p, q]``; illegal tuples are zero."""
    shape = costs.reasons.shape

    def whole(name: str) -> Array:
        value = getattr(costs, name)
        return jnp.broadcast_to(value, shape + value.shape[len(shape) :])

    full = Costs(**{f.name: whole(f.name) for f in dataclasses.fields(costs)})
    blanked = _blanked(full, any_of(costs.reasons, ILLEGAL))
    return jax.tree.map(lambda a: jnp.moveaxis(a, 2, 0), blanked)


def _blanked(costs: Costs, illegal: Array) -> Costs:
    """Zero where illegal, but for what identifies the tuple."""

    def blank(name: str) -> Array:
        value = getattr(costs, name)
        if name in _IDENTITY:
            return value
        mask = illegal.reshape(illegal.shape + (1,) * (value.ndim - illegal.ndim))
        return jnp.where(mask, jnp.zeros_like(value), value)

    return Costs(**{f.name: blank(f.name) for f in dataclasses.fields(costs)})


def _overflows(costs: Costs, level: Level, tiles: Tiles) -> Array:
    """Sizes beyond the reference's 32 bits, or work that could pass 63."""
    sizes = (costs.l1_sizes.sum(-1) > INT32_MAX) | (costs.l2_sizes.sum(-1) > INT32_MAX)
    extent = jnp.maximum(tiles.size[:SLOTS], level.dims).astype(jnp.float32)
    work = tiles.clusters.astype(jnp.float32) * extent.prod(0)
    return sizes | (work > 2.0**62)
