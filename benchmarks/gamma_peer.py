"""GAMMA's own program with our cost model as its evaluator, a population at a time.

GAMMA (Kao and Krishna, ICCAD 2020) starts a binary for every mapping. Here its class is used as it is,
except that its worker pool is replaced: a population is one call of ``evaluate_batch``, and a mapping that
is not valid counts as failed. That the latency is the command's is checked for every search's best
mapping, through a mapping file that GAMMA writes (:func:`through_the_command`). Energy is the layer's own:
the CSV's column leaves out L1 accesses of mappings of several levels, as the reference's does, and a search
that trusts it minimises something else.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import io
import os
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxmaestro as jm
from jaxmaestro.cli.command import execute
from jaxmaestro.encoding import slots
from jaxmaestro.encoding.encode import encode_hardware, encode_layers
from jaxmaestro.encoding.tables import Batch, MappingTable

POPULATION = 100
TYPES = {"CONV": 1, "DSCONV": 2}
_FITNESS = {"latency": ("latency", "energy"), "energy": ("energy", "latency"), "edp": ("EDP", "latency")}
_SLOT = {"K": slots.K, "C": slots.C, "R": slots.R, "S": slots.S, "Y": slots.Y, "X": slots.X}

Mapping = list[list[Any]]  # GAMMA's: for each level a spatial dimension and size, then six loops


@dataclasses.dataclass(frozen=True)
class PeerResult:
    """What GAMMA found for a layer; scores are latency in cycles or energy times latency in nJ cycles."""

    best: float
    runtime: float
    energy: float
    evaluated: int
    valid: int


class _EnoughError(Exception):
    """The samples are spent."""


class Peer:
    """GAMMA from a checkout, on one accelerator."""

    def __init__(self, checkout: Path, hardware: jm.Hardware) -> None:
        for folder in (checkout, checkout / "src", checkout / "src" / "GAMMA"):
            sys.path.insert(0, str(folder))
        with contextlib.redirect_stdout(io.StringIO()):
            self._gamma = importlib.import_module("gamma")
        constraints = importlib.import_module("utils.constraint")
        put = importlib.import_module("utils.accel_cstr").put_into_actual_cstr
        rows = importlib.import_module("data.mapping_cstr.advanced_cstr.costmodel_cstr.maestro_cstr")
        self.hardware = hardware
        self._table = encode_hardware([hardware])

        def constraint() -> Any:
            made = constraints.Constraint(num_pe=hardware.num_pes)
            put(rows.mapping_cstr, made)
            return made

        self._constraint = constraint

    def search(
        self, layer: jm.Layer, objective: str, seed: int, samples: int, generations: int | None = None
    ) -> PeerResult:
        """GAMMA's search with a population of 100 until it has seen so many valid mappings.

        Its elite, which it evaluates again in every generation, is not counted again.
        """
        random.seed(seed)
        np.random.seed(seed)
        env = self._environment(layer, objective)
        evaluator = _Evaluator(env, layer, self._table, objective, samples)
        self._gamma.Pool = lambda *_: evaluator
        most = generations or 100 * samples // POPULATION
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(_EnoughError):
            env.run(
                env.dimension,
                num_population=POPULATION,
                num_generations=most,
                uni_base=True,
                use_factor=False,
            )
        best = evaluator.best
        if best is None:
            return PeerResult(np.inf, np.inf, np.inf, evaluator.evaluated, evaluator.valid)
        score, runtime, energy, mapping = best
        of_command = through_the_command(env, mapping, self.hardware)
        if of_command != runtime:
            raise RuntimeError(f"{layer.name}: the command disagrees: {of_command} cycles, not {runtime}")
        return PeerResult(score, runtime, energy, evaluator.evaluated, evaluator.valid)

    def _environment(self, layer: jm.Layer, objective: str) -> Any:
        sizes, hw = layer.input_sizes, self.hardware
        dimension = np.array([sizes.get(d, 1) for d in "KCYXRS"] + [TYPES[layer.type.value]])
        fitness = list(_FITNESS[objective])
        env = self._gamma.GAMMA(
            dimension=dimension,
            num_pe=hw.num_pes,
            fitness=fitness,
            par_RS=False,
            l1_size=hw.l1_size,
            l2_size=hw.l2_size,
            NocBW=hw.noc_bandwidths[0],
            offchipBW=hw.offchip_bandwidth,
            slevel_min=2,
            slevel_max=2,
            fixedCluster=0,
            log_level=0,
            map_cstr=self._constraint(),
        )
        env.reset_dimension(fitness=fitness, constraints={"area": -1e6}, dimension=dimension)
        return env


class _Evaluator:
    """Stands in the place of GAMMA's worker pool."""

    def __init__(self, env: Any, layer: jm.Layer, hardware: Any, objective: str, samples: int) -> None:
        self._env, self._objective, self._samples = env, objective, samples
        self._layers, self._hardware = encode_layers([layer]), hardware
        self._depthwise = layer.type.value == "DSCONV"
        self.evaluated = self.valid = 0
        self.best: tuple[float, float, float, Mapping] | None = None

    def map(self, _: Any, population: Sequence[Mapping]) -> list[tuple[list[float] | None, None]]:
        table = mapping_table(population, self._depthwise)
        rows = len(population)
        index, zeros = np.arange(rows), np.zeros(rows, np.int32)
        batch = Batch(self._layers, table, self._hardware, zeros, index, zeros, 2, False, (4,))
        costs = jax.tree.map(np.asarray, jm.evaluate_batch(batch, threads=1))
        # After the first generation the elite stands first, evaluated before.
        again = rows - POPULATION if self.evaluated else 0
        rewards: list[tuple[list[float] | None, None]] = []
        for i, mapping in enumerate(population):
            if not costs.valid[i]:
                rewards.append((None, None))
            else:
                runtime, energy = float(costs.runtime[i]), float(costs.energy[i])
                self._env.observation = [runtime, 1.0, energy, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
                rewards.append((self._env.judge(), None))
                score = {"latency": runtime, "energy": energy, "edp": runtime * energy}[self._objective]
                if self.best is None or score < self.best[0]:
                    self.best = (score, runtime, energy, [list(gene) for gene in mapping])
            if i >= again:
                self.evaluated += 1
                self.valid += bool(costs.valid[i])
            if self.valid >= self._samples:
                raise _EnoughError
        return rewards

    def close(self) -> None:
        """As a pool has it."""


def mapping_table(population: Sequence[Mapping], depthwise: bool) -> MappingTable:
    """GAMMA's two-level mappings as the directives that it would write."""
    rows = len(population)
    kind = np.zeros((rows, 2, slots.SLOTS), np.int32)
    size, position = np.ones_like(kind), np.zeros_like(kind)
    cluster = np.ones((rows, 2), np.int32)
    for row, mapping in enumerate(population):
        cluster[row, 0] = mapping[7][1]
        for level in range(2):
            spatial = mapping[7 * level][0]
            if depthwise and spatial == "K":
                spatial = "C"
            for place in range(6):
                name, tile = mapping[7 * level + 1 + place]
                if depthwise and name == "K":
                    continue
                at = (row, level, _SLOT[name])
                kind[at], size[at], position[at] = 2 if name == spatial else 1, tile, place
    output_centric = np.zeros(kind.shape, bool)
    output_centric[..., [slots.Y, slots.X]] = True
    nothing = np.full_like(kind, -1)
    return MappingTable(
        kind=kind,
        size=size,
        size_sz=nothing,
        offset=size,
        offset_sz=nothing,
        position=position,
        output_centric=output_centric,
        extra=np.tile(np.array([-1, 0, 1, -1, 1, -1, 0], np.int32), (rows, 2, 1)),
        cluster=cluster,
        cluster_sz=np.full((rows, 2), -1, np.int32),
        levels=np.full(rows, 2, np.int32),
        gemm=np.zeros(rows, bool),
        flags=np.zeros(rows, np.uint32),
    )


def through_the_command(env: Any, mapping: Mapping, hardware: jm.Hardware) -> float:
    """The latency of a mapping that GAMMA writes, from the CSV of our command.

    The command is told to refuse mappings that are not valid.
    """
    with _in_temporary_folder(), contextlib.redirect_stdout(io.StringIO()):
        env.write_maestro(mapping, m_file="best")
        status = execute(
            [
                "--Mapping_file=best.m",
                "--refuse_invalid=true",
                "--print_res=false",
                f"--num_pes={hardware.num_pes}",
                f"--l1_size_cstr={hardware.l1_size}",
                f"--l2_size_cstr={hardware.l2_size}",
                f"--noc_bw_cstr={hardware.noc_bandwidths[0]}",
                "--noc_hops=1",
                "--noc_hop_latency=1",
                f"--offchip_bw_cstr={hardware.offchip_bandwidth}",
                "--num_simd_lanes=1",
            ]
        )
        if status:
            raise RuntimeError(f"the command refuses a mapping that GAMMA found: status {status}")
        header, row = (line.split(",") for line in Path("best.csv").read_text().strip().splitlines())
    figures = dict(zip((name.strip() for name in header), row, strict=True))
    return float(figures["Runtime (Cycles)"])


@contextlib.contextmanager
def _in_temporary_folder() -> Iterator[None]:
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)
