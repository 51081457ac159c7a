"""A flax network in the place of the relaxation, trained on samples of the exact model.

As in Mind Mappings (Hegde et al., ASPLOS 2021): random mappings of some layers, by default of a
sample of shapes that networks have, are scored once by the exact model, a network learns the
figures, and the search descends on the network's inputs (:func:`guided`: a
:class:`~jaxmaestro.search.gradient.Gradient` whose model is the surrogate). It knows one
accelerator. Mappings that the exact model calls unsound are left out: their figures mean nothing.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax  # type: ignore[import-untyped]

from jaxmaestro.accuracy.metrics import spearman
from jaxmaestro.description import DescriptionError, Hardware, Layer
from jaxmaestro.encoding.encode import encode_hardware
from jaxmaestro.encoding.tables import Batch, HardwareTable
from jaxmaestro.equations.costs import Costs
from jaxmaestro.evaluation import evaluate_batch
from jaxmaestro.mapspace import Genes, MappingOptions, MappingSpace
from jaxmaestro.search.gradient import Gradient
from jaxmaestro.search.relaxation import LEVELS, Estimate, Relaxed, Softness, relaxed

Array = Any

FIGURES = ("latency", "energy", "l1_size", "l2_size", "noc_bandwidth", "offchip_bandwidth")
"""What the network gives, in logarithms; latency and energy for each MAC of the layer."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """Everything that decides a surrogate besides the layers, the accelerator and the mapping options."""

    seed: int = 0
    samples: int = 800  # mappings a layer
    held_out: float = 0.1  # share of them that the errors are measured on
    width: int = 128
    hidden: int = 3
    steps: int = 2000
    batch: int = 512
    learning_rate: float = 2e-3  # at the start; falls to 0 as a cosine


def shapes(count: int = 48, seed: int = 0) -> list[Layer]:
    """Layers as networks have them: convolutions, depthwise and strided ones too, and matrix products."""
    rng = np.random.default_rng(seed)

    def size(least: int, most: int) -> int:
        """Like channel counts: a few significant bits."""
        number = least * (most / least) ** rng.random()
        step = 2 ** max(int(np.log2(number)) - 2, 0)
        return max(round(number / step) * step, 1)

    found = []
    for number in range(count):
        kind = ("CONV", "POINTWISE", "DSCONV", "GEMM")[number % 4]
        if kind == "GEMM":
            sizes = {"M": size(1, 1024), "N": size(64, 4096), "K": size(64, 4096)}
            found.append(Layer.of(f"shape{number}", "GEMM", sizes))
            continue
        window = 1 if kind == "POINTWISE" else int(rng.choice([3, 3, 5]))
        stride = int(rng.choice([1, 1, 2]))
        side = (int(rng.choice([1, 7, 14, 28, 56, 112])) - 1) * stride + window
        channels = {"C": size(3, 1024)} if kind == "DSCONV" else {"K": size(16, 1024), "C": size(3, 1024)}
        sizes = {**channels, "R": window, "S": window, "Y": side, "X": side}
        form = "DSCONV" if kind == "DSCONV" else "CONV"
        found.append(Layer.of(f"shape{number}", form, sizes, {"Y": stride, "X": stride}))
    return found


@functools.cache
def guided(
    population: int,
    hardware: Hardware,
    objective: str = "edp",
    layers: tuple[Layer, ...] | None = None,
    settings: Settings | None = None,
) -> Gradient:
    """The searcher that descends on a surrogate, which is trained first (half a minute of one core).

    The surrogate is trained on ``layers`` (default: :func:`shapes`). ``guided(...).model.held_out``
    says how far it is off. Its training mappings (``.model.samples``) are scored once an
    accelerator, and no budget of a search counts them. Raises as :func:`train` and Gradient.
    """
    model = train(layers or shapes(), hardware, settings=settings)
    roundings = min(_ROUNDINGS, population)
    return Gradient(hardware, objective, max(population // roundings, 1), roundings=roundings, model=model)


_ROUNDINGS = 10


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """How far predictions are from the exact model, on mappings that were not trained on."""

    mappings: int
    error: dict[str, float]  # mean absolute difference of logarithms, by figure and of the EDP
    rank_correlation: dict[str, float]  # Spearman's, over all layers together


class Network(nn.Module):
    """Some hidden layers, and a linear part beside them."""

    width: int
    hidden: int

    @nn.compact
    def __call__(self, features: Array) -> Array:
        """Standardised figures ``[..., 6]`` of standardised features ``[..., f]``."""
        found = features
        for _ in range(self.hidden):
            found = nn.gelu(nn.Dense(self.width)(found))
        return nn.Dense(len(FIGURES))(found) + nn.Dense(len(FIGURES), use_bias=False)(features)


def features(space: MappingSpace, mapping: Relaxed) -> Array:
    """What the network sees of one layer and one relaxed mapping, ``[f]``.

    Sizes are logarithms. Of the order of loops it sees the pairs, and how many tiles the loops
    outside each loop go through.
    """
    extent = jnp.asarray(space.extent).astype(mapping.tile.dtype)
    above = jnp.stack([extent, mapping.tile[0]])
    number = jnp.log(above) - jnp.log(mapping.tile)
    # Where there is one level, the second says nothing.
    there = jnp.stack([jnp.ones_like(mapping.two), mapping.two])[:, None]
    around = jnp.einsum("lde,le->ld", mapping.outside, number)
    cluster = jnp.log(mapping.cluster) * mapping.two
    parts = [
        there * jnp.log(mapping.tile),
        there * number,
        there * mapping.spatial,
        there * mapping.spatial * number,
        there * around,
        there * mapping.outside.reshape(LEVELS, -1),
        jnp.stack([mapping.two, cluster]),
        jnp.log(extent),
        jnp.log(jnp.asarray(space.stride).astype(extent.dtype)),
        jnp.asarray(space.layers.coupled).astype(extent.dtype),
    ]
    return jnp.concatenate([part.reshape(-1) for part in parts])


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Surrogate:
    """A trained network: a :class:`~jaxmaestro.search.gradient.Model`. Compared by identity."""

    hardware: Hardware
    settings: Settings
    parameters: Any  # flax tree
    feature_scale: tuple[np.ndarray, np.ndarray]  # mean and deviation
    figure_scale: tuple[np.ndarray, np.ndarray]
    samples: int  # exact evaluations that it was made from
    held_out: HeldOut

    def __repr__(self) -> str:
        held = self.held_out
        return (
            f"Surrogate of {self.samples:,} samples: error of log EDP {held.error['edp']:.3f}, "
            f"rank correlation {held.rank_correlation['edp']:.4f} on {held.mappings:,} held-out mappings"
        )

    def __call__(
        self, space: MappingSpace, hardware: HardwareTable, mapping: Relaxed, softness: Softness
    ) -> Estimate:
        """Figures of one relaxed mapping; on the surrogate's own accelerator, whichever is given."""
        row = (features(space, mapping) - self.feature_scale[0]) / self.feature_scale[1]
        network = Network(self.settings.width, self.settings.hidden)
        found = network.apply(self.parameters, row) * self.figure_scale[1] + self.figure_scale[0]
        per_mac = jnp.asarray([1.0, 1.0, *[0.0] * (len(FIGURES) - 2)], found.dtype)
        figures = jnp.exp(found + per_mac * _log_macs(space, found.dtype))
        return Estimate(**dict(zip(FIGURES, figures, strict=True)), work=jnp.ones_like(figures[0]))


def train(
    layers: Sequence[Layer],
    hardware: Hardware,
    options: MappingOptions | None = None,
    settings: Settings | None = None,
) -> Surrogate:
    """A surrogate for the mappings of these layers on an accelerator.

    Raises DescriptionError where too few of the mappings drawn are sound to learn from, and as
    :meth:`MappingSpace.of`.
    """
    settings = settings or Settings()
    space = MappingSpace.of(list(layers), hardware.num_pes, options or MappingOptions(tiles="divisors"))
    k_sample, k_split, k_fit = jax.random.split(jax.random.key(settings.seed), 3)
    rows, targets = _data(space, hardware, k_sample, settings.samples)
    held = int(len(rows) * settings.held_out)
    if held < 2 or len(rows) - held < 2:
        raise DescriptionError(
            f"{len(rows)} of {len(space.extent) * settings.samples} random mappings are sound: too few",
            fix="draw more samples a layer, or take tiles that divide evenly",
        )
    order = np.asarray(jax.random.permutation(k_split, len(rows)))
    test, rest = order[:held], order[held:]
    feature_scale, figure_scale = _scale(rows[rest]), _scale(targets[rest])
    inputs = jnp.asarray((rows - feature_scale[0]) / feature_scale[1])
    wanted = jnp.asarray((targets - figure_scale[0]) / figure_scale[1])
    parameters = _fit(inputs[rest], wanted[rest], k_fit, dataclasses.replace(settings, seed=0))
    network = Network(settings.width, settings.hidden)
    found = np.asarray(network.apply(parameters, inputs[test])) * figure_scale[1] + figure_scale[0]
    return Surrogate(
        hardware=hardware,
        settings=settings,
        parameters=parameters,
        feature_scale=feature_scale,
        figure_scale=figure_scale,
        samples=len(space.extent) * settings.samples,
        held_out=_held_out(found, targets[test]),
    )


def _data(space: MappingSpace, hardware: Hardware, key: Array, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Features ``[n, f]`` and logarithms of figures ``[n, 6]`` of sound random mappings, float32."""
    # The key and the tables are given, or XLA works out at length what is drawn while it compiles.
    rows, batch = _draw(space, encode_hardware([hardware]), key, count)
    costs = evaluate_batch(jax.tree.map(np.asarray, batch))
    macs = jax.vmap(lambda space: _log_macs(space, jnp.float32))(space)
    targets = _targets(costs, np.repeat(np.asarray(macs), count))
    flat = np.asarray(rows, np.float32).reshape(len(targets), -1)
    return flat[costs.sound], targets[costs.sound].astype(np.float32)


@functools.partial(jax.jit, static_argnames="count")
def _draw(space: MappingSpace, hardware: HardwareTable, key: Array, count: int) -> tuple[Array, Batch]:
    genes = space.sample(key, count)

    def rows(space: MappingSpace, genes: Genes) -> Array:
        found: Array = jax.vmap(lambda own: features(space, relaxed(space, own)))(genes)
        return found

    return jax.vmap(rows)(space, genes), space.batch(genes, hardware)


def _targets(costs: Costs, log_macs: np.ndarray) -> np.ndarray:
    """Logarithms of :data:`FIGURES`; bandwidths, which are truncated, by the middle of what they may be."""
    figures = [
        *(costs.runtime, costs.energy, costs.l1_sizes.sum(-1), costs.l2_sizes.sum(-1)),
        *(costs.noc_bandwidth_peak + 0.5, costs.offchip_bandwidth + 0.5),
    ]
    found = np.stack([np.log(np.maximum(np.asarray(figure, np.float64), 1e-9)) for figure in figures], -1)
    found[:, :2] -= log_macs[:, None]
    return found


def _log_macs(space: MappingSpace, real: Any) -> Array:
    """Logarithm of a layer's MACs."""
    used = jnp.asarray(space.layers.coupled).any(0)
    return jnp.where(used, jnp.log(jnp.asarray(space.extent).astype(real)), 0).sum()


def _scale(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of columns; one that is the same in all rows keeps its size."""
    deviation = rows.std(0)
    return rows.mean(0), np.where(deviation > 1e-6, deviation, 1).astype(rows.dtype)


@functools.partial(jax.jit, static_argnames="settings")
def _fit(inputs: Array, wanted: Array, key: Array, settings: Settings) -> Any:
    """Parameters that AdamW finds for the mean absolute error, in one scan."""
    network = Network(settings.width, settings.hidden)
    schedule = optax.cosine_decay_schedule(settings.learning_rate, settings.steps)
    optimiser = optax.adamw(schedule)
    k_start, k_steps = jax.random.split(key)
    start = network.init(k_start, inputs[:1])

    def loss(parameters: Any, rows: Array) -> Array:
        return jnp.abs(network.apply(parameters, inputs[rows]) - wanted[rows]).mean()

    def step(carry: Any, key: Array) -> tuple[Any, None]:
        parameters, state = carry
        rows = jax.random.randint(key, (settings.batch,), 0, inputs.shape[0])
        change, state = optimiser.update(jax.grad(loss)(parameters, rows), state, parameters)
        return (optax.apply_updates(parameters, change), state), None

    keys = jax.random.split(k_steps, settings.steps)
    (parameters, _), _ = jax.lax.scan(step, (start, optimiser.init(start)), keys)
    return parameters


def _held_out(found: np.ndarray, exact: np.ndarray) -> HeldOut:
    pairs = {name: (found[:, i], exact[:, i]) for i, name in enumerate(FIGURES)}
    pairs["edp"] = (found[:, :2].sum(1), exact[:, :2].sum(1))
    return HeldOut(
        mappings=len(exact),
        error={name: float(np.abs(a - b).mean()) for name, (a, b) in pairs.items()},
        rank_correlation={name: spearman(a, b) for name, (a, b) in pairs.items()},
    )
