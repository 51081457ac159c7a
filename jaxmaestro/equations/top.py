"""The top cluster level: the figures of the whole accelerator, summed over its iteration cases."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxmaestro.encoding.slots import FILTER, INPUT, OUTPUT
from jaxmaestro.equations.arithmetic import Arithmetic, Divisor, product
from jaxmaestro.equations.blocks import in_blocks
from jaxmaestro.equations.cases import Place, States, times_overflow, walk
from jaxmaestro.equations.kernels import Lowering
from jaxmaestro.equations.level import (
    CaseCost,
    LevelCost,
    LevelModel,
    Start,
    case_cost,
    no_start,
    plan,
    stops,
)
from jaxmaestro.equations.subtiles import Columns

Array = Any

_BEYOND = 2**62


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Delays:
    """Minimum, maximum and sum of a delay over the iterations, cycles ``[p, q, b]``."""

    least: Array
    most: Array
    total: Array

    def add(self, delay: Array, times: Array, beyond: Array) -> Delays:
        """One more case; see :meth:`Performance.add` for ``beyond``."""
        return Delays(
            jnp.minimum(self.least, delay + beyond),
            jnp.maximum(self.most, delay - beyond),
            self.total + times * delay,
        )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Totals:
    """Sums over the iterations of the top level that all hardware points share, arrays ``[b]``."""

    macs: Array
    output_accesses: Array  # L1 reads and writes of outputs: skipped cases count here
    l2_read_input: Array
    l2_read_filter: Array
    l2_write_output: Array
    l2_input: Array  # L2 size, without double buffering
    l2_filter: Array
    l2_output: Array
    active_pes: Array  # real, summed over iterations
    iterations: Array
    last_macs: Array
    last_traffic: Array
    overflows: Array  # bool: the reference's 32-bit counter of occurrences overflows
    terminates: Array  # bool

    def add(self, now: CaseCost, live: Array, start: Start, real: Any) -> Totals:
        """One more case, where it is ``live``; ``start`` is before it."""
        works = live & now.works
        leads = live & ~start.started  # buffers are sized until a case has had work
        occurs = jnp.where(live, now.times, 0)
        times = jnp.where(works, now.times, 0)
        macs, egress = now.outputs.macs, now.outputs.egress
        return Totals(
            macs=self.macs + times * macs,
            output_accesses=self.output_accesses + occurs * macs,
            l2_read_input=self.l2_read_input + times * now.input,
            l2_read_filter=self.l2_read_filter + times * now.filter,
            l2_write_output=self.l2_write_output + occurs * egress,
            l2_input=self.l2_input + jnp.where(leads, now.input, 0),
            l2_filter=self.l2_filter + jnp.where(leads, now.filter, 0),
            l2_output=jnp.where(leads, egress, self.l2_output),
            active_pes=self.active_pes + product(now.active, times.astype(real)),
            iterations=self.iterations + times,
            last_macs=jnp.where(works, macs, self.last_macs),
            last_traffic=jnp.where(works, now.input + now.filter, self.last_traffic),
            overflows=self.overflows | (live & now.overflows),
            terminates=self.terminates | stops(now, live, leads | works),
        )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Pending:
    """What :class:`Performance` takes of a case; arrays ``[b]``, times in cycles ``[p, q, b]``.

    A case is added when the next one is worked out: what a loop carries is there, whereas XLA
    would work out all that leads to it once more for every sum, and every point, that it enters.
    """

    works: Array  # bool
    times: Array  # occurrences
    busiest: Array  # elements: the larger of what comes in and what goes out
    contents: Array  # elements of L2
    compute: Divisor
    ingress_delay: Array
    egress_delay: Array
    delay: Array
    offchip_delay: Array

    @classmethod
    def of(
        cls, now: CaseCost, live: Array, totals: Totals, offchip: Divisor, arithmetic: Arithmetic
    ) -> Pending:
        """A case, where it is ``live``; ``totals`` include it."""
        contents = jnp.maximum(totals.l2_input + totals.l2_filter, totals.l2_output)
        return cls(
            works=live & now.works,
            times=now.times,
            busiest=jnp.maximum(now.input + now.filter, now.outputs.egress),
            contents=contents,
            compute=arithmetic.divisor(jnp.maximum(now.compute, 1)),
            ingress_delay=now.ingress_delay,
            egress_delay=now.egress_delay,
            delay=now.delay,
            # The doubly buffered L2 contents move while the level computes.
            offchip_delay=arithmetic.div(contents, offchip),
        )

    @classmethod
    def none(cls, priced: Array, offchip: Divisor, arithmetic: Arithmetic) -> Pending:
        """No case."""
        zero, one = jnp.zeros(priced.shape[-1], priced.dtype), arithmetic.divisor(jnp.ones_like(priced))
        return cls(zero > 0, zero, zero, zero, one, priced, priced, priced, jnp.zeros_like(offchip.value))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Performance:
    """Sums over the iterations of the top level by hardware point, arrays ``[p, q, b]``.

    The memories (axis q) touch the runtime alone.
    """

    runtime: Array
    peak_bandwidth: Array
    bandwidth_sum: Array
    offchip_bandwidth: Array
    ingress: Delays
    egress: Delays
    compute: Delays

    def add(self, case: Pending, arithmetic: Arithmetic) -> Performance:
        """One more case."""
        works, compute = case.works, case.compute
        times = jnp.where(works, case.times, 0)
        busiest = jnp.where(works, case.busiest, 0)
        # Added to a figure, this keeps cases without work out of a minimum, as its negative
        # does out of a maximum.
        beyond = jnp.where(works, 0, jnp.asarray(_BEYOND, times.dtype))
        asks = arithmetic.div(jnp.where(works, 2 * case.contents, 0), compute)
        return Performance(
            runtime=self.runtime + times * jnp.maximum(case.delay, case.offchip_delay),
            peak_bandwidth=jnp.maximum(self.peak_bandwidth, arithmetic.div(busiest, compute)),
            bandwidth_sum=self.bandwidth_sum + arithmetic.div(times * busiest, compute),
            # Halved at every case, so the order of the cases matters.
            offchip_bandwidth=arithmetic.halve(jnp.maximum(self.offchip_bandwidth, asks), works),
            ingress=self.ingress.add(case.ingress_delay, times, beyond),
            egress=self.egress.add(case.egress_delay, times, beyond),
            compute=self.compute.add(compute.value, times, beyond),
        )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TopCost:
    """What the top level's iterations come to."""

    totals: Totals
    performance: Performance
    l1_input: Array  # [b]
    l1_filter: Array
    l1_output: Array
    started: Array  # bool [b]: some case had work


def top_cost(model: LevelModel, columns: Columns, lowering: Lowering) -> TopCost:
    """Figures of the top level, whose only tile is the layer."""
    cost: TopCost = in_blocks(_top_cost, model, columns, lowering)
    return cost


def no_top_cost(model: LevelModel, columns: int) -> TopCost:
    """The figures of so many columns without cases."""
    arithmetic, points = model.arithmetic, model.noc_bandwidth.shape[:-1]
    zero, false = jnp.zeros(columns, arithmetic.count), jnp.zeros(columns, bool)
    zeros: dict[str, Any] = {f.name: zero for f in dataclasses.fields(Totals)}
    zeros |= {"active_pes": jnp.zeros(columns, arithmetic.real), "overflows": false, "terminates": false}
    priced = jnp.zeros((*points, columns), arithmetic.count)
    both = jnp.broadcast_shapes(points, model.shared.offchip_bandwidth.shape[:-1])
    delays = Delays(jnp.full_like(priced, arithmetic.largest), priced, priced)
    runtime = jnp.zeros((*both, columns), arithmetic.count)
    performance = Performance(runtime, priced, priced, priced, delays, delays, delays)
    return TopCost(Totals(**zeros), performance, zero, zero, zero, false)


def any_level_cost(model: LevelModel, columns: Columns, lowering: Lowering) -> tuple[TopCost, LevelCost]:
    """Both what the top level would come to and what a level below it does, of every column."""
    cost: tuple[TopCost, LevelCost] = in_blocks(_any_level_cost, model, columns, lowering)
    return cost


def _top_cost(model: LevelModel, states: States) -> TopCost:
    return _walked(model, states)[0]


def _any_level_cost(model: LevelModel, states: States) -> tuple[TopCost, LevelCost]:
    top, runtime = _walked(model, states, jnp.zeros(model.noc_bandwidth.shape, model.arithmetic.count))
    assert runtime is not None
    sums, real = top.totals, model.arithmetic.real
    level = LevelCost(
        runtime=runtime,
        active_pes=sums.active_pes / jnp.maximum(sums.iterations, 1).astype(real),
        l1_input=top.l1_input,
        l1_filter=top.l1_filter,
        l1_output=top.l1_output,
        terminates=sums.terminates,
        overflows=sums.overflows,
    )
    return top, level


def _walked(model: LevelModel, states: States, runtime: Array | None = None) -> tuple[TopCost, Array | None]:
    """Sums over the cases; to ``runtime``, if there is one, is added the time without off-chip delays."""
    arithmetic, columns = model.arithmetic, states.cases.shape[0]
    shared = plan(model, states)
    offchip = arithmetic.divisor(model.shared.offchip_bandwidth)

    def step(sums: Any, place: Place, live: Array) -> Any:
        start, totals, performance, before, runtime = sums
        now = case_cost(shared, place)
        totals = totals.add(now, live, start, arithmetic.real)
        pending = Pending.of(now, live, totals, offchip, arithmetic)
        if runtime is not None:
            runtime += jnp.where(live & now.works, now.times, 0) * now.delay
        return start.add(now, live), totals, performance.add(before, arithmetic), pending, runtime

    none = no_top_cost(model, columns)
    pending = Pending.none(none.performance.peak_bandwidth, offchip, arithmetic)
    sums = no_start(columns), none.totals, none.performance, pending, runtime
    start, totals, performance, last, runtime = walk(states, step, sums)
    performance = performance.add(last, arithmetic)
    l1 = start.l1_needs(shared)
    totals = dataclasses.replace(totals, overflows=totals.overflows | times_overflow(states))
    top = TopCost(totals, performance, l1[INPUT], l1[FILTER], l1[OUTPUT], start.started)
    return top, runtime
