"""Text to parse tree: the parser, kept once a process, and what it says about bad syntax."""

from __future__ import annotations

import functools
import importlib.resources
import re
from typing import TYPE_CHECKING, Literal

from jaxmaestro.description import DescriptionError

if TYPE_CHECKING:
    from lark import Lark, Token, Tree
    from lark.exceptions import UnexpectedInput

Start = Literal["mapping", "dataflow_file", "hardware"]

HARDWARE_KEYS = {
    "num_pes": "num_pes",
    "l1_size_cstr": "l1_size",
    "l2_size_cstr": "l2_size",
    "noc_bw_cstr": "noc_bandwidth",
    "NoC_NumHops": "noc_hops",
    "offchip_bw_cstr": "offchip_bandwidth",
}
"""Keys of a hardware file and the fields of Hardware that they set."""

_TERMINALS = {
    "NAME": "a name",
    "KEY": "a key (" + ", ".join(HARDWARE_KEYS) + ")",
    "DIMENSION": "a dimension",
    "KIND_OF_LAYER": "a layer type",
    "KIND_OF_CLUSTER": "the kind of cluster, P or L",
    "SIZE": "a size (a number or a Constant)",
    "OFFSET": "an offset (a number or a Constant)",
    "SZ": "Sz(dimension)",
    "LBRACE": "{",
    "RBRACE": "}",
    "TEMPORAL_MAP": "TemporalMap",
    "SPATIAL_MAP": "SpatialMap",
    "AMOUNT": "a number",
    "$END": "the end of the file",
    "<END-OF-FILE>": "the end of the file",
}
_LONGEST = 40
_ARGUMENTS = {"DIMENSION", "SIZE", "OFFSET", "SZ", "KIND_OF_CLUSTER", "SEPARATORS", "MINUS"}
_IGNORED = {"SEPARATORS", "MINUS"}
_LAYER_OR_COMMENT = re.compile(r"//[^\n]*|\bLayer\b([^{}\n]*)")
_NETWORK = re.compile(r"^\s*(?:Network|Layer)\b", re.MULTILINE)
_WORD = re.compile(r"(?:(?!//)[^\s,\->():;{}])+|[{}]")


@functools.cache
def _parser(start: Start) -> Lark:
    """The LALR parser of one format; building it takes tens of ms, so only when first needed."""
    from lark import Lark

    grammar = importlib.resources.files("jaxmaestro.formats").joinpath("grammar.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", lexer="contextual", start=start)


def parse_tree(text: str, start: Start, source: str) -> Tree[Token]:
    """The parse tree of ``text``.

    Raises:
        DescriptionError: where the text is not of the format, with line and column.
    """
    from lark.exceptions import UnexpectedInput

    try:
        return _parser(start).parse(text)
    except UnexpectedInput as error:
        raise _explain(error, text, start, source) from None


def _explain(error: UnexpectedInput, text: str, start: Start, source: str) -> DescriptionError:
    expected = set(getattr(error, "expected", None) or getattr(error, "allowed", None) or ())
    token, at = getattr(error, "token", None), error.pos_in_stream
    if at is None or (token is not None and token.type == "$END"):
        at, line, column = len(text), text.count("\n") + 1, 0
        found = "the end of the file"
    else:
        line, column = error.line, error.column
        word = _WORD.match(text, at)
        found = word.group() if word else text[at]
    if "NETWORK" in expected:
        expected -= {"RBRACE"}  # tolerated at the end, nothing to recommend
    wanted = sorted(_TERMINALS.get(name, name.capitalize()) for name in expected - _IGNORED)
    inside_layer = start == "mapping" and not expected & {"NETWORK", "LAYER"}
    quoted = found if at == len(text) else f"'{shown(found)}'"
    return DescriptionError(
        f"found {quoted} where {_either(wanted)} is expected",
        source=source,
        line=line,
        column=column,
        layer=_layer_before(text, at) if inside_layer else "",
        fix=_advice(found, expected, start, text),
    )


def shown(word: str) -> str:
    """A word of the file as it may stand in a message: printable, and not endless."""
    short = word if len(word) <= _LONGEST else word[:_LONGEST] + "..."
    return short if short.isprintable() else short.encode("unicode_escape").decode()


def _either(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " or " + names[-1]


def _layer_before(text: str, at: int) -> str:
    """Name of the last layer that begins before position ``at``."""
    name = ""
    for match in _LAYER_OR_COMMENT.finditer(text, 0, at):
        if match.group(1) is not None:
            words = _WORD.findall(match.group(1))
            name = words[-1] if words else ""
    return name


def _advice(found: str, expected: set[str], start: Start, text: str) -> str:
    """How to mend the mistakes that are made most."""
    top = "NETWORK" in expected
    if found == "the end of the file" and "RBRACE" in expected:
        return "a '}' is missing"
    if top and found == "Dataflow":
        return "read_dataflow reads a file that holds a dataflow alone"
    if top and found in HARDWARE_KEYS:
        return "read_hardware reads hardware files"
    if top and found == "Layer":
        return "layers stand inside Network NAME { ... }"
    if start == "hardware" and _NETWORK.search(text):
        return "this looks like a mapping file (read_mapping); hardware files have lines such as num_pes: 16"
    if start == "dataflow_file" and found in ("Network", "Layer"):
        return "read_mapping and read_model read files that hold a network"
    if "TEMPORAL_MAP" in expected and found in ("Layer", "Type", "Dimensions", "Stride", "Dataflow"):
        return "the Dataflow above is not closed with '}'"
    if "TYPE" in expected and found in ("Layer", "Network"):
        return "the Layer above is not closed with '}'"
    if found in ("TemporalMap", "SpatialMap", "Cluster", "}") and expected <= _ARGUMENTS:
        return "maps are written TemporalMap(size, offset) DIMENSION, clusters Cluster(size, P)"
    return ""
