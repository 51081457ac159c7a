"""Parse tree to descriptions, and where in the text each part of them stands."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from jaxmaestro.description import (
    UNLIMITED,
    Cluster,
    Dataflow,
    DescriptionError,
    Directive,
    Hardware,
    Layer,
    LayerType,
    MappedLayer,
    Network,
    Size,
    SpatialMap,
    Sz,
    TemporalMap,
)
from jaxmaestro.description.layer import check_stride
from jaxmaestro.formats.checks import Place, Places
from jaxmaestro.formats.syntax import HARDWARE_KEYS, shown

if TYPE_CHECKING:
    from lark import Token, Tree

UNNAMED = "Layer"
"""What the reference calls a layer without a name."""

_PRIMES = str.maketrans("\u2019\u2018\u2032\u00b4\u0060\u02b9", "''''''")
_WHOLE = re.compile(r"[-+]?[0-9]+(?:\.0*)?")
_KNOWN_TYPES = ", ".join(t.value for t in LayerType)
_TYPE_ADVICE = {
    "FC": "write a fully connected layer as CONV with R, S, Y and X of 1, or as GEMM",
    "POOL": "leave pooling out, or write it as DSCONV",
    "LSTM": "write its matrix products as GEMM layers",
}


class Builder:
    """One file: its Constants as they are met, and an error that knows the file and the layer."""

    def __init__(self, source: str) -> None:
        """``source`` is the name of the file in errors."""
        self.source = source
        self.layer = ""
        self.constants: dict[str, int] = {}
        self.places: Places = []

    def error(self, token: Token, message: str, fix: str = "") -> DescriptionError:
        """An error at ``token``."""
        return DescriptionError(
            message,
            source=self.source,
            line=token.line or 0,
            column=token.column or 0,
            layer=self.layer,
            fix=fix,
        )

    def network(self, tree: Tree[Token]) -> Network:
        """The layers of all networks of the file, under the last one's name (as the reference)."""
        name, seen = "", False
        layers: list[MappedLayer] = []
        for part in _trees(tree.children):
            if part.data == "constant":
                self.constant(part)
            elif part.data == "network":
                seen = True
                title, *bodies = _trees(part.children[1:])
                name = _last_word(title) or name
                layers += [self.mapped_layer(body) for body in bodies]
        if not seen:
            raise DescriptionError(
                "the file holds no Network",
                source=self.source,
                line=1,
                fix="layers stand inside Network NAME { ... }",
            )
        return Network(name, tuple(layers), self.source)

    def constant(self, tree: Tree[Token]) -> None:
        """Take down a Constant; the last definition further up counts."""
        name, value = cast("list[Token]", tree.children)
        self.constants[str(name)] = self.number(value)

    def number(self, token: Token) -> int:
        """A whole number or a Constant defined further up."""
        if token in self.constants:
            return self.constants[token]
        if not _WHOLE.fullmatch(token):
            raise self.error(
                token,
                f"'{shown(token)}' is neither a whole number nor a Constant defined above",
                "write Constant NAME VALUE before the Network" if token[0].isalpha() else "",
            )
        digits = token.split(".")[0]
        if len(digits.lstrip("+-0")) > len(str(UNLIMITED)) or abs(int(digits)) > UNLIMITED:
            raise self.error(token, f"{digits[:20]} is too large", f"numbers go up to {UNLIMITED}")
        return int(digits)

    def mapped_layer(self, tree: Tree[Token]) -> MappedLayer:
        """A layer, and its dataflow if it has its own; Stride must precede Dimensions."""
        keyword, title = cast("Token", tree.children[0]), cast("Tree[Token]", tree.children[1])
        self.layer = name = _last_word(title) or UNNAMED
        place: Place = {None: _at(keyword)}
        parts: dict[str, Tree[Token]] = {}
        for part in _trees(tree.children[2:]):
            start = cast("Token", part.children[0])
            if part.data in parts:
                raise self.error(start, f"a second {start} in one layer", "leave one of them out")
            if part.data == "stride" and "dimensions" in parts:
                raise self.error(start, "Stride after Dimensions", "move Stride before Dimensions")
            parts[part.data] = part
        for rule, keyword_missing in (("type", "Type"), ("dimensions", "Dimensions")):
            if rule not in parts:
                raise self.error(keyword, f"the layer has no {keyword_missing}", f"add {keyword_missing}")
        layer = Layer(
            name,
            self.layer_type(cast("Token", parts["type"].children[1])),
            self.sizes(parts["dimensions"], place, ""),
            self.sizes(parts["stride"], place, "stride ") if "stride" in parts else (),
            line=keyword.line or 0,
        )
        dataflow = self.dataflow(parts["dataflow"], place) if "dataflow" in parts else None
        self.places.append(place)
        self.layer = ""
        return MappedLayer(layer, dataflow or None)

    def layer_type(self, token: Token) -> LayerType:
        """The type that a word names."""
        try:
            return LayerType(token)
        except ValueError:
            raise self.error(
                token,
                f"layer type {shown(token)} is not supported (there are {_KNOWN_TYPES})",
                _TYPE_ADVICE.get(token.upper(), ""),
            ) from None

    def sizes(self, tree: Tree[Token], place: Place, prefix: str) -> tuple[tuple[str, int], ...]:
        """Name and value pairs of Dimensions or Stride; a name may come twice with one value."""
        found: dict[str, int] = {}
        words = cast("list[Token]", tree.children)[1:]
        for key, value in zip(words[::2], words[1::2], strict=True):
            name, size = key.translate(_PRIMES), self.number(value)
            if prefix:
                self.check_stride(key, name, size)
            if found.get(name, size) != size:
                raise self.error(
                    key,
                    f"{prefix}{name} is given twice, as {found[name]} and {size}",
                    "leave one of them out",
                )
            found[name] = size
            place.setdefault(prefix + name, _at(key))
        return tuple(found.items())

    def check_stride(self, token: Token, name: str, stride: int) -> None:
        """Refuse at ``token`` a stride that no layer can have."""
        try:
            check_stride(name, stride)
        except DescriptionError as error:
            raise self.error(token, error.message, error.fix) from None

    def dataflow(self, tree: Tree[Token], place: Place) -> Dataflow:
        """The directives of a Dataflow block; ``place`` takes down where each stands."""
        directives: list[Directive] = []
        for index, part in enumerate(_trees(tree.children[1:])):
            words = cast("Iterator[Token]", iter(part.children))
            keyword = next(words)
            line = keyword.line or 0
            place[index] = (line, keyword.column or 0)
            size = self.size(words)
            if keyword.type == "CLUSTER":
                directives.append(Cluster(size, str(next(words)), line))
                continue
            offset = self.size(words)
            kind = TemporalMap if keyword.type == "TEMPORAL_MAP" else SpatialMap
            directives.append(kind(size, offset, next(words).translate(_PRIMES), line))
        return Dataflow(tuple(directives))

    def size(self, words: Iterator[Token]) -> Size:
        """A size or an offset: a number, a Constant or Sz(D)."""
        token = next(words)
        if token.type == "SZ":
            return Sz(next(words).translate(_PRIMES))
        return self.number(token)

    def hardware(self, tree: Tree[Token], name: str) -> Hardware:
        """The accelerator; what the file leaves out is as the reference's hardware files have it."""
        fields = {
            "num_pes": 1,
            "l1_size": UNLIMITED,
            "l2_size": UNLIMITED,
            "noc_bandwidth": UNLIMITED,
            "noc_hops": 1,
            "offchip_bandwidth": UNLIMITED,
        }
        seen: set[str] = set()
        words = cast("list[Token]", tree.children)
        for key, value in zip(words[::2], words[1::2], strict=True):
            if key not in HARDWARE_KEYS:
                near = difflib.get_close_matches(key, HARDWARE_KEYS, 1, 0.5)
                known = ", ".join(HARDWARE_KEYS)
                raise self.error(
                    key,
                    f"unknown key {shown(key)}",
                    f"did you mean {near[0]}?" if near else f"keys are {known}",
                )
            if key in seen:
                raise self.error(key, f"{key} is given twice", "leave one of them out")
            seen.add(key)
            number = self.number(value)
            least = 1 if key in ("num_pes", "noc_bw_cstr", "offchip_bw_cstr") else 0
            if number < least:
                raise self.error(value, f"{key} is {number}", f"it must be at least {least}")
            fields[HARDWARE_KEYS[key]] = number
        return Hardware(**fields, hop_latency=1, name=name)


def _trees(children: list[Token | Tree[Token]]) -> list[Tree[Token]]:
    return cast("list[Tree[Token]]", children)


def _at(token: Token) -> tuple[int, int]:
    return token.line or 0, token.column or 0


def _last_word(tree: Tree[Token]) -> str:
    return str(tree.children[-1]) if tree.children else ""
