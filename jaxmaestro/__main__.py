"""``python -m jaxmaestro``: the command."""

import sys

from jaxmaestro.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
