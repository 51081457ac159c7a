"""The top cluster level: the figures of the whole accelerator, summed over its iteration cases."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp

from jaxmaestro.encoding.slots import FILTER, INPUT, OUTPUT
from jaxmaestro.equations.cases import States
from jaxmaestro.equations.factors import output_factors
from jaxmaestro.equations.level import (
    CaseCost,
    LevelModel,
    case_cost,
    first_path_l1,
    in_blocks,
    mapped_volumes,
    walk_cases,
)

Array = Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Delays:
    """Running minimum, maximum and sum of a delay, arrays ``[1, b]``."""

    least: Array
    most: Array
    total: Array

    def add(self, delay: Array, times: Array, works: Array) -> Delays:
        return Delays(
            jnp.where(works, jnp.minimum(self.least, delay), self.least),
            jnp.where(works, jnp.maximum(self.most, delay), self.most),
            self.total + times * delay,
        )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TopCost:
    """Sums over the iterations of the top level, arrays ``[1, b]``."""

    runtime: Array
    macs: Array
    output_accesses: Array  # L1 reads and writes of outputs: skipped cases count here
    l2_read_input: Array
    l2_read_filter: Array
    l2_write_output: Array
    l2_input: Array  # L2 size, without double buffering
    l2_filter: Array
    l2_output: Array
    l1_input: Array
    l1_filter: Array
    l1_output: Array
    peak_bandwidth: Array
    bandwidth_sum: Array
    offchip_bandwidth: Array
    ingress: Delays
    egress: Delays
    compute: Delays
    active_pes: Array  # real, summed over iterations
    iterations: Array
    last_macs: Array
    last_traffic: Array
    started: Array  # bool: some case had work
    overflows: Array  # bool: the reference's 32-bit counter of occurrences overflows
    terminates: Array  # bool


@functools.partial(jax.jit, static_argnames="block")
def top_cost(model: LevelModel, states: States, block: int) -> TopCost:
    """Figures of the top level, whose only tile is the layer."""
    cost: TopCost = in_blocks(_top_cost, model, states, block)
    return cost


def _top_cost(model: LevelModel, states: States) -> TopCost:
    arithmetic = model.arithmetic
    factors = output_factors(model.tiles, states, model.shared.coupled)
    shape = states.cases.shape
    zero = jnp.zeros(shape, arithmetic.count)
    false = jnp.zeros(shape, bool)
    delays = Delays(jnp.full(shape, arithmetic.largest, arithmetic.count), zero, zero)
    own = mapped_volumes(model)
    real = jnp.zeros(shape, arithmetic.real)
    zeros: dict[str, Any] = {f.name: zero for f in dataclasses.fields(TopCost)}
    start = TopCost(
        **{
            **zeros,
            "ingress": delays,
            "egress": delays,
            "compute": delays,
            "active_pes": real,
            "started": false,
            "overflows": false,
            "terminates": false,
        }
    )

    def step(cost: TopCost, digits: Array, live: Array) -> tuple[TopCost]:
        now = case_cost(model, states, factors, digits)
        return (_add_case(model, own, cost, now, live),)

    return walk_cases(states, step, (start,))[0]


def _add_case(
    model: LevelModel, own: tuple[Array, ...], cost: TopCost, now: CaseCost, live: Array
) -> TopCost:
    arithmetic = model.arithmetic
    works = live & now.works
    leads = live & ~cost.started  # buffers are sized until a case has had work
    occurs = jnp.where(live, now.case.times, 0)
    times = jnp.where(works, now.case.times, 0)
    inputs, filters = now.ingress
    traffic = inputs + filters
    busiest = jnp.maximum(traffic, now.outputs.egress)

    stops = ((leads | works) & now.terminates) | (live & (now.case.times < 1))

    l2_input = cost.l2_input + jnp.where(leads, inputs, 0)
    l2_filter = cost.l2_filter + jnp.where(leads, filters, 0)
    l2_output = jnp.where(leads, now.outputs.egress, cost.l2_output)
    needs = (cost.l1_input, cost.l1_filter, cost.l1_output)
    l1 = first_path_l1(model, needs, own, now, leads, works & ~cost.started)

    offchip = model.shared.offchip_bandwidth.astype(arithmetic.count)
    # Off-chip: the doubly buffered L2 contents move while the level computes.
    fetch, store = 2 * (l2_input + l2_filter), 2 * l2_output
    two = jnp.asarray(2, arithmetic.count)
    fetch_delay = arithmetic.div(arithmetic.div(fetch, offchip), two)
    store_delay = arithmetic.div(arithmetic.div(store, offchip), two)
    delay = jnp.maximum(now.delay, jnp.maximum(fetch_delay, store_delay))
    compute = jnp.where(now.compute == 0, 1, now.compute)
    asks = arithmetic.div(jnp.maximum(fetch, store), compute)
    # Halved at every case, so the order of the cases matters.
    offchip_bandwidth = arithmetic.div(jnp.maximum(cost.offchip_bandwidth, asks), two)

    return TopCost(
        runtime=cost.runtime + times * delay,
        macs=cost.macs + times * now.outputs.macs,
        output_accesses=cost.output_accesses + occurs * now.outputs.macs,
        l2_read_input=cost.l2_read_input + times * inputs,
        l2_read_filter=cost.l2_read_filter + times * filters,
        l2_write_output=cost.l2_write_output + occurs * now.outputs.egress,
        l2_input=l2_input,
        l2_filter=l2_filter,
        l2_output=l2_output,
        l1_input=l1[INPUT],
        l1_filter=l1[FILTER],
        l1_output=l1[OUTPUT],
        peak_bandwidth=jnp.where(
            works, jnp.maximum(cost.peak_bandwidth, arithmetic.div(busiest, compute)), cost.peak_bandwidth
        ),
        bandwidth_sum=cost.bandwidth_sum + arithmetic.div(times * busiest, compute),
        offchip_bandwidth=jnp.where(works, offchip_bandwidth, cost.offchip_bandwidth),
        ingress=cost.ingress.add(now.ingress_delay, times, works),
        egress=cost.egress.add(now.egress_delay, times, works),
        compute=cost.compute.add(compute, times, works),
        active_pes=cost.active_pes + now.active * times.astype(arithmetic.real),
        iterations=cost.iterations + times,
        last_macs=jnp.where(works, now.outputs.macs, cost.last_macs),
        last_traffic=jnp.where(works, traffic, cost.last_traffic),
        started=cost.started | works,
        overflows=cost.overflows | (live & now.overflows),
        terminates=cost.terminates | stops,
    )
