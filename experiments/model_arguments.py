"""``model=`` on the command line: models of frameworks beside the options of ``conf/model``.

Hydra takes ``model=NAME`` as the choice of a file. A spec (jaxmaestro/frontends/specs.py) is put into Hydra's
store as one more option, under a name made of it, before Hydra reads the command line.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path

from hydra.core.config_store import ConfigStore

from jaxmaestro.description import DescriptionError
from jaxmaestro.frontends.specs import FRAMEWORKS, is_spec, parse_spec

_GROUP = "model"
_NAME = re.compile(r"[\w.:/+@-]+")
_OPENING, _CLOSING = "([{", ")]}"
_LONGEST = 80
_stored: dict[str, tuple[str, str]] = {}


def with_specs(arguments: Sequence[str], conf: Path) -> list[str]:
    """The arguments with names in place of specs; each spec is in Hydra's store under its name.

    Raises:
        DescriptionError: for a spec that cannot be read, and a name that is neither in ``conf/model``
            nor a spec, with the nearest names.
    """
    known = sorted(path.stem for path in (conf / _GROUP).glob("*.yaml"))
    found = []
    for word in arguments:
        key, equals, value = word.partition("=")
        found.append(f"{key}={_choices(value, known)}" if equals and key == _GROUP else word)
    return found


def _choices(value: str, known: Sequence[str]) -> str:
    """A value: one choice, a list of them, or several of either for a multirun."""
    return ",".join(_choice(part.strip(), known) for part in split(value))


def _choice(text: str, known: Sequence[str]) -> str:
    if text.startswith("[") and text.endswith("]"):
        parts = [_unquoted(part.strip()) for part in split(text[1:-1])]
        taken = set(known if "all" in parts else parts)
        return f"[{','.join(_option(part, known, taken) for part in parts)}]"
    return _option(_unquoted(text), known, set())


def _option(text: str, known: Sequence[str], taken: set[str]) -> str:
    """The option of ``conf/model`` or of the store; ``taken`` are the networks that it stands beside."""
    if is_spec(text):
        name = _network(text, taken)
        taken.add(name)
        option = _stored_as(text, name)
        node = {"networks": {name: {"title": text, "spec": text}}}
        ConfigStore.instance().store(name=option, group=_GROUP, node=node)
        return option
    if _NAME.fullmatch(text) and text not in known and not re.fullmatch(r"[\d.]+|null", text):
        raise DescriptionError(f"there is no model {text}", fix=_fix(text, known))
    return text


def _stored_as(text: str, name: str) -> str:
    """A name of an option for a spec under a network's name: short enough for a folder, no other's."""
    plain = re.sub(r"\W+", "-", text, flags=re.ASCII).strip("-")[:_LONGEST]
    option, number = plain, 2
    while _stored.setdefault(option, (text, name)) != (text, name):
        option, number = f"{plain}-{number}", number + 1
    return option


def _network(spec: str, taken: set[str]) -> str:
    """A name for the network of a spec that nothing beside it has."""
    parsed = parse_spec(spec)
    stem = Path(parsed.target).stem if parsed.framework in ("onnx", "maestro") else parsed.name
    name = plain = re.sub(r"\W+", "_", stem, flags=re.ASCII).strip("_") or "network"
    number = 2
    while name in taken:
        name, number = f"{plain}_{number}", number + 1
    return name


def _fix(text: str, known: Sequence[str]) -> str:
    head, colon, _ = text.partition(":")
    if colon:
        near = difflib.get_close_matches(head, FRAMEWORKS, 1, 0.5) or [", ".join(FRAMEWORKS)]
        return f"before the first colon stands {near[0]}"
    near = difflib.get_close_matches(text, known, 3, 0.5)
    every = f"Available options in 'model': {'; '.join(known)};"
    there = f"did you mean {' or '.join(near)}?" if near else every
    return f"{there} Or give a spec, such as torch:torchvision.models.resnet50@1x3x224x224, net.onnx or net.m"


def split(text: str) -> list[str]:
    """The parts between commas that stand in no bracket and no quotes."""
    parts, depth, quote = [""], 0, ""
    for sign in text:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in _OPENING:
            depth += 1
        elif sign in _CLOSING:
            depth -= 1
        if sign == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += sign
    return parts


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text
