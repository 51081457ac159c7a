"""Sums of costs over the layers of networks: latency, energy, MACs."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmaestro.equations.costs import Costs
from jaxmaestro.reductions.objectives import Require, accepted, check_counts, check_require

Array = Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Totals:
    """Sums over the accepted members of each segment (a network, say)."""

    latency: Array  # [segments] cycles, one layer after the other
    energy: Array  # [segments] nJ
    macs: Array  # [segments] MACs, as `Costs.num_macs` counts them
    complete: Array  # [segments] bool: there are members, and every one was accepted


def totals(
    costs: Costs, segment: Array, segments: int, repeat: Array | None = None, require: Require = "valid"
) -> Totals:
    """Totals of the tuples ``costs [n]`` by ``segment [n]``, each counted ``repeat [n]`` times (once).

    int64 counts are summed exactly; a member that would take a segment's count past
    2**63 - 1 is not accepted. Counts of float32 mode are summed in float32. Members whose
    segment is not in 0 to ``segments - 1`` are left out, members that occur 0 times do
    not matter. Pure, for jit and vmap. Where a segment is not ``complete`` its sums are
    too small: do not rank by them.

    Raises ValueError for no segments, an unknown ``require`` and lengths that differ,
    TypeError for counts that were cut to 32 bits.
    """
    check_require(require)
    check_counts(costs)
    if segments < 1:
        raise ValueError(f"segments is {segments}; it must be 1 or more")
    for name, array in (("segment", segment), ("repeat", repeat)):
        if array is not None and np.shape(array) != np.shape(costs.runtime):
            raise ValueError(f"{name} has shape {np.shape(array)}, the costs {np.shape(costs.runtime)}")
    with jax.enable_x64(True):
        figures = (costs.runtime, costs.energy, costs.num_macs)
        repeat = np.ones(np.shape(segment), np.int32) if repeat is None else repeat
        return _totals(figures, accepted(costs, require), segment, repeat, segments)


@partial(jax.jit, static_argnames="segments")
def _totals(
    figures: tuple[Array, Array, Array], taken: Array, segment: Array, repeat: Array, segments: int
) -> Totals:
    member = (segment >= 0) & (segment < segments) & (repeat > 0)
    segment = jnp.where(member, segment, segments)

    def by_segment(values: Array) -> Array:
        return jax.ops.segment_sum(values, segment, segments)

    runtime, energy, macs = figures
    if jnp.issubdtype(runtime.dtype, jnp.integer):
        most = counts_below(by_segment(repeat.astype(jnp.int64)))
        most = most.at[segment].get(mode="fill", fill_value=0)
        taken = taken & (jnp.abs(runtime) <= most) & (jnp.abs(macs) <= most)

    def total(values: Array) -> Array:
        return by_segment(jnp.where(member & taken, values * repeat.astype(values.dtype), 0))

    members = by_segment(member.astype(jnp.int32))
    complete = (by_segment((member & taken).astype(jnp.int32)) == members) & (members > 0)
    return Totals(total(runtime), total(energy), total(macs), complete)


def counts_below(repeats: Array) -> Array:
    """The largest count of which so many, in all, are at most 2**63 - 1, whatever they are."""
    wide = jnp.maximum(repeats, 1)
    return jax.lax.div(jnp.full_like(wide, 2**63 - 1), wide)
