"""What Ctrl-C does to a command: it ends, without a traceback."""

from __future__ import annotations

import os
import signal
from types import FrameType

INTERRUPTED = 130
"""Exit status of a command that Ctrl-C ended, as shells have it."""


def end_on_interrupt(note: str = "") -> None:
    """From now on Ctrl-C ends this process at once with status 130, writing ``note`` to standard error.

    No exception is raised: a ``KeyboardInterrupt`` inside an import or a callback of a library can be
    swallowed there. Nothing is flushed, so call it where nothing is lost. Main thread only.
    """

    def end(_signal: int, _frame: FrameType | None) -> None:
        if note:
            os.write(2, f"{note}\n".encode())
        os._exit(INTERRUPTED)

    signal.signal(signal.SIGINT, end)
