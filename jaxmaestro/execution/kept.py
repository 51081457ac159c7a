"""Compiled programs on disk, between processes: in the folder of JAX's compilation cache, if it has one.

JAX keeps them there too, but finds one only by tracing and lowering it again, which takes several
times as long as reading it. Here it is found by what it was made from: the sources of this package,
the versions of jax and jaxlib, the processor, the options.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import pickle
import platform
import warnings
import zlib
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
from jax.experimental.serialize_executable import deserialize_and_load, serialize

from jaxmaestro.equations.costs import Costs
from jaxmaestro.results.files import atomic

MADE_FROM = ("description", "encoding", "equations", "execution")
"""Folders of the package whose sources decide what a program does."""

_SUFFIX = ".jaxmaestro"


@dataclasses.dataclass(frozen=True)
class Kept:
    """A program and what it gives."""

    program: jax.stages.Compiled
    costs: Costs  # shapes and types


class Place:
    """Where the program made from ``parts`` (whose ``repr`` tells them) is kept; perhaps nowhere."""

    def __init__(self, *parts: object) -> None:
        folder, sources = _folder(), _sources()
        self.path: Path | None = None
        if folder is not None and sources is not None:
            name = hashlib.sha256(repr((parts, sources, *_machine())).encode()).hexdigest()
            self.path = folder / f"{name}{_SUFFIX}"

    def get(self, takes: Any) -> Kept | None:
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
            device = _device()
            program = deserialize_and_load(
                executable,
                jax.tree.structure(((takes,), {})),
                jax.tree.structure(_costs(outputs)),
                device.client,
                [device],
            )
        except Exception as error:  # no list tells all that XLA may say of one that it cannot load
            warnings.warn(f"compiling anew, since {self.path} is not used: {error}", stacklevel=2)
            return None
        return Kept(program, _costs(outputs))

    def put(self, kept: Kept) -> None:
        """Keep a program for later; does nothing where that cannot be done."""
        if self.path is None:
            return
        try:
            executable, *_ = serialize(kept.program)
        except (ValueError, NotImplementedError, jax.errors.JaxRuntimeError):  # not all platforms can
            return
        outputs = [(leaf.shape, str(leaf.dtype)) for leaf in jax.tree.leaves(kept.costs)]
        content = zlib.compress(pickle.dumps((executable, outputs)), 1)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with atomic(self.path) as path:
                path.write_bytes(hashlib.sha256(content).digest() + content)
        except OSError as error:
            warnings.warn(f"a compiled program is not kept: {error}", stacklevel=2)


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


@functools.cache
def _sources() -> str | None:
    """A digest of what programs are made from; None where the sources are not files."""
    package = Path(__file__).parents[1]
    files = sorted(path for folder in MADE_FROM for path in (package / folder).rglob("*.py"))
    if not files:
        return None
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(package).as_posix()} {len(content)} ".encode() + content)
    return digest.hexdigest()


def _machine() -> tuple[str, ...]:
    """What a compiled program may be for alone."""
    device = _device()
    return (
        jax.__version__,
        metadata.version("jaxlib"),
        device.platform,
        device.device_kind,
        device.client.platform_version,
        os.environ.get("XLA_FLAGS", ""),
        str(jax.config.read("jax_disable_most_optimizations")),
        platform.machine(),
        *_processor(),
    )


@functools.cache
def _processor() -> tuple[str, ...]:
    """What this processor can do, as far as it says."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return (platform.processor(),)
    named = (line for line in lines if line.partition("\t")[0] in ("model name", "flags", "Features"))
    return tuple(sorted(set(named)))
