"""Experiments over the library: parameter sweeps configured by ``conf/`` (run from a checkout)."""
