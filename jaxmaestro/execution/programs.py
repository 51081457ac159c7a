"""The compiled programs: five shapes for all batches, each built once, ahead of time.

Whatever is asked for runs as chunks of one of these shapes, padded, so that a process
compiles a handful of programs however many batches of however many lengths it sees.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import threading
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxmaestro.description import Hardware
from jaxmaestro.encoding.encode import encode_dataflows, encode_hardware, encode_layers
from jaxmaestro.encoding.tables import MEMORY, HardwareTable, Rows
from jaxmaestro.equations.arithmetic import EXACT, FLOAT32
from jaxmaestro.equations.cost import Precision, row_costs
from jaxmaestro.equations.costs import Costs
from jaxmaestro.equations.kernels import BLOCK, Lowering


@dataclasses.dataclass(frozen=True)
class Shape:
    """A chunk: ``rows`` pairs of layer and mapping, each on ``nocs`` times ``memories`` hardware points."""

    rows: int
    nocs: int
    memories: int
    levels: int
    extras: bool
    variants: int  # sub-tiles a level, on average
    block: int
    kernels: bool = True  # on a CPU as a few kernels: twice as quick, and compiled a fifth longer


PLAIN = Shape(rows=1024, nocs=1, memories=1, levels=2, extras=False, variants=6, block=BLOCK)
"""Mappings of one and two cluster levels: nearly all."""
BRIEF = dataclasses.replace(PLAIN, kernels=False)
"""The same for what is one chunk: the first result of a process comes sooner."""
SHARED = Shape(rows=512, nocs=12, memories=12, levels=2, extras=False, variants=2, block=BLOCK // 2)
"""The same on several accelerators of as many PEs."""
FEW = Shape(rows=1024, nocs=4, memories=4, levels=2, extras=False, variants=2, block=BLOCK)
"""The same on few of them."""
GENERAL = Shape(rows=64, nocs=1, memories=1, levels=4, extras=True, variants=4, block=64)
"""Mappings of up to four levels, and those that map a dimension twice in one."""


@dataclasses.dataclass(frozen=True)
class Shapes:
    """The shapes of a kind of device."""

    plain: Shape
    brief: Shape
    few: Shape
    shared: Shape
    general: Shape


ON_CPU = Shapes(PLAIN, BRIEF, FEW, SHARED, GENERAL)
_LONG = dataclasses.replace(PLAIN, rows=2**15, block=2**14)
ON_ACCELERATOR = Shapes(
    plain=_LONG,
    brief=_LONG,  # calls are not marked there, so nothing compiles sooner
    few=dataclasses.replace(FEW, rows=2**13, block=2**13),
    shared=dataclasses.replace(SHARED, rows=2**12, block=2**12),
    general=dataclasses.replace(GENERAL, rows=2**12, block=2**12),
)
"""Where starting a kernel takes as long as a kernel over a hundred thousand elements."""


def shapes_on(devices: Sequence[jax.Device] = ()) -> Shapes:
    """The shapes for some devices (default: the default one)."""
    return ON_CPU if _platform(devices) == "cpu" else ON_ACCELERATOR


def _platform(devices: Sequence[jax.Device]) -> str:
    return devices[0].platform if devices else jax.default_backend()


def marked_calls(devices: Sequence[jax.Device] = ()) -> bool:
    """Whether programs for these devices are compiled as a few kernels; see :class:`Lowering`."""
    version = tuple(int(part) for part in metadata.version("jaxlib").split(".")[:2])
    return _platform(devices) == "cpu" and _TRIED[0] <= version < _TRIED[1]


@dataclasses.dataclass(frozen=True)
class Program:
    """The costs ``[p, q, b]`` of a chunk, with axes of length 1 where a figure does not vary."""

    run: Callable[[Rows], Costs]
    costs: Costs  # what it gives for one device, as shapes and types


T = TypeVar("T")

_ON_CPU: dict[str, str | bool] = {"xla_cpu_use_fusion_emitters": False, "xla_cpu_prefer_vector_width": "512"}
"""XLA writes LLVM code itself, not by way of MLIR: ready in two thirds of the time, and as quick.
Vectors are as long as the processor has them."""

_TRIED = (0, 8), (0, 11)
"""Versions of jaxlib, from the first to before the second, that marked calls were tried with.
With another one XLA might end the process where it refuses one."""

_lock = threading.Lock()


def compiled(shape: Shape, precision: Precision, devices: Sequence[jax.Device] = ()) -> Program:
    """The program of a chunk of this shape; with ``devices``, of one chunk for each, stacked.

    Takes NumPy rows; with devices they have a leading axis. Built at the first call.
    """
    with _lock:
        return _built(shape, precision, tuple(devices))


@functools.cache
def _built(shape: Shape, precision: Precision, devices: tuple[jax.Device, ...]) -> Program:
    arithmetic = EXACT if precision == "exact" else FLOAT32
    sharding = None
    if devices:
        sharding = NamedSharding(Mesh(np.array(devices), ("device",)), PartitionSpec("device"))
    lowering = Lowering(shape.block, shape.kernels and marked_calls(devices))
    step = functools.partial(row_costs, arithmetic=arithmetic, lowering=lowering)
    leading = (len(devices),) if devices else ()
    rows = jax.tree.map(
        lambda a: jax.ShapeDtypeStruct((*leading, *a.shape), a.dtype, sharding=sharding), blank_rows(shape)
    )
    with jax.enable_x64(arithmetic.exact):  # a setting of the thread
        costs = jax.eval_shape(step, blank_rows(shape))
        program = _compile(_over(step, sharding).lower(rows), devices)

    def run(chunk: Rows) -> Costs:
        found: Costs = program(chunk if sharding is None else jax.device_put(chunk, sharding))
        return found

    return Program(run, costs)


def _compile(lowered: jax.stages.Lowered, devices: Sequence[jax.Device]) -> jax.stages.Compiled:
    if _platform(devices) == "cpu":
        with contextlib.suppress(jax.errors.JaxRuntimeError):  # there are versions without the option
            return lowered.compile(compiler_options=_ON_CPU)
    return lowered.compile()


def _over(step: Any, sharding: NamedSharding | None) -> Any:
    """A step as a program; over several devices, each works on its part of a leading axis."""
    if sharding is None:
        return jax.jit(step)

    def part(rows: Rows) -> Any:
        own = jax.tree.map(lambda a: a[0], rows)
        return jax.tree.map(lambda a: jnp.asarray(a)[None], step(own))

    spread = jax.shard_map(
        part, mesh=sharding.mesh, in_specs=sharding.spec, out_specs=sharding.spec, check_vma=False
    )
    return jax.jit(spread)


def on_points(
    hardware: HardwareTable, noc: npt.NDArray[np.intp], memory: npt.NDArray[np.intp]
) -> HardwareTable:
    """Hardware of rows ``[b, p, q]``: the NoCs ``[b, p]`` and memories ``[b, q]`` of a table."""

    def taken(name: str) -> npt.NDArray[np.int32]:
        field = np.asarray(getattr(hardware, name))
        if name == "num_pes":  # the same at all points
            return field[noc[:, :1, None]]
        return field[memory[:, None, :]] if name in MEMORY else field[noc[:, :, None]]

    return HardwareTable(**{f.name: taken(f.name) for f in dataclasses.fields(hardware)})


@functools.cache
def blank_rows(shape: Shape) -> Rows:
    """Rows of a shape that describe nothing: their dtypes and shapes are those of every chunk."""
    layers, mappings = encode_layers([]), encode_dataflows([], [], shape.levels)
    hardware = encode_hardware([Hardware()])
    memory = np.zeros((shape.rows, shape.memories), int)

    def filled(table: T, *leading: int) -> T:
        made: T = jax.tree.map(lambda a: np.zeros((*leading, *a.shape[1:]), a.dtype), table)
        return made

    return Rows(
        layers=filled(layers, shape.rows),
        mappings=filled(mappings, shape.rows),
        hardware=on_points(hardware, np.zeros((shape.rows, shape.nocs), int), memory),
        levels=shape.levels,
        extras=shape.extras,
        variants=(shape.variants,) * (shape.levels - 1),
    )
