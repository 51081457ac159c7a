"""One run: the configuration checked, the space evaluated or continued, the results reported."""

from __future__ import annotations

import time
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from experiments.command import CONF, run_command
from experiments.evaluation import Chunks, evaluate_chunks
from experiments.networks import told
from experiments.report import print_summary
from experiments.run_folder import fingerprint, open_folder, register_resolver
from experiments.schema import Config, register
from experiments.workloads import Space, build_space, describe

__all__ = ["CONF", "run", "sweep", "validated"]


def sweep(settings: DictConfig, folder: Path, console: Console) -> list[Path]:
    """Run or continue a sweep in ``folder`` and return the paths of what it wrote.

    Raises:
        DescriptionError: a value is out of range, or the folder belongs to another configuration.
        KeyboardInterrupt: stopped; finished chunks are kept and a second run continues.
    """
    config = validated(settings)
    space = build_space(config)
    open_folder(folder, settings, resume=config.sweep.resume)
    for line in [*told(config.model), describe(space)]:
        console.print(line, soft_wrap=True)
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


def run() -> None:
    """Run from the command line; bad keys, values and folders end in one line, not in a traceback."""
    register()
    register_resolver()
    run_command(sweep, "config")
