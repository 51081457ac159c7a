"""One run: the configuration checked, the space evaluated or continued, the results reported."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from experiments.evaluation import Chunks, evaluate_chunks
from experiments.refusal import EXPECTED, check_groups, refuse
from experiments.report import make_console, print_summary
from experiments.run_folder import fingerprint, open_folder, register_resolver
from experiments.schema import Config, register
from experiments.workloads import Space, build_space, describe
from jaxmaestro.cli.cache import use_compilation_cache
from jaxmaestro.cli.interrupt import INTERRUPTED, end_on_interrupt

CONF = Path(__file__).resolve().parent.parent / "conf"
"""Absolute, so that it is found from any working folder. ``conf/`` and ``experiments/`` are
used from a checkout; the wheel holds the library and its command alone."""


def sweep(settings: DictConfig, folder: Path, console: Console) -> list[Path]:
    """Run or continue a sweep in ``folder`` and return the paths of what it wrote.

    Raises:
        DescriptionError: a value is out of range, or the folder belongs to another configuration.
        KeyboardInterrupt: stopped; finished chunks are kept and a second run continues.
    """
    config = validated(settings)
    space = build_space(config)
    open_folder(folder, settings, resume=config.sweep.resume)
    console.print(describe(space), soft_wrap=True)
    chunks = Chunks(folder / "chunks", len(space), config.sweep.chunk)
    _evaluate(space, chunks, config, console)
    return _report(space, chunks, config, folder, fingerprint(settings), console)


def validated(settings: DictConfig) -> Config:
    """The configuration as dataclasses; also refuses keys that ``+key=value`` forced in.

    Raises:
        OmegaConfBaseException: a key that the schema does not have, or a value that is missing.
    """
    plain = OmegaConf.to_container(settings, resolve=True)
    config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Config), plain))
    assert isinstance(config, Config)
    return config


def _evaluate(space: Space, chunks: Chunks, config: Config, console: Console) -> None:
    missing = chunks.missing()
    if not missing:
        console.print("Every tuple was evaluated by an earlier run of this configuration.")
        return
    done = chunks.total - sum(len(chunks.tuples(index)) for index in missing)
    if done:
        console.print(f"Continuing: {done:,} of {chunks.total:,} tuples are there already.")
    start, fresh = time.perf_counter(), 0
    progress = Progress(
        TextColumn("evaluating"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("tuples  {task.fields[rate]}  left"),
        TimeRemainingColumn(),
        console=console,
    )
    with progress:
        task = progress.add_task("", total=chunks.total, completed=done, rate="compiling")
        for tuples, seconds in evaluate_chunks(space, chunks, missing, config.sweep.precision):
            if not fresh:
                progress.console.print(
                    f"First {tuples:,} tuples after {seconds:.1f} s, compilation included."
                )
            fresh += tuples
            progress.update(task, advance=tuples, rate=f"{tuples / seconds:,.0f}/s")
    seconds = time.perf_counter() - start
    console.print(f"{fresh:,} tuples in {seconds:.1f} s ({fresh / seconds:,.0f} tuples/s).")


def _report(
    space: Space, chunks: Chunks, config: Config, folder: Path, mark: str, console: Console
) -> list[Path]:
    from experiments import results

    figures = chunks.load()
    table = results.results_table(space, figures)
    written = [folder / "results.parquet"]
    results.write_parquet(table, written[0], mark)
    if config.sweep.csv:
        written.append(folder / "results.csv")
        results.write_csv(table, written[-1])
    totals = results.network_totals(space, figures, fits=config.sweep.fits)
    print_summary(console, space, totals, fits=config.sweep.fits)
    if config.sweep.pictures:
        from experiments.pictures import write_pictures

        written += write_pictures(totals, config.hw.name, folder)
    return written


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def _job(settings: DictConfig) -> None:
    console = make_console()
    folder = Path(HydraConfig.get().runtime.output_dir)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        written = sweep(settings, folder, console)
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


def _drop_if_empty(folder: Path) -> None:
    """Hydra makes the folder of a run before the configuration is checked."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def _shown(folder: Path) -> str:
    """Relative to the working folder where it is below it."""
    here = Path.cwd()
    return str(folder.relative_to(here) if folder.is_relative_to(here) else folder)


def run() -> None:
    """Run from the command line; bad keys, values and folders end in one line, not in a traceback."""
    register()
    register_resolver()
    use_compilation_cache()
    # Hydra then raises its errors here instead of printing several lines.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    try:
        check_groups(sys.argv[1:], CONF)
        _job()
    except EXPECTED as error:
        refuse(error, CONF)
