"""Performance of one cluster level (MICRO'19, performance analysis).

A level's time is the sum over its iteration cases of the slowest of: bringing
inputs in, computing (what the sub-clusters take), and taking outputs out; only
in the very first iteration do the first two come one after the other.

Reuse and traffic are the same for all hardware points of a tuple: arrays ``[c]``.
What the points differ in has a row a point: arrays ``[p, q, c]`` (see
:class:`jaxmaestro.encoding.tables.Rows`), of which nothing here depends on the second axis.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxmaestro.encoding.slots import FILTER, INPUT, OUTPUT, SLOTS
from jaxmaestro.equations.arithmetic import Arithmetic, Divisor, product
from jaxmaestro.equations.blocks import in_blocks
from jaxmaestro.equations.cases import Place, States, all_states, case_at, times_overflow, walk
from jaxmaestro.equations.clusters import Shared
from jaxmaestro.equations.factors import Factors, output_factors
from jaxmaestro.equations.kernels import Lowering
from jaxmaestro.equations.reuse import (
    LAST_SUBTILE,
    OUTERMOST,
    SUBTILE,
    Ingress,
    Outputs,
    Spreads,
    has,
    ingress_table,
    outputs_of,
    spreads,
)
from jaxmaestro.equations.spatial import input_maps, output_maps, work_of
from jaxmaestro.equations.subtiles import Columns, Kinds, Subtiles, look_up
from jaxmaestro.equations.tiles import Tiles

Array = Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LevelCost:
    """What the level above needs of each sub-tile; arrays ``[c]``, runtime ``[p, q, c]``."""

    runtime: Array  # cycles
    active_pes: Array  # average active PEs, real
    l1_input: Array  # elements of L1 that the innermost level asks for on the first path
    l1_filter: Array
    l1_output: Array
    terminates: Array  # bool: the reference gives up
    overflows: Array  # bool: its counter of occurrences wraps


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LevelModel:
    """A level of every tuple."""

    tiles: Tiles
    kinds: Kinds | None  # None: of some columns alone
    innermost: Array  # bool [b]
    noc_bandwidth: Array  # [p, q, b]
    noc_latency: Array  # [p, q, b]
    shared: Shared
    subtiles: Subtiles | None  # None: no tuple of the batch has a level below
    below: LevelCost | None
    arithmetic: Arithmetic = dataclasses.field(metadata={"static": True})

    def at(self, columns: Columns) -> tuple[LevelModel, States]:
        """The model of the tuples of some columns, and the states of these; ``below`` stays whole."""
        assert self.kinds is not None
        rest = dataclasses.replace(self, kinds=None, below=None)
        taken = jax.tree.map(lambda a: jnp.take(a, columns.row, axis=-1, mode="clip"), rest)
        states = all_states(self.kinds.of(columns, taken.tiles), taken.tiles.rank, columns.cases)
        return dataclasses.replace(taken, below=self.below), states


@dataclasses.dataclass(frozen=True)
class Noc:
    """Network on chip of a level, arrays ``[p, q, c]``."""

    bandwidth: Divisor  # elements a cycle
    head: Array  # cycles that the first send takes beyond its own

    def delay(self, elements: Array, arithmetic: Arithmetic) -> Array:
        """Cycles ``[p, q, c]`` that the NoC takes for some elements ``[c]``.

        It is a pipe (MICRO'19, performance analysis): the head takes the latency, then one send a cycle.
        """
        return self.head + arithmetic.ceil_div(elements, self.bandwidth)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What the cases of some columns share: everything that a case looks up."""

    model: LevelModel
    states: States
    spreads: Spreads
    ingress: Ingress
    factors: Factors
    output_mapped: Array  # bool [c]: the output lies over the sub-clusters
    lanes: Divisor  # [p, q, c]
    noc: Noc
    held: tuple[Array, Array, Array]  # elements of each tensor that a sub-cluster holds


def plan(model: LevelModel, states: States) -> Plan:
    """Work out what the cases of a level share; ``model`` and ``states`` have the same columns."""
    tiles, coupled, arithmetic = model.tiles, model.shared.coupled, model.arithmetic
    count = arithmetic.count
    mapped = jnp.where(coupled, tiles.mapped[:SLOTS], 1).prod(axis=1, dtype=count)
    work = work_of(tiles, coupled)
    maps = output_maps(tiles, coupled, work)
    weight = model.subtiles.weight if model.subtiles else None
    return Plan(
        model=model,
        states=states,
        spreads=spreads(tiles, maps, states, coupled, weight),
        ingress=ingress_table(tiles, input_maps(tiles, coupled), states, coupled, count),
        factors=output_factors(work, maps, states, tiles.single),
        output_mapped=(coupled[OUTPUT] & tiles.first_spatial).any(0),
        lanes=arithmetic.divisor(model.shared.simd_lanes),
        noc=Noc(arithmetic.divisor(model.noc_bandwidth), model.noc_latency.astype(count) - 1),
        held=(mapped[INPUT], mapped[FILTER], mapped[OUTPUT]),
    )


@dataclasses.dataclass(frozen=True)
class CaseCost:
    """Traffic and delays of one case; arrays ``[c]``, times in cycles ``[p, q, c]``."""

    times: Array  # occurrences
    input: Array  # elements brought in
    filter: Array
    outputs: Outputs
    works: Array  # bool: the reference skips a case without partial sums
    compute: Array  # cycles
    active: Array  # sub-clusters, or PEs below them
    ingress_delay: Array
    egress_delay: Array
    delay: Array  # of one occurrence
    first_subtile: Array | None  # column of the first sub-tile; None: no level below
    terminates: Array
    overflows: Array


def case_cost(plan: Plan, place: Place) -> CaseCost:
    """Traffic and delay of the case at a place of the walk."""
    model, arithmetic = plan.model, plan.model.arithmetic
    tiles, count, real = model.tiles, arithmetic.count, arithmetic.real
    case = case_at(tiles, plan.states, place)
    bits = plan.spreads.of(case)
    outputs = outputs_of(tiles, plan.factors, case, bits, plan.output_mapped, count)
    inputs, filters, terminates = plan.ingress.of(case, bits)
    works = outputs.partial_sums > 0
    active = jnp.where(has(bits, OUTERMOST), tiles.edge_clusters, tiles.clusters)
    base = arithmetic.ceil_div(outputs.partial_sums, plan.lanes)
    overflows = jnp.zeros_like(works)
    if model.below is None or model.subtiles is None:
        compute, active_pes, first = base, active.astype(real), None
    else:
        below = _sub_clusters(model, model.below, model.subtiles, bits, active)
        innermost, first = model.innermost, below.first
        compute = jnp.where(innermost, base, below.compute)
        active_pes = jnp.where(innermost, active.astype(real), below.active)
        terminates = terminates | (works & ~innermost & below.terminates)
        overflows = works & ~innermost & below.overflows
    ingress_delay = plan.noc.delay(inputs + filters, arithmetic)
    egress_delay = plan.noc.delay(outputs.egress, arithmetic)
    # In the very first case inputs come before anything is computed or taken out. Selects by
    # case or tuple are kept out of what has a row a hardware point: they do not vectorise.
    first_case = (place.index == 0).astype(count)
    overlapped = jnp.maximum(compute + first_case * ingress_delay, ingress_delay)
    return CaseCost(
        times=case.times.astype(count),
        input=inputs,
        filter=filters,
        outputs=outputs,
        works=works,
        compute=compute,
        active=active_pes,
        ingress_delay=ingress_delay,
        egress_delay=egress_delay,
        delay=jnp.maximum(overlapped, egress_delay * (1 - first_case)),
        first_subtile=first,
        terminates=terminates,
        overflows=overflows,
    )


@dataclasses.dataclass(frozen=True)
class _Below:
    """What the sub-clusters of a case do; arrays ``[c]``, ``compute`` ``[p, q, c]``."""

    compute: Array
    active: Array
    first: Array  # column of the sub-tile that stands for the case
    terminates: Array
    overflows: Array


def _sub_clusters(
    model: LevelModel, below: LevelCost, subtiles: Subtiles, bits: Array, active: Array
) -> _Below:
    """Time and active PEs of the sub-clusters of a case.

    At a ragged spatial edge two sub-tiles are at work: the last sub-cluster's
    and the others'; the slower one counts.
    """
    real = model.arithmetic.real
    uneven = has(bits, OUTERMOST) & has(bits, OUTERMOST + 1)
    rest = active - 1
    plain = subtiles.first + ((bits >> SUBTILE) & 0xFF)
    last = subtiles.first + ((bits >> LAST_SUBTILE) & 0xFF)
    runs_plain = ~uneven | (rest > 0)

    def of(table: Array) -> tuple[Array, Array]:
        return look_up(table, plain), look_up(table, last)

    time_plain, time_last = of(below.runtime)
    compute = jnp.maximum(jnp.where(runs_plain, time_plain, 0), jnp.where(uneven, time_last, 0))
    pes_plain, pes_last = of(below.active_pes)
    number = jnp.where(uneven, rest, active).astype(real)
    pes = jnp.where(uneven, pes_last, 0) + jnp.where(runs_plain, product(pes_plain, number), 0)
    flags = []
    for table in (below.terminates, below.overflows):
        plain_flag, last_flag = of(table)
        flags.append((runs_plain & plain_flag) | (uneven & last_flag))
    return _Below(
        compute=jnp.maximum(compute, 0),
        active=jnp.where(pes == 0, active.astype(real), pes),
        first=jnp.where(uneven, last, plain),
        terminates=flags[0],
        overflows=flags[1],
    )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Start:
    """The cases up to the first one that has work; arrays ``[c]``.

    Until then buffers are sized by the level's own needs, those of the inputs once
    more at each case; from there on, where there is a level below, by the needs of
    its first sub-tile.
    """

    cases: Array  # int32
    started: Array  # bool
    subtile: Array  # int32 column of the first sub-tile

    def add(self, now: CaseCost, live: Array) -> Start:
        """One more case, where it is ``live``."""
        leads = live & ~self.started
        starts = leads & now.works
        subtile = self.subtile
        if now.first_subtile is not None:
            subtile = jnp.where(starts, now.first_subtile, subtile)
        return Start(self.cases + leads.astype(jnp.int32), self.started | starts, subtile)

    def l1_needs(self, plan: Plan) -> list[Array]:
        """L1 needs of input, filter and output on the path of first cases, elements ``[c]``."""
        model = plan.model
        cases = self.cases.astype(model.arithmetic.count)
        needs = [
            plan.held[INPUT] * cases,
            plan.held[FILTER] * cases,
            plan.held[OUTPUT] * jnp.minimum(cases, 1),
        ]
        if model.below is None:
            return needs
        enters = self.started & ~model.innermost
        tables = (model.below.l1_input, model.below.l1_filter, model.below.l1_output)
        return [
            jnp.where(enters, look_up(table, self.subtile), need)
            for need, table in zip(needs, tables, strict=True)
        ]


def no_start(columns: int) -> Start:
    """Before any case."""
    zero = jnp.zeros(columns, jnp.int32)
    return Start(zero, jnp.zeros(columns, bool), zero)


def sub_level_cost(model: LevelModel, columns: Columns, lowering: Lowering) -> LevelCost:
    """Cost of a level below the top for every sub-tile that it may be handed."""
    cost: LevelCost = in_blocks(_sub_level_cost, model, columns, lowering)
    return cost


def no_level_cost(model: LevelModel, columns: int) -> LevelCost:
    """The cost of a level that is not there, as if it had so many columns."""
    count = model.arithmetic.count
    zero, false = jnp.zeros(columns, count), jnp.zeros(columns, bool)
    return LevelCost(
        runtime=jnp.zeros((*model.noc_bandwidth.shape[:-1], columns), count),
        active_pes=jnp.zeros(columns, model.arithmetic.real),
        l1_input=zero,
        l1_filter=zero,
        l1_output=zero,
        terminates=false,
        overflows=false,
    )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class _Sums:
    """Sums over the cases of a level below the top."""

    runtime: Array  # [p, q, c]
    active_pes: Array  # real [c]
    iterations: Array
    terminates: Array  # bool
    overflows: Array
    start: Start


def _sub_level_cost(model: LevelModel, states: States) -> LevelCost:
    arithmetic, columns = model.arithmetic, states.cases.shape[0]
    shared = plan(model, states)

    def step(sums: _Sums, place: Place, live: Array) -> _Sums:
        now = case_cost(shared, place)
        works = live & now.works
        times = jnp.where(works, now.times, 0)
        leads = live & ~sums.start.started
        return _Sums(
            runtime=sums.runtime + times * now.delay,
            active_pes=sums.active_pes + product(now.active, times.astype(arithmetic.real)),
            iterations=sums.iterations + times,
            terminates=sums.terminates | stops(now, live, leads | works),
            overflows=sums.overflows | (live & now.overflows),
            start=sums.start.add(now, live),
        )

    false = jnp.zeros(columns, bool)
    sums: _Sums = walk(
        states,
        step,
        _Sums(
            runtime=jnp.zeros(model.noc_bandwidth.shape, arithmetic.count),
            active_pes=jnp.zeros(columns, arithmetic.real),
            iterations=jnp.zeros(columns, arithmetic.count),
            terminates=false,
            overflows=false,
            start=no_start(columns),
        ),
    )
    l1 = sums.start.l1_needs(shared)
    return LevelCost(
        runtime=sums.runtime,
        active_pes=sums.active_pes / jnp.maximum(sums.iterations, 1).astype(arithmetic.real),
        l1_input=l1[INPUT],
        l1_filter=l1[FILTER],
        l1_output=l1[OUTPUT],
        terminates=sums.terminates,
        overflows=sums.overflows | times_overflow(states),
    )


def stops(now: CaseCost, live: Array, looks: Array) -> Array:
    """Whether the reference terminates in a case: it ``looks`` into it, or it never occurs."""
    return (looks & now.terminates) | (live & (now.times < 1))
