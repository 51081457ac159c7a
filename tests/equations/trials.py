"""Random legal tuples, and one compiled shape in which all of them are evaluated.

Every new shape compiles for seconds, so the tests here evaluate in chunks of 64
tuples of two levels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from random import Random

import jax
import numpy as np

from jaxmaestro import (
    Batch,
    Cluster,
    Costs,
    Dataflow,
    Hardware,
    Layer,
    Reason,
    SpatialMap,
    Sz,
    TemporalMap,
    encode,
    evaluate_batch,
)
from jaxmaestro.formats import parse_dataflow
from tests.fuzz import dataflows, free_dataflows
from tests.fuzz.layers import RandomLayer, convolution, matrix_product

LEVELS = 2
PATTERNS = [name for name in dataflows.NAMED if name != "maeri"]  # that one has three levels


@dataclasses.dataclass(frozen=True)
class Trial:
    """A layer, its dataflow, its accelerator."""

    layer: Layer
    dataflow: Dataflow
    hardware: Hardware

    def with_hardware(self, **changes: object) -> Trial:
        return dataclasses.replace(self, hardware=self.hardware.replace(**changes))

    def with_layer(self, **changes: object) -> Trial:
        return dataclasses.replace(self, layer=dataclasses.replace(self.layer, **changes))  # type: ignore[arg-type]

    def __str__(self) -> str:
        return f"{self.hardware}\n{self.layer} {self.layer.strides}\n{self.dataflow}"


POINTWISE = Layer.of("pointwise", "CONV", {"K": 8, "C": 4, "R": 1, "S": 1, "Y": 4, "X": 4})
TWO_LEVELS = Dataflow((SpatialMap(1, 1, "K"), Cluster(2), SpatialMap(1, 1, "C")))
FILLER = Trial(POINTWISE, TWO_LEVELS, Hardware(num_pes=4))
"""Its two levels give every batch the same number of levels."""


def batch_of(trials: Sequence[Trial]) -> Batch:
    """The trials and, last, :data:`FILLER`."""
    trials = [*trials, FILLER]
    return encode([t.layer for t in trials], [t.dataflow for t in trials], [t.hardware for t in trials])


def evaluate_trials(trials: Sequence[Trial]) -> Costs:
    """Costs of the trials."""
    batch = batch_of(trials)
    assert (batch.levels, batch.extras) == (LEVELS, False)
    return evaluate_batch(batch)[:-1]


def random_trials(seed: int, count: int, keep: Callable[[Trial], bool] = lambda trial: True) -> list[Trial]:
    """Trials of all layer types, named, GAMMA-like and free dataflows of one and two levels."""
    rng = Random(seed)
    found: list[Trial] = []
    while len(found) < count:
        trial = random_trial(rng)
        if keep(trial):
            found.append(trial)
    return found


def random_trial(rng: Random) -> Trial:
    kind = rng.choice(("CONV", "CONV", "DSCONV", "NGCONV", "TRCONV", "GEMM"))
    pes = rng.choice((1, 2, 7, 16, 30, 64, 100, 168, 256, 1000, rng.randint(1, 4096)))
    levels = rng.randint(1, LEVELS)
    if kind == "GEMM":
        layer = matrix_product(rng)
        directives = free_dataflows.gemm(rng, layer, pes, levels)
    else:
        layer = convolution(rng, kind, batch=rng.random() < 0.3)
        pattern = rng.choice(("gamma", "gamma", "free", *PATTERNS))
        if pattern == "gamma":
            directives = free_dataflows.gamma(rng, layer, pes, levels)
        elif pattern == "free":
            directives = free_dataflows.free(rng, layer, pes, levels)
        else:
            directives = dataflows.NAMED[pattern](rng, layer, pes)
    hardware = Hardware(
        num_pes=pes,
        noc_bandwidth=round(1000 ** rng.random()),
        noc_hops=rng.randint(1, 4),
        hop_latency=rng.randint(0, 3),
        offchip_bandwidth=round(1000 ** rng.random()),
        simd_lanes=rng.choice((1, 1, 2, 3, 8)),
    )
    return Trial(described(layer), parse_dataflow(f"Dataflow {{ {'; '.join(directives)}; }}"), hardware)


def described(layer: RandomLayer) -> Layer:
    return Layer.of("layer", layer.type, layer.sizes, layer.strides if layer.stride_declared else None)


def has_figures(costs: Costs) -> np.ndarray:
    """Whether the reference gives figures at all (bool ``[b]``)."""
    refused = Reason.ILLEGAL_CLUSTER | Reason.MISSING_DIMENSION | Reason.ILLEGAL_SPATIAL | Reason.DUPLICATE
    refused |= Reason.TERMINATES | Reason.CAPACITY | Reason.NONPOSITIVE
    return np.asarray((costs.reasons & int(refused)) == 0)


def differing_fields(a: Costs, b: Costs, but: Sequence[str] = ()) -> list[str]:
    """Names of the fields that are not equal bit for bit (NaN equals NaN)."""
    names = [f.name for f in dataclasses.fields(Costs) if f.name not in but]
    return [name for name in names if not np.array_equal(bits(getattr(a, name)), bits(getattr(b, name)))]


def bits(array: jax.Array) -> np.ndarray:
    """An array whose equality is that of the bits; all NaN are one."""
    values = np.asarray(array)
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), np.nan, values)
        return values.view(f"i{values.itemsize}")
    return values


ROWS = TemporalMap(Sz("R"), Sz("R"), "R"), TemporalMap(Sz("S"), Sz("S"), "S")
"""The filter held as a whole."""


def one_level_batch(count: int) -> Batch:
    """Trials of one level, no two with a row in common; the same in every process."""
    seen: set[object] = set()

    def keep(trial: Trial) -> bool:
        rows = {trial.layer, trial.dataflow, trial.hardware}
        if len(trial.dataflow.levels) > 1 or rows & seen:
            return False
        seen.update(rows)
        return True

    trials = random_trials(11, count, keep)
    return encode([t.layer for t in trials], [t.dataflow for t in trials], [t.hardware for t in trials])
