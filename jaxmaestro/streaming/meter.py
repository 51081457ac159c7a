"""How far a product is, and how quickly it gets there."""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Callable, Iterator

from jaxmaestro.description import DescriptionError

Report = Callable[[int, int, float], None]
"""Called with tuples done, tuples in all, and seconds since the start."""


class Meter:
    """Counts tuples that are done; those that an earlier run did are done, but not ``fresh``."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.fresh = total, 0, 0
        self.report: Report | None = None
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.perf_counter() - self._start

    @property
    def rate(self) -> float:
        """Fresh tuples a second."""
        return self.fresh / max(self.seconds, 1e-9)

    def advance(self, tuples: int, *, fresh: bool) -> None:
        """So many more are done."""
        self.done += tuples
        self.fresh += tuples if fresh else 0
        if self.report is not None:
            self.report(self.done, self.total, self.seconds)


@contextlib.contextmanager
def metered(total: int, progress: bool | Report | None) -> Iterator[Meter]:
    """A meter that shows a bar on standard error (True), calls ``progress``, or is silent (None).

    Raises DescriptionError for a ``progress`` that is none of these.
    """
    meter = Meter(total)
    if progress is not True:
        if progress is not None and progress is not False:
            meter.report = progress
        yield meter
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("tuples  {task.description}"))
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("starting", total=total)

        def report(done: int, total: int, _seconds: float) -> None:
            text = ""
            if meter.fresh:
                left = datetime.timedelta(seconds=round((total - done) / meter.rate))
                text = f"{meter.rate:,.0f}/s  left {left}"
            bar.update(task, completed=done, description=text)

        meter.report = report
        yield meter


def check_progress(progress: object) -> None:
    """Raises DescriptionError for what can report nothing."""
    if progress is not None and not isinstance(progress, bool) and not callable(progress):
        raise DescriptionError(
            f"progress is {progress!r}", fix="give None, True or a function of (done, total, seconds)"
        )
