"""Performance of one cluster level (MICRO'19, performance analysis).

A level's time is the sum over its iteration cases of the slowest of: bringing
inputs in, computing (what the sub-clusters take), and taking outputs out; only
in the very first iteration do the first two come one after the other.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxmaestro.encoding.slots import FILTER, INPUT, OUTPUT, SLOTS
from jaxmaestro.equations.arithmetic import Arithmetic
from jaxmaestro.equations.cases import Case, States, advance, case_of
from jaxmaestro.equations.clusters import Shared
from jaxmaestro.equations.factors import Factors, output_factors
from jaxmaestro.equations.reuse import (
    Outputs,
    changing_loop,
    ingress_traffic,
    outer_spread,
    outputs_of,
    ragged_slots,
)
from jaxmaestro.equations.subtiles import Subtiles, look_up, subtile_number
from jaxmaestro.equations.tiles import Tiles

Array = Any

BLOCK = 64
"""Columns (sub-tiles of tuples) that are walked through their cases side by side on a CPU."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LevelCost:
    """What the level above needs of each sub-tile; arrays ``[v, b]``."""

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
    """Everything about a level that its iteration cases share."""

    tiles: Tiles
    innermost: Array  # bool [b]
    noc_bandwidth: Array  # [b]
    noc_latency: Array  # [b]
    shared: Shared
    subtiles: Subtiles | None  # None: no tuple of the batch has a level below
    below: LevelCost | None
    arithmetic: Arithmetic = dataclasses.field(metadata={"static": True})

    def take(self, index: Array) -> LevelModel:
        """The model of some of its columns; ``below`` stays whole."""
        rest = dataclasses.replace(self, below=None)
        return dataclasses.replace(
            jax.tree.map(lambda a: jnp.take(a, index, axis=-1), rest), below=self.below
        )


@dataclasses.dataclass(frozen=True)
class CaseCost:
    """Traffic and delays of one case; arrays ``[v, b]``."""

    case: Case
    ingress: tuple[Array, Array]  # elements of input, of filter
    outputs: Outputs
    works: Array  # bool: the reference skips a case without partial sums
    compute: Array  # cycles
    active: Array  # sub-clusters, or PEs below them
    ingress_delay: Array
    egress_delay: Array
    delay: Array  # of one occurrence
    l1: tuple[Array, Array, Array] | None  # of the first sub-tile; None: no level below
    terminates: Array
    overflows: Array


def case_cost(model: LevelModel, states: States, factors: Factors, digits: Array) -> CaseCost:
    """Traffic and delay of the case given by the loops' states."""
    tiles, count = model.tiles, model.arithmetic.count
    case = case_of(tiles, states, digits, count)
    changing = changing_loop(tiles, case)
    outputs = outputs_of(tiles, factors, case, model.shared.coupled, count)
    inputs, stop_i = ingress_traffic(tiles, case, changing, model.shared.coupled[INPUT], count)
    filters, stop_f = ingress_traffic(tiles, case, changing, model.shared.coupled[FILTER], count)
    works = outputs.partial_sums > 0
    outer = outer_spread(tiles, case)
    active = jnp.where(outer.edge, tiles.edge_clusters, tiles.clusters).astype(count)
    base = model.arithmetic.ceil_div(outputs.partial_sums, model.shared.simd_lanes)
    terminates, overflows = stop_i | stop_f, case.overflows
    if model.below is None or model.subtiles is None:
        compute, active_pes, l1 = base, active.astype(model.arithmetic.real), None
    else:
        compute, active_pes, l1, stops, wraps = _sub_clusters(model, case, outer.edge, outer.ragged, active)
        innermost = model.innermost
        compute = jnp.where(innermost, base, compute)
        active_pes = jnp.where(innermost, active.astype(model.arithmetic.real), active_pes)
        terminates = terminates | (works & ~innermost & stops)
        overflows = overflows | (works & ~innermost & wraps)
    bandwidth = model.noc_bandwidth.astype(count)
    latency = model.noc_latency.astype(count)
    # NoC pipe (MICRO'19, performance analysis): the head takes the latency, then one send a cycle.
    ingress_delay = latency + model.arithmetic.ceil_div(inputs + filters, bandwidth) - 1
    egress_delay = latency + model.arithmetic.ceil_div(outputs.egress, bandwidth) - 1
    overlapped = jnp.maximum(egress_delay, jnp.maximum(compute, ingress_delay))
    delay = jnp.where(case.all_init, compute + ingress_delay, overlapped)
    return CaseCost(
        case,
        (inputs, filters),
        outputs,
        works,
        compute,
        active_pes,
        ingress_delay,
        egress_delay,
        delay,
        l1,
        terminates,
        overflows,
    )


def _sub_clusters(
    model: LevelModel, case: Case, edge: Array, ragged: Array, active: Array
) -> tuple[Array, Array, tuple[Array, Array, Array], Array, Array]:
    """Time, active PEs and first L1 need of the sub-clusters of a case.

    At a ragged spatial edge two sub-tiles are at work: the last sub-cluster's
    and the others'; the slower one counts.
    """
    below, subtiles, real = model.below, model.subtiles, model.arithmetic.real
    assert below is not None and subtiles is not None
    uneven = edge & ragged
    rest = active - 1
    plain = subtile_number(subtiles, ragged_slots(model.tiles, case, last=False))
    last = subtile_number(subtiles, ragged_slots(model.tiles, case, last=True))
    runs_plain = ~uneven | (rest > 0)

    def of(table: Array) -> tuple[Array, Array]:
        return look_up(table, plain, model.shared.row), look_up(table, last, model.shared.row)

    time_plain, time_last = of(below.runtime)
    compute = jnp.maximum(jnp.where(runs_plain, time_plain, 0), jnp.where(uneven, time_last, 0))
    compute = jnp.maximum(compute, 0)
    pes_plain, pes_last = of(below.active_pes)
    number = jnp.where(uneven, rest, active).astype(real)
    pes = jnp.where(uneven, pes_last, 0) + jnp.where(runs_plain, pes_plain * number, 0)
    pes = jnp.where(pes == 0, active.astype(real), pes)
    l1 = []
    for table in (below.l1_input, below.l1_filter, below.l1_output):
        plain_need, last_need = of(table)
        l1.append(jnp.where(uneven, last_need, plain_need))
    flags = []
    for table in (below.terminates, below.overflows):
        plain_flag, last_flag = of(table)
        flags.append((runs_plain & plain_flag) | (uneven & last_flag))
    return compute, pes, (l1[0], l1[1], l1[2]), flags[0], flags[1]


def mapped_volumes(model: LevelModel) -> tuple[Array, Array, Array]:
    """Elements of each tensor that a sub-cluster holds, ``[b]``."""
    mapped = model.tiles.mapped[:SLOTS]
    volumes = jnp.where(model.shared.coupled, mapped[None], 1).prod(axis=1, dtype=model.arithmetic.count)
    return volumes[INPUT], volumes[FILTER], volumes[OUTPUT]


@functools.partial(jax.jit, static_argnames="block")
def sub_level_cost(model: LevelModel, states: States, block: int) -> LevelCost:
    """Cost of a level below the top for every sub-tile that it may be handed."""
    cost: LevelCost = in_blocks(_sub_level_cost, model, states, block)
    return cost


def _sub_level_cost(model: LevelModel, states: States) -> LevelCost:
    arithmetic = model.arithmetic
    factors = output_factors(model.tiles, states, model.shared.coupled)
    shape = states.cases.shape
    zero = jnp.zeros(shape, arithmetic.count)
    real = jnp.zeros(shape, arithmetic.real)
    own = mapped_volumes(model)
    false = jnp.zeros(shape, bool)
    start = LevelCost(zero, real, zero, zero, zero, false, false)

    def step(cost: LevelCost, started: Array, iterations: Array, digits: Array, live: Array) -> Any:
        now = case_cost(model, states, factors, digits)
        works = live & now.works
        times = jnp.where(works, now.case.times, 0)
        leads = live & ~started  # buffers are sized again until a case has work
        stops = ((leads | works) & now.terminates) | (live & (now.case.times < 1))
        needs = (cost.l1_input, cost.l1_filter, cost.l1_output)
        l1 = first_path_l1(model, needs, own, now, leads, works & ~started)
        return (
            LevelCost(
                runtime=cost.runtime + times * now.delay,
                active_pes=cost.active_pes + now.active * times.astype(arithmetic.real),
                l1_input=l1[0],
                l1_filter=l1[1],
                l1_output=l1[2],
                terminates=cost.terminates | stops,
                overflows=cost.overflows | (live & now.overflows),
            ),
            started | works,
            iterations + times,
        )

    cost, _, iterations = walk_cases(states, step, (start, false, zero))
    average = cost.active_pes / jnp.maximum(iterations, 1).astype(arithmetic.real)
    return dataclasses.replace(cost, active_pes=average)


def first_path_l1(
    model: LevelModel,
    needs: tuple[Array, ...],
    own: tuple[Array, ...],
    now: CaseCost,
    leads: Array,
    starts: Array,
) -> list[Array]:
    """L1 needs of input, filter and output, of the innermost level on the path of first cases.

    ``leads``: no case has had work before this one; ``starts``: this is the first that
    has. Until then the level's own needs count, the inputs' once more at each case; from
    there on, where there is a level below, those of the first sub-tile.
    """
    found = []
    for tensor, (so_far, mine) in enumerate(zip(needs, own, strict=True)):
        grown = mine if tensor == OUTPUT else mine + so_far
        need = jnp.where(leads, grown, so_far)
        if now.l1 is not None:
            need = jnp.where(starts & ~model.innermost, now.l1[tensor], need)
        found.append(need)
    return found


def walk_cases(states: States, step: Any, start: tuple[Any, ...]) -> tuple[Any, ...]:
    """Fold ``step(*carry, digits, live)`` over all cases of all columns, in the reference's order."""
    digits, countdowns = jnp.zeros_like(states.number), jnp.ones_like(states.number)

    def body(loop: Any) -> Any:
        index, digits, countdowns, carry = loop
        carry = step(*carry, digits, index < states.cases)
        digits, countdowns = advance(states, digits, countdowns)
        return index + 1, digits, countdowns, carry

    def unfinished(loop: Any) -> Array:
        return (loop[0] < states.cases).any()

    return lax.while_loop(unfinished, body, (jnp.int32(0), digits, countdowns, start))[3]


def in_blocks(cost_of: Any, model: LevelModel, states: States, block: int) -> Any:
    """``cost_of(model, states)`` over all columns (sub-tile, tuple) in blocks of like length.

    A block takes as long as its column with the most cases, so columns are sorted
    by their number of cases first; columns without any are skipped.
    """
    shape = states.cases.shape
    tuples = shape[1]
    columns = states.cases.size
    if columns <= block:
        return cost_of(model, states)
    order = jnp.argsort(-states.cases.reshape(-1))
    padding = -columns % block
    padded = jnp.concatenate([order, jnp.broadcast_to(order[-1:], (padding,))]).reshape(-1, block)
    flat = jax.tree.map(lambda a: a.reshape(*a.shape[:-2], columns), states)

    def one(index: Array) -> Any:
        here = jax.tree.map(lambda a: jnp.take(a, index, axis=-1)[..., None, :], flat)
        return cost_of(model.take(jnp.remainder(index, tuples)), here)

    nothing = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), jax.eval_shape(one, padded[0]))

    def one_or_none(index: Array) -> Any:
        return lax.cond(flat.cases[index[0]] > 0, one, lambda _: nothing, index)

    results = lax.map(one_or_none, padded)
    place = jnp.zeros(columns, jnp.int32).at[order].set(jnp.arange(columns, dtype=jnp.int32))

    def restore(a: Array) -> Array:
        a = jnp.moveaxis(a, 0, -2)  # [..., 1, blocks, block]
        a = a.reshape(*a.shape[:-3], -1)
        return jnp.take(a, place, axis=-1).reshape(*a.shape[:-1], *shape)

    return jax.tree.map(restore, results)
