"""Where compiled programs are kept between calls of the command (the library itself sets nothing)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

VARIABLE = "JAXMAESTRO_CACHE_DIR"


def cache_folder() -> Path | None:
    """``JAXMAESTRO_CACHE_DIR`` (empty: none), else a folder in the user's cache folder of this platform."""
    chosen = os.environ.get(VARIABLE)
    if chosen is not None:
        return Path(chosen).expanduser() if chosen else None
    try:
        home = Path.home()
    except RuntimeError:  # no home folder is known
        return None
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "jaxmaestro"


def use_compilation_cache() -> None:
    """Keep every compiled program of this process; does nothing where the folder cannot be written."""
    folder = cache_folder()
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if not os.access(folder, os.W_OK):
        return
    import jax

    jax.config.update("jax_compilation_cache_dir", str(folder))
    # Every program counts: even a quick compilation is long against one call.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
