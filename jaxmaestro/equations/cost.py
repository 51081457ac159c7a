"""From a batch to its costs: the equations in order, one pure function.

directives -> clusters.py -> tiles.py -> (level by level, innermost first)
cases.py, reuse.py, subtiles.py, level.py -> top.py -> pricing.py, validity.py.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, Literal

import jax
import jax.numpy as jnp

from jaxmaestro.encoding.slots import FILTER, INPUT, OUTPUT, SLIDES_OVER, SLOTS, K
from jaxmaestro.encoding.tables import Batch
from jaxmaestro.equations import pricing
from jaxmaestro.equations.arithmetic import EXACT, FLOAT32, Arithmetic, truncated_div
from jaxmaestro.equations.cases import analyse_states
from jaxmaestro.equations.clusters import Level, analyse_clusters
from jaxmaestro.equations.level import BLOCK, LevelCost, LevelModel, sub_level_cost
from jaxmaestro.equations.reasons import Reason
from jaxmaestro.equations.subtiles import Subtiles, number_subtiles
from jaxmaestro.equations.tiles import Tiles, analyse_tiles
from jaxmaestro.equations.top import Delays, TopCost, top_cost
from jaxmaestro.equations.validity import judge
from jaxmaestro.results.costs import Costs

Array = Any
Precision = Literal["exact", "float32"]


def cost(batch: Batch, precision: Precision = "exact", block: int = BLOCK) -> Costs:
    """Costs of every tuple of a batch, arrays ``[b]`` (``[b, 3]`` by tensor).

    Pure: works under jit, vmap and sharded inputs. ``precision="exact"`` counts
    in int64 (64-bit types are enabled for this call alone); ``"float32"`` counts
    in float32, an approximation (docs/precision.md gives its measured error).
    ``block`` is how many tuples (or sub-tiles of them) are walked through their
    iteration cases side by side: few on a CPU, so that they fit its caches; give
    the length of the batch on a GPU.
    Illegal tuples get zeros and their ``reasons``; nothing is raised.

    Raises ValueError for an unknown precision.
    """
    match precision:
        case "exact":
            with jax.enable_x64(True):
                return compute_costs(batch, EXACT, block)
        case "float32":
            return compute_costs(batch, FLOAT32, block)
    raise ValueError(f"precision is 'exact' or 'float32', not {precision!r}")


def compute_costs(batch: Batch, arithmetic: Arithmetic, block: int = BLOCK) -> Costs:
    """The equations in order; see :func:`cost`.

    Each step is compiled by itself, which takes a fraction of the time that XLA
    needs for all in one (it copies small operations into every fusion that reads
    them); an outer jit still makes one program of them.
    """
    whole = jnp.int64 if arithmetic.exact else jnp.int32
    levels, flags = analyse_clusters(batch, whole)
    sliding = batch.layers.sliding[batch.layer]
    coupled = jnp.moveaxis(batch.layers.coupled[batch.layer], 0, -1)
    lanes = jnp.maximum(batch.hardware.simd_lanes[batch.accelerator], 1).astype(arithmetic.count)
    tiles = [analyse_tiles(level, sliding) for level in levels]
    dims = levels[0].dims.T[:, None]  # the layer itself is the only tile that the top is handed
    states = [analyse_states(tiles[0], dims)]
    subtiles: list[Subtiles] = []
    for index in range(batch.levels - 1):
        subtiles.append(number_subtiles(tiles[index], states[index], batch.variants[index]))
        below_states = analyse_states(tiles[index + 1], subtiles[index].dims)
        unused = jnp.arange(batch.variants[index])[:, None] >= subtiles[index].needed
        states.append(dataclasses.replace(below_states, cases=jnp.where(unused, 0, below_states.cases)))
        crowded = levels[index + 1].exists & (subtiles[index].needed > batch.variants[index])
        flags |= jnp.where(crowded, jnp.uint32(int(Reason.CAPACITY)), jnp.uint32(0))
    rows = jnp.arange(batch.layer.shape[0], dtype=jnp.int32)
    offchip = jnp.maximum(batch.hardware.offchip_bandwidth[batch.accelerator], 1)

    def model(index: int, below: LevelCost | None) -> LevelModel:
        level = levels[index]
        return LevelModel(
            tiles=tiles[index],
            innermost=level.innermost,
            noc_bandwidth=level.noc_bandwidth,
            noc_latency=level.noc_latency,
            coupled=coupled,
            simd_lanes=lanes,
            offchip_bandwidth=offchip.astype(arithmetic.count),
            subtiles=subtiles[index] if below is not None else None,
            below=below,
            rows=rows,
            arithmetic=arithmetic,
        )

    below = None
    for index in range(batch.levels - 1, 0, -1):
        below = sub_level_cost(model(index, below), states[index], block)
    top = top_cost(model(0, below), states[0], block)
    return _assemble(batch, levels[0], tiles[0], top, flags, arithmetic)


def layer_macs(batch: Batch, arithmetic: Arithmetic) -> Array:
    """MACs that each tuple's layer has: strides counted, no padding."""
    lay = batch.layers
    sizes = lay.sizes[batch.layer].astype(arithmetic.count)
    present = lay.present[batch.layer]
    sliding = lay.sliding[batch.layer]
    strides = jnp.maximum(lay.output_strides[batch.layer], 1).astype(arithmetic.count)
    total = jnp.ones(batch.layer.shape, arithmetic.count)
    for d in range(SLOTS):
        size = jnp.where(present[:, d], sizes[:, d], 1)
        if d in SLIDES_OVER:
            stride = strides[:, 0 if d == min(SLIDES_OVER) else 1]
            outputs = truncated_div(size - sizes[:, SLIDES_OVER[d]], stride) + 1
            outputs = jnp.where(size < sizes[:, SLIDES_OVER[d]], 0, outputs)
            size = jnp.where(sliding, outputs, size)
        if d == K:
            size = jnp.where(lay.depthwise[batch.layer], 1, size)
        total = total * size
    return total


def _elements(batch: Batch, masks: Array, arithmetic: Arithmetic) -> Array:
    sizes = batch.layers.sizes[batch.layer].astype(arithmetic.count)
    total = jnp.ones(batch.layer.shape, arithmetic.count)
    for d in range(SLOTS):
        total = total * jnp.where(masks[:, d], sizes[:, d], 1)
    return total


@functools.partial(jax.jit, static_argnames="arithmetic")
def _assemble(
    batch: Batch, level: Level, tiles: Tiles, top: TopCost, flags: Array, arithmetic: Arithmetic
) -> Costs:
    top = jax.tree.map(lambda a: a[0], top)
    real, count = arithmetic.real, arithmetic.count
    lay, hw = batch.layers, batch.hardware
    coupled = lay.coupled[batch.layer]
    sizes = level.dims.astype(count)
    held = [_elements(batch, coupled[:, t], arithmetic) for t in (INPUT, FILTER)]
    # Outputs without strides: what the reference counts as the output's L2 reads.
    outputs = jnp.ones_like(held[0])
    for d in range(SLOTS):
        size = sizes[:, d]
        if d in SLIDES_OVER:
            size = jnp.where(lay.sliding[batch.layer], size - sizes[:, SLIDES_OVER[d]] + 1, size)
        outputs = outputs * jnp.where(coupled[:, OUTPUT, d], size, 1)
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
    costs = Costs(
        runtime=top.runtime,
        num_macs=top.macs,
        layer_macs=layer_macs(batch, arithmetic),
        throughput=top.macs.astype(real) / top.runtime.astype(real),
        ingress_delay=_delays(top.ingress, iterations, arithmetic),
        egress_delay=_delays(top.egress, iterations, arithmetic),
        compute_delay=_delays(top.compute, iterations, arithmetic),
        average_active_pes=top.active_pes / jnp.maximum(iterations, 1).astype(real),
        l1_reads=l1_reads,
        l1_writes=l1_writes,
        l2_reads=l2_reads,
        l2_writes=l2_writes,
        noc_bandwidth_peak=top.peak_bandwidth,
        noc_bandwidth_average=top.bandwidth_sum.astype(real) / iterations.astype(real),
        offchip_bandwidth=top.offchip_bandwidth,
        intensity_macs=top.last_macs,
        intensity_traffic=top.last_traffic,
        noc_bandwidth_sum=top.bandwidth_sum,
        iterations=iterations,
        l1_sizes=l1_sizes,
        l2_sizes=l2_sizes,
        input_elements=_elements(batch, lay.printed[batch.layer, 0], arithmetic),
        filter_elements=_elements(batch, lay.printed[batch.layer, 1], arithmetic),
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
    return judge(batch, costs, level, tiles, top, arithmetic)


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
