"""One line on standard error for whatever a configuration or its output folder is refused for."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from jaxmaestro.description import DescriptionError

REFUSED = 2
"""Exit status of a configuration that is refused."""

EXPECTED = (DescriptionError, HydraException, OmegaConfBaseException, OSError)
"""What bad input and bad folders raise; anything else is a fault of the program."""

_NOT_LOADED = re.compile(r"Could not load '(\w+)/[^']*'")
_DULL = ("object_type", "reference_type", "To append", "Set the environment", "See https", "full_key")


def refuse(error: Exception, conf: Path) -> NoReturn:
    """Say what is wrong in one line and exit; ``conf`` holds the options of each group."""
    print(f"error: {explain(error, conf)}", file=sys.stderr)
    sys.exit(REFUSED)


def explain(error: Exception, conf: Path) -> str:
    """The error in one line. Hydra's messages have several; what repeats or describes Hydra goes."""
    error = _ours(error)
    if isinstance(error, DescriptionError):
        return " ".join(str(error).split())
    if isinstance(error, OSError) and not isinstance(error, HydraException):  # a missing option is both
        place = f"{error.filename}: " if error.filename is not None else ""
        return f"{place}{error.strerror or error}"
    messages = [str(error)]
    if isinstance(error, OverrideParseException):
        messages = [f"cannot read the override '{error.override}'; write key=value or group=option"]
    elif error.__cause__ is not None:
        messages.append(str(error.__cause__))
    text = "\n".join(message.split("Config search path")[0] for message in messages)
    lines = dict.fromkeys(line.strip().rstrip(".") for line in text.splitlines())
    line = "; ".join(x for x in lines if x and not x.startswith(_DULL)).replace(":; ", ": ")
    keys = [x.removeprefix("full_key: ") for x in lines if x.startswith("full_key: ")]
    place = f" (at {keys[0]})" if keys and keys[0] not in line else ""
    group = _NOT_LOADED.search(line)
    known = f"; {_available(group[1], conf)}" if group else ""
    return f"{line}{place}{known}"


def _ours(error: Exception) -> Exception:
    """Our own error where OmegaConf has wrapped it, as it does with what a resolver raises."""
    inner: BaseException | None = error
    while inner is not None and not isinstance(inner, DescriptionError):
        inner = inner.__cause__ or inner.__context__
    return inner or error


def check_groups(arguments: Sequence[str], conf: Path) -> None:
    """Find what Hydra itself stumbles over: an option of a group that is no name, and ``=3``.

    Raises:
        DescriptionError: naming the override.
        OverrideParseException: an override that cannot be read at all.
    """
    groups = {folder.name for folder in conf.iterdir() if folder.is_dir()}
    for word in arguments:
        key, equals, _ = word.partition("=")
        if word.startswith("-") or not equals:
            continue
        if not key.strip("+~"):
            raise DescriptionError(f"no key in the override '{word}'", fix="write key=value or group=option")
        group = key.lstrip("+~").partition("@")[0]
        if group not in groups:
            continue
        override = OverridesParser.create().parse_override(word)
        value = override.value()
        options = value if isinstance(value, list) else [value]
        if override.is_sweep_override() or override.is_delete():
            continue
        if not all(isinstance(option, str) for option in options):
            raise DescriptionError(f"'{word}' names no option", fix=_available(group, conf))


def _available(group: str, conf: Path) -> str:
    names = "; ".join(sorted(path.stem for path in (conf / group).glob("*.yaml")))
    return f"Available options in '{group}': {names}"
