"""The main job: networks x dataflows x a hardware grid, on the batched path of the library.

``python -m experiments.sweep hw=eyeriss_like`` evaluates every tuple, writes one Parquet
file, a summary and pictures into a folder of its own, and says where they are. A
second run of the same configuration continues the first one where it stopped.

The work is in :mod:`experiments.job`; here Ctrl-C is made quiet before anything large is imported.
"""

from __future__ import annotations

from jaxmaestro.cli.interrupt import end_on_interrupt


def main() -> None:
    """Run from the command line."""
    end_on_interrupt("Stopped.")

    from experiments.job import run

    run()


if __name__ == "__main__":
    main()
