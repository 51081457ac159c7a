"""Mapping search: the layers of networks on an accelerator, by a searcher.

``python -m experiments.map model=resnet18 hw=edge search=gamma`` searches every distinct layer from every
seed side by side, shows the best so far, and writes the best mappings as tables and as MAESTRO files.
A second run of the same configuration continues the first one.
"""

from __future__ import annotations

from jaxmaestro.cli.interrupt import end_on_interrupt


def main() -> None:
    """Run from the command line."""
    end_on_interrupt("Stopped.")

    from experiments.map_job import run

    run()


if __name__ == "__main__":
    main()
