"""Totals of whole networks on every point of a product of layers, dataflows and hardware."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxmaestro.equations.costs import Costs
from jaxmaestro.reductions.objectives import Require, accepted, check_counts, check_require
from jaxmaestro.reductions.stream import chunk_columns

Array = Any

FRACTION = 44
"""Bits of a nJ that energies are kept to: sums of integers do not depend on their order."""
MOST_REPEATS = 2 ** (63 - FRACTION) - 1
MOST_LAYERS = 2 ** (62 - FRACTION)

LATENCY, ENERGY, ENERGY_FRACTION, LAYERS = range(4)
"""Columns of the sums."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class NetworkState:
    """Sums for each network at each point (dataflow, hardware), 32 bytes each."""

    sums: Array  # [networks * points, 4] int64: cycles, whole nJ, parts of 2**-44 nJ, layers accepted
    strays: Array  # [] int64 tuple numbers outside the product


@dataclasses.dataclass(frozen=True)
class PointTotals:
    """Totals of each network at each point, over its layers times their repeats."""

    latency: np.ndarray  # [networks, dataflows, hardware] int64 cycles, one layer after the other
    energy: np.ndarray  # [networks, dataflows, hardware] float64 nJ
    complete: np.ndarray  # [networks, dataflows, hardware] bool: every layer was seen once and accepted

    @property
    def edp(self) -> np.ndarray:
        """Energy-delay product, cycles nJ, float64."""
        return self.latency * self.energy


@dataclasses.dataclass(frozen=True, eq=False)
class NetworkTotals:
    """Latency and energy of networks at every point of a product, from a stream of its tuples.

    Tuple ``(l * dataflows + d) * hardware + h`` is layer ``l`` under dataflow ``d`` on
    accelerator ``h``, as :func:`jaxmaestro.encode_product` numbers them. Network ``i`` runs
    layer ``l`` ``repeat[i, l]`` times, one after the other (0: the layer is not its own), so
    that a layer may belong to many networks. A point is ``complete`` where every
    layer of the network is ``require`` and was added; elsewhere its sums mean nothing.

    Sums do not depend on the order: cycles are exact (a layer that could take them past
    2**63 - 1 is not accepted), energies are rounded to 2**-44 nJ a layer and then summed
    exactly. Memory: 32 bytes a network and point.

    Raises ValueError for a ``repeat`` that is not ``[networks, layers]`` of integers from 0
    to 524,287, a network of no layers or of more than 262,144, and fewer than one dataflow
    or accelerator.
    """

    repeat: Any  # [networks, layers]
    dataflows: int
    hardware: int
    require: Require = "valid"

    def __post_init__(self) -> None:
        check_require(self.require)
        if self.dataflows < 1 or self.hardware < 1:
            raise ValueError(
                f"{self.dataflows} dataflows on {self.hardware} accelerators: give 1 or more of each"
            )
        repeat = np.array(self.repeat)
        if repeat.ndim != 2 or repeat.size == 0 or not np.issubdtype(repeat.dtype, np.integer):
            raise ValueError(
                f"repeat is {repeat.dtype} {list(repeat.shape)}; give integers [networks, layers]"
            )
        if repeat.min() < 0 or repeat.max() > MOST_REPEATS:
            raise ValueError(
                f"a layer is repeated {repeat.min()} to {repeat.max()} times; 0 to {MOST_REPEATS} may be"
            )
        layers = (repeat > 0).sum(1)
        if layers.min() == 0:
            raise ValueError(f"network {layers.argmin()} has no layers")
        if layers.max() > MOST_LAYERS:
            raise ValueError(f"network {layers.argmax()} has more than {MOST_LAYERS} layers")
        repeat = repeat.astype(np.int64)
        repeat.setflags(write=False)  # as frozen as the rest
        object.__setattr__(self, "repeat", repeat)

    @classmethod
    def of_segments(
        cls, segment: Any, dataflows: int, hardware: int, repeat: Any = None, require: Require = "valid"
    ) -> NetworkTotals:
        """Where each layer is of one network: ``segment [layers]``, ``repeat [layers]`` (once)."""
        segment = np.asarray(segment)
        if segment.ndim != 1 or segment.size == 0 or segment.min() < 0:
            raise ValueError(
                f"segment has shape {list(segment.shape)}; give the network of each layer, from 0"
            )
        matrix = np.zeros((segment.max() + 1, len(segment)), np.int64)
        matrix[segment, np.arange(len(segment))] = 1 if repeat is None else repeat
        return cls(matrix, dataflows, hardware, require)

    @property
    def points(self) -> int:
        """Pairs of a dataflow and an accelerator."""
        return self.dataflows * self.hardware

    @cached_property
    def _uses(self) -> np.ndarray:
        """``[layers, most networks of a layer, 3]``: network, repeats, largest figure; network -1: none."""
        used = self.repeat > 0
        place = np.cumsum(used, 0) - 1
        network, layer = np.nonzero(used)
        uses = np.full((self.repeat.shape[1], int(used.sum(0).max()), 3), -1, np.int64)
        largest = (2**63 - 1) // self.repeat.sum(1)
        uses[layer, place[network, layer]] = np.stack(
            [network, self.repeat[network, layer], largest[network]], 1
        )
        return uses

    def start(self) -> NetworkState:
        """The state of no tuples."""
        with jax.enable_x64(True):
            sums = jnp.zeros((len(self.repeat) * self.points, 4), jnp.int64)
            return NetworkState(sums, jnp.zeros((), jnp.int64))

    def add(self, state: NetworkState, index: Array, costs: Costs, *, donate: bool = False) -> NetworkState:
        """The state with a chunk's tuples; see :class:`~jaxmaestro.reductions.stream.Reduction`."""
        check_counts(costs)
        if np.size(index) == 0:
            return state
        with jax.enable_x64(True):
            columns = chunk_columns(index, accepted(costs, self.require), costs.runtime, costs.energy)
            return (_add_donated if donate else _add)(state, self._uses, np.int64(self.points), *columns)

    def merge(self, a: NetworkState, b: NetworkState) -> NetworkState:
        """The state of the tuples of both."""
        with jax.enable_x64(True):
            return _merge(a, b)

    def result(self, state: NetworkState) -> PointTotals:
        """Raises ValueError where tuple numbers were outside the product."""
        strays = int(state.strays)
        if strays:
            size = self.repeat.shape[1] * self.points
            raise ValueError(f"{strays} tuple numbers are not below {size}, the size of the product")
        shape = (len(self.repeat), self.dataflows, self.hardware)
        latency, whole, parts, layers = np.moveaxis(np.asarray(state.sums), 1, 0)
        needed = np.repeat((self.repeat > 0).sum(1), self.points)
        energy = whole + np.ldexp(parts.astype(np.float64), -FRACTION)
        return PointTotals(
            latency.reshape(shape).copy(), energy.reshape(shape), (layers == needed).reshape(shape)
        )


def _add_chunk(
    state: NetworkState,
    uses: Array,
    points: Array,
    index: Array,
    taken: Array,
    runtime: Array,
    energy: Array,
) -> NetworkState:
    index = index.astype(jnp.int64)
    live = index >= 0
    layer = lax.div(index, jnp.broadcast_to(points, index.shape))
    point = index - layer * points
    inside = layer < uses.shape[0]
    layer = jnp.where(live & inside, layer, 0)
    taken = taken & live & inside & (runtime >= 0) & (energy >= 0)
    # Counts of float32 mode are whole numbers.
    cycles, most_cycles = _whole(runtime)
    whole, most_energy = _whole(jnp.floor(energy))
    rest = energy.astype(jnp.float64) - jnp.floor(energy).astype(jnp.float64)
    parts = jnp.rint(rest * 2.0**FRACTION).astype(jnp.int64)
    taken = taken & most_cycles & most_energy
    sums = state.sums
    for use in range(uses.shape[1]):
        network, repeat, largest = (uses[:, use, i][layer] for i in range(3))
        enters = taken & (network >= 0) & (cycles <= largest) & (whole < largest)
        row = jnp.where(enters, network * points + point, sums.shape[0])
        fraction = parts * repeat
        update = jnp.stack(
            [
                cycles * repeat,
                whole * repeat + (fraction >> FRACTION),
                fraction & (2**FRACTION - 1),
                jnp.ones_like(index),
            ],
            1,
        )
        sums = sums.at[row].add(update, mode="drop")
    return NetworkState(sums, state.strays + (live & ~inside).sum())


def _whole(values: Array) -> tuple[Array, Array]:
    """Figures as int64, and whether they are in its range."""
    if jnp.issubdtype(values.dtype, jnp.integer):
        return values.astype(jnp.int64), jnp.ones(values.shape, bool)
    reals = values.astype(jnp.float64)
    fits = reals < 2.0**62
    return jnp.where(fits, reals, 0).astype(jnp.int64), fits


_add = jax.jit(_add_chunk)
_add_donated = jax.jit(_add_chunk, donate_argnums=0)


@jax.jit
def _merge(a: NetworkState, b: NetworkState) -> NetworkState:
    return jax.tree.map(jnp.add, a, b)
