"""The seed's experiment in one command: spaces, monotonicity, co-design, tables, pictures, one HTML page.

``python -m experiments.reproduce`` needs no data. It can be stopped; the same command continues it.
"""

from __future__ import annotations

from jaxmaestro.cli.interrupt import end_on_interrupt


def main() -> None:
    """Run from the command line."""
    end_on_interrupt("Stopped.")

    from experiments.reproduce_job import run

    run()


if __name__ == "__main__":
    main()
