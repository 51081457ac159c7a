"""Packages that only some frontends need, and errors of other programs in one line."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from jaxmaestro.description import DescriptionError


def needed(package: str, extra: str) -> ModuleType:
    """The package; ``extra`` is the one of jaxmaestro that installs it.

    Raises:
        DescriptionError: if it is not installed, or does not load.
    """
    try:
        return import_module(package)
    except ImportError as error:
        missing = getattr(error, "name", None) in (package, package.partition(".")[0])
        what = "is not installed" if missing else f"does not load: {one_line(error)}"
        raise DescriptionError(
            f"{package} {what}", fix=f"install it with pip install 'jaxmaestro[{extra}]'"
        ) from error


def one_line(error: BaseException, length: int = 300) -> str:
    """Type and message of an error in one line: the first paragraph of the message, cut to ``length``."""
    message = " ".join(str(error).strip().split("\n\n")[0].split())
    name = type(error).__name__
    return f"{name}: {message[:length]}" if message else name
