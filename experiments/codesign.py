"""Co-design: a method on a space of architectures, or accelerators and mappings for given networks.

``python -m experiments.codesign space=alphanet method=semi_decoupled`` samples the space, evaluates the
campaign (or reads it, if some run of the same one did), searches and writes the scores and the answers.

``python -m experiments.codesign space=networks model=[resnet18,vgg16] budget=edge strategy=one_loop``
searches accelerators within a budget, with a mapping for every layer of the networks
(``conf/codesign_networks.yaml``).

A second run of the same configuration continues the first one.
"""

from __future__ import annotations

import sys

from jaxmaestro.cli.interrupt import end_on_interrupt

_NETWORKS = "space=networks"


def main() -> None:
    """Run from the command line."""
    end_on_interrupt("Stopped.")

    # The two have other keys: which configuration is read depends on this word alone.
    if _NETWORKS in sys.argv[1:]:
        from experiments.codesign_networks import run
    else:
        from experiments.codesign_job import run

    run()


if __name__ == "__main__":
    main()
