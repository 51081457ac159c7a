"""Co-design: a method on a space, a run for each proxy.

``python -m experiments.codesign space=alphanet method=semi_decoupled`` samples the space, evaluates the
campaign (or reads it, if some run of the same one did), searches and writes the scores and the answers.
A second run of the same configuration continues the first one.
"""

from __future__ import annotations

from jaxmaestro.cli.interrupt import end_on_interrupt


def main() -> None:
    """Run from the command line."""
    end_on_interrupt("Stopped.")

    from experiments.codesign_job import run

    run()


if __name__ == "__main__":
    main()
