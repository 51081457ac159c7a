"""The folder of a run: what identifies it, what is saved beside the results."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from experiments.networks import plain_model
from jaxmaestro.description import DescriptionError
from jaxmaestro.results.files import atomic

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = "run.json"
_NAMED = 4  # networks that stand in the name of a folder


def fingerprint(config: DictConfig) -> str:
    """Eight hex digits of everything that changes the figures or how they are cut into chunks.

    That is the configuration without what only reports them, the versions of
    the package and of JAX, and the sources of the cost model and the workloads. Of models
    it has the layers, so that a model that has changed is another run.

    Raises:
        DescriptionError: for a model that cannot be had or traced.
    """
    parts: dict[str, Any] = {
        group: OmegaConf.to_container(config[group], enum_to_str=True) for group in ("hw", "dataflow")
    }
    parts["model"] = plain_model(config)
    parts["sweep"] = {"chunk": config.sweep.chunk, "precision": str(config.sweep.precision)}
    return digest(
        parts, [ROOT / f"experiments/{name}.py" for name in ("networks", "workloads", "evaluation")]
    )


def digest(parts: dict[str, Any], sources: Iterable[Path]) -> str:
    """Eight hex digits of ``parts``, the versions of the packages, our library and ``sources``."""
    parts = parts | {"versions": {name: _version(name) for name in ("jaxmaestro", "jax", "jaxlib")}}
    found = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    for source in sorted([*(ROOT / "jaxmaestro").rglob("*.py"), *sources]):
        found.update(source.read_bytes())
    return found.hexdigest()[:8]


def model_name(settings: DictConfig) -> str:
    """What ``model`` a run has, for its folder: the option chosen, or of a list the names of its networks."""
    chosen = OmegaConf.select(settings, "hydra.runtime.choices.model")
    if chosen is not None:
        return str(chosen)
    names = [str(name) for name in settings.model.networks]
    return "+".join(names) if len(names) <= _NAMED else f"{'+'.join(names[:_NAMED])}+{len(names) - _NAMED}"


def register_model_name() -> None:
    """Make ``${model_name:}`` usable in ``conf``."""
    OmegaConf.register_new_resolver(
        "model_name", lambda *, _root_: model_name(_root_), replace=True, use_cache=False
    )


def register_resolver() -> None:
    """Make ``${fingerprint:}`` and ``${model_name:}`` usable in ``conf/config.yaml``."""
    register_model_name()
    OmegaConf.register_new_resolver(
        "fingerprint", lambda *, _root_: fingerprint(_root_), replace=True, use_cache=False
    )


def open_folder(folder: Path, config: DictConfig, *, resume: bool) -> None:
    """Prepare ``folder`` for a sweep of ``config`` and write the manifest.

    Raises:
        DescriptionError: the folder holds results of another configuration.
    """
    mark = fingerprint(config)
    if not resume:
        for old in [*(folder / "chunks").glob("*"), *folder.glob("results.*")]:
            old.unlink()
    prepare(folder, provenance(config, mark, "experiments.sweep"), resume=resume, resume_key="sweep.resume")


def prepare(folder: Path, manifest: dict[str, Any], *, resume: bool, resume_key: str = "resume") -> None:
    """Make ``folder`` and write its manifest.

    Raises:
        DescriptionError: with ``resume``, where the folder holds results of another configuration.
    """
    folder.mkdir(parents=True, exist_ok=True)
    place, mark = folder / MANIFEST, manifest["fingerprint"]
    if place.exists():
        before = _fingerprint_in(place)
        if before != mark and resume:
            raise DescriptionError(
                f"{folder} holds results of another configuration or version ({before}, this one is {mark})",
                fix=f"give another hydra.run.dir, or {resume_key}=false to overwrite it",
            )
    with atomic(place) as path:
        path.write_text(json.dumps(manifest, indent=1) + "\n")


def _fingerprint_in(manifest: Path) -> str:
    """What a manifest says; one that is damaged belongs to no configuration."""
    try:
        return str(json.loads(manifest.read_text())["fingerprint"])
    except (ValueError, KeyError, TypeError):
        return f"{manifest.name} is damaged"


def provenance(config: DictConfig, mark: str, module: str, seed: int | None = None) -> dict[str, Any]:
    """What a manifest holds: configuration, seed (None: nothing random is drawn), versions, git state.

    The configuration has the layers of its models.
    """
    saved = OmegaConf.to_container(config, enum_to_str=True)
    assert isinstance(saved, dict)
    packages = ("jaxmaestro", "jax", "jaxlib", "numpy", "hydra-core", "pyarrow")
    return {
        "fingerprint": mark,
        "config": {**saved, "model": plain_model(config)} if "model" in saved else saved,
        "command": ["python", "-m", module, *sys.argv[1:]],
        "seed": seed,
        "versions": {name: _version(name) for name in packages},
        "python": platform.python_version(),
        "git": git_state(),
    }


def git_state() -> dict[str, Any]:
    """Commit and whether the tree differs from it; empty outside a repository."""

    def ask(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        return {"commit": ask("rev-parse", "HEAD"), "modified": ask("status", "--porcelain").splitlines()}
    except (OSError, subprocess.CalledProcessError):
        return {}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"  # a checkout on the path
