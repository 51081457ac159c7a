"""Compiled programs on disk, between processes: in the folder of JAX's compilation cache, if it has one.

JAX keeps them there too, but finds one only by tracing and lowering it again, which takes several
times as long as reading it. Here it is found by what it was made from: the sources of this package,
the versions of jax and jaxlib, the processor, the options. What is read is run: as with JAX's own
files, the folder must be one that nobody else can write to.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import pickle
import platform
import uuid
import warnings
import zlib
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
from jax.experimental.serialize_executable import deserialize_and_load, serialize

from jaxmaestro.equations.costs import Costs
from jaxmaestro.results.files import atomic

MADE_FROM = ("description", "encoding", "equations", "execution")
"""Folders of the package whose sources decide what a program does."""

SUFFIX = ".jaxmaestro"


@dataclasses.dataclass(frozen=True)
class Built:
    """A compiled program and what it gives."""

    program: jax.stages.Compiled
    costs: Costs  # shapes and types


class Slot:
    """Where the program made from ``parts`` (whose ``repr`` tells them) is kept; perhaps nowhere."""

    def __init__(self, *parts: object) -> None:
        folder = _folder()
        self.path: Path | None = None
        if folder is not None and SOURCES is not None:
            name = hashlib.sha256(repr((parts, SOURCES, *_machine())).encode()).hexdigest()
            self.path = folder / f"{name}{SUFFIX}"

    def named(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """``step``, under a name of its own if its program is to be kept here.

        JAX then does not find the program among its own files: what XLA has read from there, it cannot
        write again so that it works (jaxlib 0.10.2: other figures, or none).
        """
        if self.path is not None:
            step.__name__ = f"{step.__name__}_{uuid.uuid4().hex}"
        return step

    def get(self, takes: Any) -> Built | None:
        """The program, for arguments with the structure of ``takes``; None where it is not there."""
        if self.path is None:
            return None
        try:
            content = self.path.read_bytes()
        except OSError:
            return None
        try:
            if hashlib.sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:
                raise ValueError("it is not whole")
            executable, outputs = pickle.loads(zlib.decompress(content[_DIGEST:]))
            costs, device = _costs(outputs), _device()
            structures = jax.tree.structure(((takes,), {})), jax.tree.structure(costs)
            program = deserialize_and_load(executable, *structures, device.client, [device])
        except Exception as error:  # no list tells all that XLA may say of one that it cannot load
            warnings.warn(f"compiling anew, since {self.path} is not used: {error}", stacklevel=2)
            return None
        return Built(program, costs)

    def put(self, built: Built) -> None:
        """Keep a program, which was :meth:`named`, for later; warns where that cannot be done."""
        if self.path is None:
            return
        try:
            executable, *_ = serialize(built.program)
            outputs = [(leaf.shape, str(leaf.dtype)) for leaf in jax.tree.leaves(built.costs)]
            content = zlib.compress(pickle.dumps((executable, outputs)), 1)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with atomic(self.path) as path:
                path.write_bytes(hashlib.sha256(content).digest() + content)
        except Exception as error:  # the program is there, whatever is the matter with keeping it
            why = error.strerror if isinstance(error, OSError) else error
            warnings.warn(f"programs are not kept in {self.path.parent}: {why}", stacklevel=2)


_DIGEST = hashlib.sha256().digest_size


def _costs(outputs: Sequence[tuple[tuple[int, ...], str]]) -> Costs:
    names = [field.name for field in dataclasses.fields(Costs)]
    leaves = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in outputs]
    return Costs(**dict(zip(names, leaves, strict=True)))


def _folder() -> Path | None:
    """JAX's compilation cache, where it is used and on this machine; one of limited size is JAX's alone."""
    config: Any = jax.config
    folder, limited = config.jax_compilation_cache_dir, config.jax_compilation_cache_max_size != -1
    if not folder or "://" in folder or limited or not config.jax_enable_compilation_cache:
        return None
    return Path(folder)


def _device() -> jax.Device:
    config: Any = jax.config
    chosen = config.jax_default_device
    return chosen if isinstance(chosen, jax.Device) else jax.local_devices(backend=chosen)[0]


def sources_of(package: Path) -> str | None:
    """A digest of what programs are made from; None where the sources are not files."""
    digest = hashlib.sha256()
    try:
        files = sorted(path for folder in MADE_FROM for path in (package / folder).rglob("*.py"))
        for path in files:
            content = path.read_bytes()
            digest.update(f"{path.relative_to(package).as_posix()} {len(content)} ".encode() + content)
    except OSError:
        return None
    return digest.hexdigest() if files else None


SOURCES = sources_of(Path(__file__).parents[1])
"""Of this process: what it imported, not what the files are when it compiles."""


def _machine() -> tuple[str, ...]:
    """What a compiled program may be for alone."""
    device = _device()
    # How much XLA is to optimise, and for what.
    settings = [
        f"{name}={value}"
        for name, value in sorted(jax.config.values.items())
        if any(word in name for word in ("optimization", "effort", "fitting", "remat"))
    ]
    return (
        jax.__version__,
        metadata.version("jaxlib"),
        device.platform,
        device.device_kind,
        str((device.process_index, device.id)),
        device.client.platform_version,
        os.environ.get("XLA_FLAGS", ""),
        *settings,
        platform.machine(),
        str(os.cpu_count()),  # XLA divides work among them
        *_processor(),
    )


@functools.cache
def _processor() -> tuple[str, ...]:
    """What this processor can do, as far as it says."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return (platform.processor(),)
    told = ("model name", "flags", "Features", "CPU implementer", "CPU part")
    return tuple(sorted({line for line in lines if line.partition("\t")[0].strip() in told}))
