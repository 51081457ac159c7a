"""A command configured by Hydra: one line for what is refused, Ctrl-C keeps what is done."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import hydra
import jax
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.console import Console

from experiments.model_arguments import with_specs
from experiments.refusal import EXPECTED, check_groups, refuse
from experiments.report import make_console
from jaxmaestro.cli.cache import use_compilation_cache
from jaxmaestro.cli.interrupt import INTERRUPTED, end_on_interrupt

CONF = Path(__file__).resolve().parent.parent / "conf"
"""Absolute, so that it is found from any working folder. ``conf/`` and ``experiments/`` are
used from a checkout; the wheel holds the library and its command alone."""

Work = Callable[[DictConfig, Path, Console], list[Path]]
"""Does the run of a configuration in its folder and returns the paths of what it wrote."""


def run_command(work: Work, config: str, chosen: str = "") -> None:
    """Run ``work`` on ``conf/<config>.yaml`` with the command line's overrides.

    Bad keys, values and folders end in one line, not in a traceback. ``chosen``: a word that chose this
    configuration, which is no override.
    """
    use_compilation_cache()
    # Hydra then raises its errors here instead of printing several lines.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")

    @hydra.main(version_base="1.3", config_path=str(CONF), config_name=config)
    def job(settings: DictConfig) -> None:
        sys.argv[:] = given  # what run.json says
        _job(work, settings)

    given = list(sys.argv)
    try:
        sys.argv[1:] = with_specs([word for word in given[1:] if word != chosen], CONF)
        check_groups(sys.argv[1:], CONF)
        job()
    except EXPECTED as error:
        refuse(error, CONF)


def _job(work: Work, settings: DictConfig) -> None:
    release_programs()
    console = make_console()
    folder = Path(HydraConfig.get().runtime.output_dir)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        written = work(settings, folder, console)
    except EXPECTED as error:
        _drop_if_empty(folder)
        refuse(error, CONF)
    except KeyboardInterrupt:
        end_on_interrupt()  # a second one
        _drop_if_empty(folder)
        kept = f" What is done is kept in {_shown(folder)}; the same command continues it."
        console.print(f"\nStopped.{kept if folder.exists() else ''}", soft_wrap=True)
        sys.exit(INTERRUPTED)
    end_on_interrupt("Stopped.")
    console.print(f"\nResults in {_shown(folder)}/", soft_wrap=True)
    for path in written:
        console.print(f"  {path.name:22s} {path.stat().st_size / 1e6:8.2f} MB")
    console.print(f"  {'run.json':22s} configuration, versions, git state")


def release_programs(share: float = 0.5) -> bool:
    """Drop the compiled programs of earlier jobs of a multirun if they hold this share of the memory maps.

    Each program takes hundreds of them, and without any left LLVM ends the process. True where it did so.
    """
    try:
        most = int(Path("/proc/sys/vm/max_map_count").read_text())
        held = Path("/proc/self/maps").read_bytes().count(b"\n")
    except (OSError, ValueError):  # not Linux
        return False
    if held <= share * most:
        return False
    jax.clear_caches()
    return True


def _drop_if_empty(folder: Path) -> None:
    """Hydra makes the folder of a run before the configuration is checked."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def _shown(folder: Path) -> str:
    """Relative to the working folder where it is below it."""
    here = Path.cwd()
    return str(folder.relative_to(here) if folder.is_relative_to(here) else folder)
