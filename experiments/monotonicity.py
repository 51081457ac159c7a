"""Do accelerators rank architectures alike? SRCC matrices, heat maps, scatter plots, and why where not.

``python -m experiments.monotonicity space=alphanet_fork`` writes them into a folder of its own.
"""

from __future__ import annotations

from jaxmaestro.cli.interrupt import end_on_interrupt


def main() -> None:
    """Run from the command line."""
    end_on_interrupt("Stopped.")

    from experiments.monotonicity_job import run

    run()


if __name__ == "__main__":
    main()
