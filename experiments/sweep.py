"""The main job: networks x dataflows x a hardware grid, on the batched path of the library.

``python -m experiments.sweep hw=eyeriss_like`` evaluates every tuple, writes one Parquet
file, a summary and pictures into a folder of its own, and says where they are. A
second run of the same configuration continues the first one where it stopped.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from experiments.evaluation import Chunks, evaluate_missing
from experiments.report import make_console, print_summary
from experiments.run_folder import fingerprint, open_folder, register_resolver
from experiments.schema import Config, register
from experiments.workloads import Space, build_space, describe
from jaxmaestro.cli.cache import use_compilation_cache
from jaxmaestro.description import DescriptionError

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
    if not chunks.missing:
        console.print("Every tuple was evaluated by an earlier run of this configuration.")
        return
    if chunks.done:
        console.print(f"Continuing: {chunks.done:,} of {chunks.total:,} tuples are there already.")
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
        task = progress.add_task("", total=chunks.total, completed=chunks.done, rate="compiling")
        for tuples, seconds in evaluate_missing(space, chunks, config.sweep.precision):
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
    try:
        written = sweep(settings, folder, console)
    except (DescriptionError, OmegaConfBaseException) as error:
        _refuse(error)
    except KeyboardInterrupt:
        console.print(f"\nStopped. What is done is kept in {_shown(folder)}; the same command continues it.")
        sys.exit(130)
    console.print(f"\nResults in {_shown(folder)}/", soft_wrap=True)
    for path in written:
        console.print(f"  {path.name:22s} {path.stat().st_size / 1e6:8.2f} MB")
    console.print(f"  {'run.json':22s} configuration, versions, git state")


def _shown(folder: Path) -> str:
    """Relative to the working folder where it is below it."""
    here = Path.cwd()
    return str(folder.relative_to(here) if folder.is_relative_to(here) else folder)


def _refuse(error: Exception) -> NoReturn:
    """One line, exit status 2. Hydra's messages have several; what repeats or describes Hydra goes."""
    messages = [str(error)]
    if isinstance(error, OverrideParseException):
        messages = [f"cannot read the override '{error.override}'; write key=value or group=option"]
    elif error.__cause__ is not None:
        messages.append(str(error.__cause__))
    text = "\n".join(message.split("Config search path")[0] for message in messages)
    lines = dict.fromkeys(line.strip().rstrip(".") for line in text.splitlines())
    dull = ("object_type", "reference_type", "To append", "Set the environment", "See https", "full_key")
    line = "; ".join(x for x in lines if x and not x.startswith(dull)).replace(":; ", ": ")
    keys = [x.removeprefix("full_key: ") for x in lines if x.startswith("full_key: ")]
    place = f" (at {keys[0]})" if keys and keys[0] not in line else ""
    print(f"error: {line}{place}", file=sys.stderr)
    sys.exit(2)


def main() -> None:
    """Run from the command line; bad keys and values end in one line, not in a traceback."""
    register()
    register_resolver()
    use_compilation_cache()
    # Hydra then raises its errors here instead of printing several lines.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    try:
        _job()
    except (HydraException, OmegaConfBaseException) as error:
        _refuse(error)


if __name__ == "__main__":
    main()
