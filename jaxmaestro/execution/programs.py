"""The compiled programs: six for all batches, each built once, ahead of time, or read from disk.

Whatever is asked for runs as chunks of one of these shapes, padded, so that a process
compiles a handful of programs however many batches of however many lengths it sees.
Two are for few tuples: LLVM does not optimise them, so they are ready in less than half the time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxmaestro.description import Hardware
from jaxmaestro.encoding.encode import encode_dataflows, encode_hardware, encode_layers
from jaxmaestro.encoding.packed import Packed
from jaxmaestro.encoding.tables import MEMORY, Rows
from jaxmaestro.equations.arithmetic import EXACT, FLOAT32
from jaxmaestro.equations.cost import Precision, row_costs
from jaxmaestro.equations.costs import Costs
from jaxmaestro.equations.kernels import BLOCK, Lowering
from jaxmaestro.execution.kept import Built, Slot


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
    brief: bool = False  # on a CPU ready in less than half the time, and several times as slow


PLAIN = Shape(rows=1024, nocs=1, memories=1, levels=2, extras=False, variants=12, block=BLOCK)
"""Mappings of one and two cluster levels: nearly all."""
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
    few: Shape
    shared: Shape
    general: Shape


ON_CPU = Shapes(PLAIN, FEW, SHARED, GENERAL)
ON_ACCELERATOR = Shapes(
    plain=dataclasses.replace(PLAIN, rows=2**15, block=2**14),
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

    run: Callable[[Packed], Costs]
    costs: Costs  # what it gives for one device, as shapes and types


_programs: dict[tuple[Shape, Precision, tuple[jax.Device, ...]], Program] = {}

T = TypeVar("T")

Options = dict[str, str | bool]

_ON_CPU: Options = {"xla_cpu_use_fusion_emitters": False, "xla_cpu_prefer_vector_width": "512"}
"""XLA writes LLVM code itself, not by way of MLIR: ready in two thirds of the time, and as quick.
Vectors are as long as the processor has them."""

_BRIEFLY: Options = {**_ON_CPU, "xla_backend_optimization_level": "0"}
"""LLVM translates what XLA wrote and makes nothing of it."""

_TRIED = (0, 8), (0, 11)
"""Versions of jaxlib, from the first to before the second, that marked calls were tried with.
With another one XLA might end the process where it refuses one."""

BRIEF_BATCH = 2**14
"""Tuples of a batch that a brief program runs at most."""
BRIEF_TUPLES = 2**16
"""Tuples that it runs in a process at most: about then, what it lost is what the other takes to compile."""

_lock = threading.Lock()
_run_briefly: Counter[tuple[Shape, Precision, tuple[jax.Device, ...]]] = Counter()


def suited(
    shape: Shape,
    tuples: int,
    precision: Precision,
    devices: Sequence[jax.Device] = (),
    others: Sequence[Shape] = (),
) -> Shape:
    """The shape, or its ``brief`` form for so few tuples that it is not worth its compiling.

    Exact figures are the same. What is there already is used, ``shape`` or ``others`` that would
    work beside it; and ``shape`` in any case once a process has evaluated many small batches.
    On an accelerator nothing is known to compile sooner.
    """
    brief = dataclasses.replace(shape, brief=True)
    key = brief, precision, tuple(devices)
    with _lock:
        run = _run_briefly[key] + tuples
        there = any((each, *key[1:]) in _programs for each in (shape, *others))
        if _platform(devices) != "cpu" or there or tuples > BRIEF_BATCH or run > BRIEF_TUPLES:
            return shape
        _run_briefly[key] = run
        return brief


def compiled(shape: Shape, precision: Precision, devices: Sequence[jax.Device] = ()) -> Program:
    """The program of a chunk of this shape; with ``devices``, of one chunk for each, stacked.

    Takes NumPy arrays; with devices they have a leading axis. Built at the first call, or read from where
    an earlier process kept it (not with ``devices``: which and how many there are, varies).
    """
    key = shape, precision, tuple(devices)
    with _lock:
        if key not in _programs:
            _programs[key] = _built(*key)
        return _programs[key]


def _built(shape: Shape, precision: Precision, devices: tuple[jax.Device, ...]) -> Program:
    sharding = None
    if devices:
        sharding = NamedSharding(Mesh(np.array(devices), ("device",)), PartitionSpec("device"))
        built = _made(shape, precision, devices, sharding)
    else:
        slot = Slot(shape, precision, marked_calls(), compiler_options(shape.brief))
        kept = slot.get(Packed.of(blank_rows(shape)))
        built = kept or _made(shape, precision, name=slot.named)
        if kept is None:
            slot.put(built)

    def run(chunk: Packed) -> Costs:
        found: Costs = built.program(chunk if sharding is None else jax.device_put(chunk, sharding))
        return found

    return Program(run, built.costs)


def _made(
    shape: Shape,
    precision: Precision,
    devices: tuple[jax.Device, ...] = (),
    sharding: NamedSharding | None = None,
    name: Callable[[Any], Any] = lambda step: step,
) -> Built:
    """The program of a shape, traced, lowered and compiled; ``name`` gives what is traced its name."""
    arithmetic = EXACT if precision == "exact" else FLOAT32
    lowering = Lowering(shape.block, not shape.brief and marked_calls(devices), alike=shape.brief)
    like = blank_rows(shape)

    def step(chunk: Packed) -> Costs:
        return row_costs(chunk.rows(like), arithmetic, lowering)

    leading = (len(devices),) if devices else ()
    chunks = jax.tree.map(
        lambda a: jax.ShapeDtypeStruct((*leading, *a.shape), a.dtype, sharding=sharding), Packed.of(like)
    )
    with jax.enable_x64(arithmetic.exact):  # a setting of the thread
        costs = jax.eval_shape(step, Packed.of(like))
        lowered = _over(name(step), sharding).lower(chunks)
        return Built(_compile(lowered, compiler_options(shape.brief, devices)), costs)


def compiler_options(brief: bool, devices: Sequence[jax.Device] = ()) -> Options:
    """How XLA is to compile for some devices; ``brief``: in less than half the time."""
    if _platform(devices) != "cpu":
        return {}
    return _BRIEFLY if brief else _ON_CPU


def _compile(lowered: jax.stages.Lowered, options: Options) -> jax.stages.Compiled:
    with contextlib.suppress(jax.errors.JaxRuntimeError):  # there are versions without some
        return lowered.compile(compiler_options=options)
    return lowered.compile()


def _over(step: Any, sharding: NamedSharding | None) -> Any:
    """A step as a program; over several devices, each works on its part of a leading axis."""
    if sharding is None:
        return jax.jit(step)

    def part(chunk: Packed) -> Any:
        own = jax.tree.map(lambda a: a[0], chunk)
        return jax.tree.map(lambda a: jnp.asarray(a)[None], step(own))

    spread = jax.shard_map(
        part, mesh=sharding.mesh, in_specs=sharding.spec, out_specs=sharding.spec, check_vma=False
    )
    return jax.jit(spread)


@functools.cache
def blank_rows(shape: Shape) -> Rows:
    """Rows of a shape that describe nothing: their dtypes and shapes are those of every chunk."""
    layers, mappings = encode_layers([]), encode_dataflows([], [], shape.levels)

    def filled(table: T, *leading: int) -> T:
        made: T = jax.tree.map(lambda a: np.zeros((*leading, *a.shape[1:]), a.dtype), table)
        return made

    of_all, of_nocs, of_memories = (
        filled(encode_hardware([Hardware()]), shape.rows, *points)
        for points in ((1, 1), (shape.nocs, 1), (1, shape.memories))
    )
    own = {name: getattr(of_memories, name) for name in MEMORY}
    return Rows(
        layers=filled(layers, shape.rows),
        mappings=filled(mappings, shape.rows),
        hardware=dataclasses.replace(of_nocs, num_pes=of_all.num_pes, **own),
        levels=shape.levels,
        extras=shape.extras,
        variants=(shape.variants,) * (shape.levels - 1),
    )
