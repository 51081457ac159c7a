"""Where the commands start: Ctrl-C is quiet before anything large is imported."""

from __future__ import annotations

from jaxmaestro.cli.interrupt import end_on_interrupt


def main() -> int:
    """Run the command on this process's arguments; returns its exit status."""
    end_on_interrupt()

    import sys

    from jaxmaestro.cli.command import execute

    return execute(sys.argv[1:])


def describe() -> int:
    """``jaxmaestro-describe`` on this process's arguments; returns its exit status."""
    end_on_interrupt()

    import sys

    from jaxmaestro.cli.describe import execute

    return execute(sys.argv[1:])
