"""Gradient descent on the relaxation from many starts, rounded to mappings that are scored exactly.

As in DOSA (Hong et al., MICRO 2023) each start descends by Adam, is rounded to legal mappings every
so many steps, and the exact model's score of these is what counts; a gradient step counts as a
sample, as an exact score does. After its roundings a start begins anew: at random, or about one
of the best mappings found. The first step asks for random mappings, to have some to begin about.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax  # type: ignore[import-untyped]
from jax import lax

from jaxmaestro.description import DescriptionError, Hardware
from jaxmaestro.encoding.encode import encode_hardware
from jaxmaestro.encoding.tables import HardwareTable
from jaxmaestro.mapspace import Genes, MappingSpace
from jaxmaestro.mapspace.choices import normal, uniform
from jaxmaestro.search.ranking import lexicographic, repeated
from jaxmaestro.search.relaxation import Estimate, Relaxed, Softness, estimate
from jaxmaestro.search.relaxation_coordinates import (
    NOISE,
    Coordinates,
    check_levels,
    drawn,
    near,
    placed,
    rounded,
)

Array = Any

EXPONENTS = {"latency": (1.0, 0.0), "energy": (0.0, 1.0), "edp": (1.0, 1.0)}
"""Objectives: exponents of latency and energy."""

TOWARDS_EVEN = Softness(maximum=0.05, ceiling=0.1, edges=0.0)
"""Points are rounded to tiles that divide evenly, so in between a tile counts for what it holds."""


class Model(Protocol):
    """Figures of a relaxed mapping: the relaxation, or a network that was trained on the exact model."""

    def __call__(
        self, space: MappingSpace, hardware: HardwareTable, mapping: Relaxed, softness: Softness
    ) -> Estimate:
        """Of one mapping of one layer on one accelerator (fields without leading axes)."""


@dataclasses.dataclass(frozen=True)
class Gradient:
    """Searcher; ``starts * roundings`` mappings a step.

    Raises DescriptionError for an objective without exponents and for counts below 1.
    """

    hardware: Hardware
    objective: str = "edp"
    starts: int = 20
    descent: int = 10  # gradient steps before a start is rounded
    rounds: int = 2  # how often it is rounded before it begins anew
    roundings: int = 10  # mappings that it is rounded to each time
    learning_rate: float = 0.1
    penalty: float = 3.0  # weight of what exceeds a limit of the accelerator, in logarithms
    temperatures: tuple[float, float] = (1.0, 0.1)  # of choices, at the first and last step of a start
    softness: Softness = TOWARDS_EVEN
    jitter: float = 0.3
    elites: int = 16  # best mappings that are kept to begin about
    return_share: float = 0.75  # starts that begin about one of them
    spread: float = 0.15
    model: Model = estimate

    def __post_init__(self) -> None:
        if self.objective not in EXPONENTS:
            raise DescriptionError(
                f"the relaxation has no objective {self.objective!r}",
                fix=f"give one of {', '.join(EXPONENTS)}",
            )
        for name in ("starts", "descent", "rounds", "roundings", "elites"):
            if getattr(self, name) < 1:
                raise DescriptionError(f"{name} is {getattr(self, name)}", fix="give one at least")

    @property
    def population(self) -> int:
        """Mappings scored a step."""
        return self.starts * self.roundings

    @property
    def samples(self) -> int:
        """Samples of one step: exact scores, and gradient steps of every start."""
        return self.starts * (self.roundings + self.descent)

    def start(self, space: MappingSpace, key: Array, objectives: int) -> tuple[Memory, Genes]:
        """Random mappings, of which the first starts take the best."""
        check_levels(space)
        points = drawn(space, key, self.starts)
        asked = space.sample(key, self.population)
        memory = Memory(
            points=points,
            optimiser=optax.adam(self.learning_rate).init(points),
            round=jnp.int32(self.rounds - 1),
            elite=asked[jnp.arange(self.elites) % self.population],
            scores=jnp.full((self.elites, objectives), jnp.inf, float),
        )
        return memory, asked

    def update(
        self, space: MappingSpace, memory: Memory, asked: Genes, scores: Array, key: Array
    ) -> tuple[Memory, Genes]:
        """Remember the best, begin anew where it is time, descend, round."""
        k_draw, k_near, k_pick, k_round = jax.random.split(key, 4)
        pool = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), memory.elite, asked)
        known = jnp.concatenate([memory.scores, scores])
        known = jnp.where(repeated(pool)[:, None], jnp.inf, known)
        order = lexicographic(known)[: self.elites]
        elite, best = pool[order], known[order]

        again = (memory.round + 1) % self.rounds
        begun = self._begun(space, elite, best, (k_draw, k_near, k_pick))
        points = _select(jnp.broadcast_to(again == 0, (self.starts,)), begun, memory.points)
        empty = optax.adam(self.learning_rate).init(points)
        optimiser = jax.tree.map(lambda new, old: jnp.where(again == 0, new, old), empty, memory.optimiser)
        memory = self._descended(space, Memory(points, optimiser, again, elite, best))
        return memory, self._rounded(space, memory.points, k_round)

    def loss(
        self, space: MappingSpace, hardware: HardwareTable, point: Coordinates, temperature: Array
    ) -> Array:
        """What is descended on: logarithm of the objective, and how far limits are exceeded."""
        figures = self.model(space, hardware, placed(space, point, temperature), self.softness)
        return log_objective(figures, self.objective) + self.penalty * excess(figures, hardware)

    def _begun(
        self, space: MappingSpace, elite: Genes, scores: Array, keys: tuple[Array, Array, Array]
    ) -> Coordinates:
        """Points to begin from: about some of the best mappings, and random ones."""
        k_draw, k_near, k_pick = keys
        found = jnp.isfinite(scores[:, 0]).sum(dtype=jnp.int32)
        picked = uniform(k_pick, (2, self.starts))
        which = (picked[0] * found.astype(jnp.float32)).astype(jnp.int32)
        back = near(space, elite[which], k_near, self.spread)
        returns = (picked[1] < self.return_share) & (found > 0)
        return _select(returns, back, drawn(space, k_draw, self.starts))

    def _descended(self, space: MappingSpace, memory: Memory) -> Memory:
        """The starts after some gradient steps."""
        hardware = jax.tree.map(lambda a: jnp.asarray(a[0]), encode_hardware([self.hardware]))
        first, last = self.temperatures
        slope = jax.vmap(jax.grad(lambda point, heat: self.loss(space, hardware, point, heat)), (0, None))
        optimiser = optax.adam(self.learning_rate)

        def one(carry: Any, number: Array) -> tuple[Any, None]:
            points, state = carry
            done = (memory.round * self.descent + number).astype(jnp.float32) / (self.rounds * self.descent)
            change = slope(points, first * (last / first) ** done)
            change = jax.tree.map(lambda a: jnp.where(jnp.isfinite(a), a, 0), change)
            change, state = optimiser.update(change, state)
            return (points.moved(change), state), None

        numbers = jnp.arange(1, self.descent + 1, dtype=jnp.int32)
        (points, state), _ = lax.scan(one, (memory.points, memory.optimiser), numbers)
        return dataclasses.replace(memory, points=points, optimiser=state)

    def _rounded(self, space: MappingSpace, points: Coordinates, key: Array) -> Genes:
        """Mappings ``[starts * roundings]``: of each point the nearest, and others about it."""
        noise = self.jitter * normal(key, (self.starts, self.roundings, NOISE))
        noise = noise.at[:, 0].set(0)

        def one(point: Coordinates, own: Array) -> Genes:
            found: Genes = jax.vmap(lambda each: rounded(space, point, each))(own)
            return found

        asked: Genes = jax.vmap(one)(points, noise)
        return asked.flat()


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Memory:
    """Where the starts are, and the best mappings found."""

    points: Coordinates  # [starts]
    optimiser: Any
    round: Array  # int32: how often these starts have been rounded before this time
    elite: Genes  # [e], the best first
    scores: Array  # float64 [e, m]; infinite: none yet


def log_objective(figures: Estimate, objective: str) -> Array:
    """Logarithm of latency, energy or their product."""
    latency, energy = EXPONENTS[objective]
    return latency * jnp.log(figures.latency) + energy * jnp.log(figures.energy)


def excess(figures: Estimate, hardware: HardwareTable) -> Array:
    """How far, in logarithms, a mapping exceeds the limits of an accelerator, smoothly from a little below.

    MACs that are counted too often exceed one, too.
    """
    asked = (figures.l1_size, figures.l2_size, figures.noc_bandwidth, figures.offchip_bandwidth, figures.work)
    limits = (
        *(hardware.l1_size, hardware.l2_size),
        *(hardware.noc_bandwidth[0], hardware.offchip_bandwidth, np.float32(1.02)),
    )
    total = jnp.zeros_like(figures.latency)
    for value, limit in zip(asked, limits, strict=True):
        beyond = jnp.log(value) - jnp.log(jnp.asarray(limit).astype(value.dtype))
        total += jax.nn.softplus(_STEEP * (beyond + _MARGIN)) / _STEEP
    return total


_STEEP, _MARGIN = 10.0, 0.02


def _select(mask: Array, left: Any, right: Any) -> Any:
    def choose(a: Array, b: Array) -> Array:
        return jnp.where(mask.reshape(mask.shape + (1,) * (a.ndim - 1)), a, b)

    return jax.tree.map(choose, left, right)
