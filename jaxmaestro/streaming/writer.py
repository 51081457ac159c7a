"""Writing behind the evaluation: one thread, jobs in order, few of them waiting."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType


class Writer:
    """Runs jobs in one thread, one after the other.

    An error of a job is raised by the next call, or when the ``with`` block ends.
    Where the block ends by an exception, such as Ctrl-C, the job that is running is
    finished, and those that wait are dropped.
    """

    def __init__(self, waiting: int = 1) -> None:
        """``waiting`` jobs are held while one runs; :meth:`submit` blocks until no more are."""
        self._most = waiting
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="jaxmaestro-writer")
        self._pending: deque[tuple[Future[None], Callable[[], None]]] = deque()

    def __enter__(self) -> Writer:
        return self

    def submit(self, job: Callable[[], None], done: Callable[[], None]) -> None:
        """Have ``job`` run; ``done`` is called in this thread, by a later call, when it has."""
        self._collect(self._most)
        self._pending.append((self._pool.submit(job), done))

    def _collect(self, left: int) -> None:
        """Wait until ``left`` jobs are not done; raises what one raised."""
        while len(self._pending) > left or (self._pending and self._pending[0][0].done()):
            future, done = self._pending.popleft()
            future.result()
            done()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._collect(0)
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)


class Direct(Writer):
    """The same without a thread: for jobs that take no time."""

    def submit(self, job: Callable[[], None], done: Callable[[], None]) -> None:
        """Run it now."""
        job()
        done()
