"""A smooth stand-in for the cost model: latency, energy and EDP of mappings of one or two levels.

Tiles, cluster sizes and trip counts are real numbers, the spatial dimension of a level is a
weight a dimension (a softmax), and the order of its loops a weight a pair of loops (a sigmoid of
the difference of their rank keys). The equations are those of the exact model (MICRO'19, reuse,
performance and cost analysis; docs/equations.md) for mappings that do each piece of work once:

- Loop d, of n_d tiles, is the innermost one to move (n_d - 1) times for every tile of the loops
  around it. A tensor that depends on d is then fetched again, in whole if a loop within d that it
  depends on starts over, else only what is new; any other stays where it is.
- An iteration takes as long as the slowest of its compute, its inputs, its outputs and the
  off-chip transfers, except the first, in which inputs come before the compute.

What is left out: edge tiles (a ragged dimension counts as a real number of tiles), truncation,
and what the reference counts wrongly. ``Estimate.work`` tells how far MACs are counted too often.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp

from jaxmaestro.encoding.slots import OUTPUT, SLIDES_OVER, SLOTS
from jaxmaestro.encoding.tables import HardwareTable
from jaxmaestro.equations import pricing
from jaxmaestro.mapspace import Genes, MappingSpace

Array = Any

LEVELS = 2
"""Cluster levels that the relaxation knows."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Relaxed:
    """One relaxed mapping (no leading axes; ``jax.vmap`` over many), real arrays."""

    two: Array  # 1: two cluster levels, 0: one; the second is then not looked at
    spatial: Array  # [2, 8] weights of the spatial dimension, each row sums to 1
    cluster: Array  # PEs in a cluster
    outside: Array  # [2, 8, 8] weight with which loop e lies outside loop d; 0 on the diagonal
    tile: Array  # [2, 8] outputs along Y and X of a convolution, else elements


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Estimate:
    """Figures of one relaxed mapping, all real and positive."""

    latency: Array  # cycles
    energy: Array  # nJ
    l1_size: Array  # bytes a PE
    l2_size: Array  # bytes
    noc_bandwidth: Array  # elements a cycle that the mapping asks for
    offchip_bandwidth: Array
    work: Array  # MACs counted over MACs of the layer

    @property
    def edp(self) -> Array:
        """Energy times latency, nJ cycles."""
        return self.energy * self.latency


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Softness:
    """How smooth the steps are; all go to the exact functions as they go to 0."""

    maximum: Array | float = 0.1  # the norm that stands for a maximum has the exponent 1 / maximum
    ceiling: Array | float = 0.1  # sawtooth of rounding up: its harmonics fall by exp(-ceiling)
    edges: Array | float = 1.0  # 1: a ragged last tile takes a step as any other, 0: its part of one;
    # and so a last cluster that is not whole: it is idle, or counts for its part


def smooth_max(values: Array, softness: Array | float) -> Array:
    """A maximum of positive numbers over the first axis: their norm of exponent ``1 / softness``."""
    return jnp.exp(softness * jax.nn.logsumexp(jnp.log(values) / softness, axis=0))


def smooth_ceil(value: Array, softness: Array | float) -> Array:
    """A smooth rounding up of a positive number; whole numbers stay what they are.

    The Fourier series of the sawtooth with its harmonics damped, moved a little, so that its steps
    lie just beyond whole numbers. All below a half counts as a half, which is rounded to one.
    """
    least = 0.5 + jax.nn.softplus(_STEEP * (value - 0.5)) / _STEEP
    shift = _shift(softness, value.dtype)
    return least + _saw(least - shift, softness) + _saw(shift, softness)


def smooth_floor(value: Array, softness: Array | float) -> Array:
    """A smooth rounding down of a number of at least one, as :func:`smooth_ceil` rounds up."""
    shift = _shift(softness, value.dtype)
    return value + _saw(value + shift, softness) - _saw(shift, softness)


def _saw(place: Array, softness: Array | float) -> Array:
    """A damped sawtooth: nearly 1/2 just beyond whole numbers, falling to -1/2 just before the next."""
    damping = jnp.exp(-jnp.asarray(softness, place.dtype))
    angle = 2 * jnp.pi * place
    return jnp.arctan2(damping * jnp.sin(angle), 1 - damping * jnp.cos(angle)) / jnp.pi


def _shift(softness: Array | float, real: Any) -> Array:
    """About where the damped sawtooth is as high as the sharp one."""
    return jnp.sqrt((1 - jnp.exp(-jnp.asarray(softness, real))) / 2) / jnp.pi


_STEEP = 20.0  # of what bends into a half


def relaxed(space: MappingSpace, genes: Genes) -> Relaxed:
    """The point of the relaxation that stands for one mapping (genes without leading axes)."""
    real, (tile, order, spatial) = jnp.result_type(float), (genes.tile, genes.order, genes.spatial)
    if space.depth < LEVELS:
        tile, order, spatial = (jnp.concatenate([a, a]) for a in (tile, order, spatial))
    cluster = genes.cluster[..., 0] if space.depth > 1 else jnp.int32(1)
    return Relaxed(
        two=(genes.levels > 1).astype(real),
        spatial=jax.nn.one_hot(spatial, SLOTS, dtype=real),
        cluster=cluster.astype(real),
        outside=(order[:, None, :] < order[:, :, None]).astype(real),
        tile=tile.astype(real),
    )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class _Level:
    """One level; traffic in elements, over all of its sub-clusters."""

    counts: Array  # [9] occurrences of: the first iteration, then each loop being the innermost to move
    inputs: Array  # [9] input and filter elements that come in then
    traffic: Array  # [2] input, filter elements over all iterations
    first: Array  # [2] in the first iteration
    outputs: Array  # output elements that go out in an iteration
    iterations: Array
    fullness: Array  # average tile over a whole one
    held: Array  # elements of all tensors in one sub-cluster
    work: Array  # MACs of one sub-cluster in an iteration
    parallel: Array  # sub-clusters at work, on average


def _level(
    space: MappingSpace,
    softness: Softness,
    above: Array,
    tile: Array,
    spatial: Array,
    outside: Array,
    clusters: Array,
    handed: Array,
) -> _Level:
    """``above`` (``[8]``) is tiled by ``tile`` over ``clusters`` sub-clusters.

    ``handed`` (``[8]``): how many such tiles the level is handed along each dimension, one after the
    other; a broken number has a smaller last one.
    """
    coupled = jnp.asarray(space.layers.coupled)
    number = above / tile
    rounds = _rounds(number / clusters, handed, softness)
    # A ragged last tile is brought in as if it were whole; outputs and MACs are counted as they are.
    tiles = jnp.log(smooth_ceil(number, softness.ceiling))
    steps = softness.edges * tiles + (1 - softness.edges) * jnp.log(number)
    loops = (1 - spatial) * steps + spatial * jnp.log(rounds)
    fullness = (1 - spatial) * (jnp.log(number) - steps)
    active = spatial * (jnp.log(number) - jnp.log(rounds))
    trips = jnp.exp(loops)
    held, new, out, out_new = _elements(space, tile)

    # The innermost loop to move: each of the loops outside it may be anywhere.
    moves = jnp.exp(outside @ loops) * (trips - 1)
    inside = 1 - outside - jnp.eye(SLOTS, dtype=tile.dtype)
    turns = 1 - jnp.exp(-4 * loops)  # whether a loop starts over: 0 for one tile, about 1 from two on
    # Input and filter side by side, [2, 8]; whether a loop within each, on which they depend, starts over.
    depends = coupled[:OUTPUT]
    restarts = 1 - _product(1 - _NEARLY * inside * turns, depends[:, None])
    volume = _product(held, depends)[:, None]
    share = jnp.where(depends, new / held, 1)
    others = jnp.exp(jnp.where(depends, active, 0).sum(-1, keepdims=True)) - 1
    # Of the loop that moved only what is new; so too between neighbours, if the loop over the
    # sub-clusters moved or started over.
    step = 1 - (1 - restarts) * (1 - spatial) * (1 - share)
    moved = jnp.where(jnp.eye(SLOTS, dtype=bool), 1 - restarts[..., None], inside)
    neighbour = 1 - (moved * jnp.where(depends, spatial * (1 - share), 0)[:, None]).sum(-1)
    later = jnp.where(depends, volume * step * (1 + others * neighbour), 0)
    first = volume * (1 + others)
    incoming = jnp.concatenate([first, later], -1)
    counts = jnp.concatenate([jnp.ones(1, moves.dtype), moves])
    kept = coupled[OUTPUT]
    leaving = jnp.exp(jnp.where(kept, active, 0).sum()) - 1
    between = 1 - jnp.where(kept, spatial * (1 - out_new / out), 0).sum()
    elements = _product(held, coupled).sum()
    return _Level(
        counts=counts,
        inputs=incoming.sum(0),
        traffic=(incoming * counts).sum(-1),
        first=first[:, 0],
        outputs=_product(out * jnp.exp(fullness), kept) * (1 + leaving * between),
        iterations=jnp.exp(loops.sum()),
        fullness=jnp.exp(fullness.sum()),
        held=elements,
        work=_product(jnp.where(kept, out, tile)) * jnp.exp(fullness.sum()),
        parallel=jnp.exp(active.sum()),
    )


def _product(values: Array, which: Array | bool = True) -> Array:
    """Of positive numbers, over the last axis. The gradient of ``jnp.prod`` takes far longer to compile."""
    return jnp.exp(jnp.where(which, jnp.log(values), 0).sum(-1))


_NEARLY = 1 - 1e-6  # keeps the logarithm of what is nearly 0 finite


def _rounds(share: Array, handed: Array, softness: Softness) -> Array:
    """Rounds that the sub-clusters take to share out a tile, on average over the tiles handed down.

    ``share``: sub-tiles for each sub-cluster in a whole tile; the last tile may have fewer.
    """
    whole = smooth_ceil(handed, softness.ceiling) - 1
    rounds, last = smooth_ceil(jnp.stack([share, share * (handed - whole)]), softness.ceiling)
    return (whole * rounds + last) / handed


def _elements(space: MappingSpace, tile: Array) -> tuple[Array, Array, Array, Array]:
    """Input elements held and new, output elements held and new, along each dimension ``[8]``.

    A tile of t outputs of a convolution of stride s and filter r takes ``t min(s, r) + max(r - s, 0)``
    inputs; the model counts all windows in them as outputs, whatever the stride.
    """
    held = new = out = out_new = tile
    sliding = jnp.asarray(space.layers.sliding)
    for axis, window in SLIDES_OVER.items():
        stride, size = jnp.asarray(space.stride)[axis], jnp.asarray(space.extent)[window]
        step = tile[axis] * jnp.minimum(stride, size)
        rows = step + jnp.maximum(size - stride, 0)
        windows = rows - size + 1
        leaves = jnp.minimum(step, rows)
        values = (rows, leaves, windows, leaves)
        held, new, out, out_new = (
            array.at[axis].set(jnp.where(sliding, value, tile[axis]))
            for array, value in zip((held, new, out, out_new), values, strict=True)
        )
    return held, new, out, out_new


def _runtime(level: _Level, compute: Array, bandwidth: Array, latency: Array, softness: Softness) -> Array:
    """Cycles of each kind of iteration ``[9]``: the first, then by the loop that moved."""

    def delay(elements: Array) -> Array:
        sends = smooth_max(jnp.stack([elements / bandwidth, jnp.ones_like(elements)]), softness.maximum)
        return latency + sends - 1

    # Below a cycle (a latency of 0 and little to send) the compute decides anyway.
    ingress = jnp.maximum(delay(level.inputs + 1e-6), 1e-3)
    egress = jnp.maximum(delay(level.outputs), 1e-3)
    parts = jnp.broadcast_arrays(compute, ingress[1:], egress)
    later = smooth_max(jnp.stack(parts), softness.maximum)
    return jnp.concatenate([(compute + ingress[0])[None], later])


def estimate(space: MappingSpace, hardware: HardwareTable, mapping: Relaxed, softness: Softness) -> Estimate:
    """Figures of one relaxed mapping of one layer on one accelerator (fields without leading axes)."""
    real, two, one = mapping.tile.dtype, mapping.two, 1 - mapping.two
    extent = jnp.asarray(space.extent).astype(real)
    names = ("simd_lanes", "num_pes", "noc_bandwidth", "noc_latency", "offchip_bandwidth")
    given = (jnp.asarray(getattr(hardware, name)).astype(real) for name in names)
    lanes, pes, bandwidth, latency, offchip = given

    def pick(if_two: Array, if_one: Array) -> Array:
        """Between the figures of one and of two levels."""
        return jnp.exp(two * jnp.log(if_two) + one * jnp.log(if_one))

    tile, spatial = mapping.tile, mapping.spatial
    clusters = pes / pick(mapping.cluster, jnp.ones_like(mapping.cluster))
    # PEs that make up no whole cluster are idle.
    clusters = clusters ** (1 - softness.edges) * smooth_floor(clusters, softness.ceiling) ** softness.edges
    # Tiles side by side are done at once: the largest counts.
    handed = jnp.stack([jnp.ones_like(extent), (extent / tile[0]) ** (1 - spatial[0])])
    above, wide = jnp.stack([extent, tile[0]]), jnp.stack([clusters, mapping.cluster])
    # Both levels in one: XLA then compiles their equations once.
    level = functools.partial(_level, space, softness)
    levels = jax.vmap(level)(above, tile, spatial, mapping.outside, wide, handed)
    top, below = (jax.tree.map(lambda a, number=number: a[number], levels) for number in range(LEVELS))

    def busy(level: _Level) -> Array:
        return smooth_max(jnp.stack([level.work / lanes, jnp.ones_like(level.work)]), softness.maximum)

    inner = (below.counts * _runtime(below, busy(below), bandwidth[0], latency[0], softness)).sum()
    compute = pick(inner * top.fullness, busy(top))
    times = _runtime(
        top, compute, two * bandwidth[1] + one * bandwidth[0], two * latency[1] + one * latency[0], softness
    )
    contents = smooth_max(jnp.stack([top.first.sum(), top.outputs]), softness.maximum)
    transfer = jnp.broadcast_to(contents / offchip, times.shape)
    total = (top.counts * smooth_max(jnp.stack([times, transfer]), softness.maximum)).sum()

    macs = top.iterations * top.parallel * top.work
    coupled = jnp.asarray(space.layers.coupled)
    stored = _product(_elements(space, extent)[0], coupled[:OUTPUT]).sum()
    l1 = 4 * macs + top.traffic.sum()
    l2 = top.traffic.sum() + stored + top.iterations * top.outputs
    return Estimate(
        latency=total,
        energy=pricing.MAC_ENERGY * (pricing.L1_ENERGY * l1 + pricing.L2_ENERGY * l2),
        l1_size=2 * pick(below.held, top.held),
        l2_size=2 * (top.first.sum() + top.outputs),
        noc_bandwidth=contents / compute,
        offchip_bandwidth=contents / compute,
        work=macs / _product(extent, coupled.any(0)),
    )
