"""Searching the mappings of many (layer, accelerator) pairs side by side, in blocks of fixed shape."""

from __future__ import annotations

import dataclasses
import functools
import zlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmaestro.accelerators.elites import Elites, Exploration, Wanted, insert, nothing, propose
from jaxmaestro.accelerators.roofline import roofline
from jaxmaestro.description import UNLIMITED, Hardware, Layer
from jaxmaestro.encoding.encode import encode_hardware
from jaxmaestro.encoding.packed import Packed
from jaxmaestro.encoding.tables import HardwareTable
from jaxmaestro.equations.costs import Costs
from jaxmaestro.execution.programs import Shape
from jaxmaestro.mapspace import Genes, MappingOptions, MappingSpace
from jaxmaestro.search.evaluation import crowded, evaluated, laid_out, shape_for
from jaxmaestro.search.problem import Problem

Array = Any

BLOCK = 32
"""Pairs that are searched side by side: with 64 mappings each, two chunks of the cost model's program."""
_DIVISORS = 48  # at least so many columns, so that networks share the compiled programs


@dataclasses.dataclass(frozen=True, eq=False)
class Lanes:
    """The searches of every layer on every point; row ``point * layers + layer``."""

    layers: tuple[Layer, ...]
    points: tuple[Hardware, ...]  # without buffers: the limit is the budget
    space: MappingSpace  # of the layers
    hardware: HardwareTable  # of the points, buffers unlimited
    least: np.ndarray  # float64 [points, layers] cycles, the roofline
    key: np.ndarray  # uint32 [points, layers] does not depend on which others there are
    goals: tuple[str, ...]
    exploration: Exploration

    @classmethod
    def of(
        cls,
        layers: Sequence[Layer],
        points: Sequence[Hardware],
        goals: Sequence[str],
        seed: int = 0,
        options: MappingOptions | None = None,
        exploration: Exploration | None = None,
    ) -> Lanes:
        """Raises as :meth:`MappingSpace.of`."""
        most = max(point.num_pes for point in points)
        space = MappingSpace.of(list(layers), most, options)
        divisors = np.asarray(space.divisors)
        missing = max(_DIVISORS - divisors.shape[-1], 0)
        space = dataclasses.replace(
            space, divisors=np.pad(divisors, ((0, 0), (0, 0), (0, missing)), mode="edge")
        )
        open_ = [point.replace(l1_size=UNLIMITED, l2_size=UNLIMITED) for point in points]
        words = [[_crc(seed, point, layer) for layer in layers] for point in points]
        return cls(
            layers=tuple(layers),
            points=tuple(points),
            space=space,
            hardware=encode_hardware(open_),
            least=np.array([[roofline(layer, point) for layer in layers] for point in points]),
            key=np.array(words, np.uint32),
            goals=tuple(goals),
            exploration=exploration or Exploration(),
        )

    def row(self, index: np.ndarray) -> tuple[MappingSpace, HardwareTable, np.ndarray]:
        """Spaces, accelerators and rooflines of rows ``[n]``."""
        point, layer = np.divmod(index, len(self.layers))
        hardware = jax.tree.map(lambda a: a[point], self.hardware)
        space = dataclasses.replace(self.space.row(layer), num_pes=hardware.num_pes)
        return space, hardware, self.least[point, layer]


def run_block(
    lanes: Lanes,
    rows: np.ndarray,
    wanted: Wanted,
    start: Elites | None,
    first: int,
    steps: int,
    threads: int | None = None,
) -> tuple[Elites, np.ndarray]:
    """Elites ``[n]`` of up to :data:`BLOCK` rows after so many steps, the first numbered ``first``.

    Also the valid mappings that each row evaluated. ``wanted`` has arrays ``[n, ...]``.
    """
    with jax.enable_x64(True):
        count = len(rows)
        fill = np.minimum(np.arange(BLOCK), count - 1)
        space, hardware, least = lanes.row(rows[fill])
        held = jax.tree.map(lambda a: np.asarray(a)[fill], wanted)
        goals, exploration = lanes.goals, lanes.exploration
        if start is None:
            blank = nothing(lanes.space.row(0), len(goals))
            elites = jax.tree.map(lambda a: np.broadcast_to(np.asarray(a), (BLOCK, *a.shape)), blank)
        else:
            elites = jax.tree.map(lambda a: np.asarray(a)[fill], start)
        problem = Problem(space, hardware, np.arange(BLOCK, dtype=np.int32), held.key, ("latency",))
        shape = shape_for(space.depth, BLOCK * exploration.population)
        valid = np.zeros(BLOCK, np.int64)
        asked, chunks = _propose(problem, elites, held, np.int32(first), goals, exploration, shape)
        for step in range(first, first + steps):
            flat = np.asarray(evaluated(chunks, shape, needs, threads))
            figures = flat[: BLOCK * exploration.population].reshape(BLOCK, exploration.population, 4)
            # The cost model truncates; what it puts below the roofline does not count.
            figures = np.where((figures[..., :1] < least[:, None, None]), np.inf, figures)
            valid += np.isfinite(figures[..., 0]).sum(1)
            elites = _insert(elites, asked, figures, held, goals)
            if step + 1 < first + steps:
                asked, chunks = _propose(problem, elites, held, np.int32(step + 1), goals, exploration, shape)
        return jax.tree.map(lambda a: np.asarray(a)[:count], elites), valid[:count]


@functools.partial(jax.jit, static_argnames=("goals", "exploration", "shape"))
def _propose(
    problem: Problem,
    elites: Elites,
    wanted: Wanted,
    step: Array,
    goals: tuple[str, ...],
    exploration: Exploration,
    shape: Shape,
) -> tuple[Genes, list[Packed]]:
    def one(space: MappingSpace, own: Elites, row: Wanted) -> Genes:
        key = jax.random.fold_in(jax.random.key(row.key), step)
        return propose(space, own, row, key, goals, exploration)

    asked = jax.vmap(one)(problem.space, elites, wanted)
    return asked, laid_out(problem, asked, shape)


@functools.partial(jax.jit, static_argnames="goals")
def _insert(elites: Elites, asked: Genes, figures: Array, wanted: Wanted, goals: tuple[str, ...]) -> Elites:
    return jax.vmap(functools.partial(insert, goals=goals))(elites, asked, figures, wanted)


@jax.jit
def needs(costs: Costs) -> tuple[Array, Array]:
    """Latency, energy, L1 and L2 needed, float64; infinite where a mapping is not valid."""
    flat = jax.tree.map(lambda a: a.reshape(-1, *a.shape[3:]), costs)
    columns = (flat.runtime, flat.energy, flat.l1_sizes.sum(-1), flat.l2_sizes.sum(-1))
    figures = jnp.stack([column.astype(jnp.float64) for column in columns], -1)
    return jnp.where(flat.valid[:, None], figures, jnp.inf), crowded(flat)


def _crc(seed: int, point: Hardware, layer: Layer) -> int:
    """A number for a row, the same wherever and beside whatever it is searched."""
    return zlib.crc32(repr((seed, point, layer.type.value, layer.dimensions, layer.strides)).encode())
