"""Dataflows by kind of layer: from directives, from a file of ``conf/dataflow``, from a mapping file."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from jaxmaestro.description import Dataflow, DescriptionError, Layer, LayerType, Network
from jaxmaestro.formats.reading import PathLike, parse_dataflow, read_dataflow, read_mapping

KINDS = ("conv", "conv_strided", "depthwise", "depthwise_strided", "gemm")
"""Kinds of layers that may have dataflows of their own; a strided one may take the unstrided one's."""


def kind_of(layer: Layer) -> str:
    """The one of :data:`KINDS` that a layer is of."""
    if layer.type is LayerType.GEMM:
        return "gemm"
    kind = "depthwise" if layer.type is LayerType.DSCONV else "conv"
    return kind + ("_strided" if layer.stride("Y") > 1 or layer.stride("X") > 1 else "")


def parse_directives(place: str, texts: Sequence[str], name: str) -> Dataflow:
    """A dataflow from directives as the mapping files write them, such as ``SpatialMap(Sz(R),1) Y``.

    Raises:
        DescriptionError: for a directive that cannot be read; ``place`` is where they stand.
    """
    for text in texts:
        try:
            parse_dataflow(f"Dataflow {{ {text}; }}")
        except DescriptionError as error:
            raise DescriptionError(
                f"{place}: cannot read the directive '{text}'",
                fix="expected TemporalMap(size,offset) D, SpatialMap(size,offset) D or Cluster(size,P)",
            ) from error
    whole = parse_dataflow("Dataflow {" + ";".join(texts) + ";}", place)
    return dataclasses.replace(whole, name=name)


def dataflows_by_kind(place: str, rows: Mapping[str, Sequence[str] | None], name: str) -> dict[str, Dataflow]:
    """The dataflow of each kind that ``rows`` has directives for.

    Args:
        place: where they stand, for errors.
        rows: directives by kind. A strided kind without any is that of the unstrided layers.
        name: of the dataflows.

    Raises:
        DescriptionError: for a directive that cannot be read.
    """
    found: dict[str, Dataflow] = {}
    for kind in KINDS:
        texts = rows.get(kind)
        given = kind if texts is not None else kind.removesuffix("_strided")
        texts = rows.get(given)
        if texts is not None:
            found[kind] = found.get(given) or parse_directives(f"{place}.{given}", texts, name)
    return found


def read_dataflows(path: PathLike) -> Callable[[Layer], Dataflow]:
    """What a file says of the dataflow of each layer, as a function.

    A file of ``conf/dataflow`` (``.yaml``, with one dataflow) has directives by kind of layer. A dataflow
    file has one for all. Of a mapping file, a layer takes the dataflow of the layer of its name and type,
    else of the first of its type and with or without strides as it, else of its type, else of a
    convolution that is depthwise or not as it.

    Raises:
        DescriptionError: for a file that cannot be read; the function, for a layer that has none.
    """
    place = os.fspath(path)
    if Path(path).suffix in (".yaml", ".yml"):
        kinds = _read_yaml(Path(path))

        def by_kind(layer: Layer) -> Dataflow:
            if kind_of(layer) not in kinds:
                raise _none(place, layer)
            return kinds[kind_of(layer)]

        return by_kind
    text = Path(path).read_text(errors="replace") if Path(path).is_file() else ""
    if text and not re.search(r"\bNetwork\b", re.sub(r"//.*", "", text)):
        dataflow = read_dataflow(path)
        return lambda _: dataflow
    network = read_mapping(path)
    return lambda layer: _of_nearest(network, layer, place)


def _of_nearest(network: Network, layer: Layer, place: str) -> Dataflow:
    before: Dataflow | None = None
    candidates: list[tuple[int, Dataflow]] = []
    for mapped in network:
        other, before = mapped.layer, mapped.dataflow or before
        if before is None or kind_of(other).split("_")[0] != kind_of(layer).split("_")[0]:
            continue
        same_type, same_kind = other.type is layer.type, kind_of(other) == kind_of(layer)
        near = 4 * (same_type and other.name == layer.name) + 2 * same_type + same_kind
        candidates.append((near, before))
    if not candidates:
        raise _none(place, layer)
    return max(candidates, key=lambda candidate: candidate[0])[1]  # the first of the nearest


def _none(place: str, layer: Layer) -> DescriptionError:
    return DescriptionError(
        f"no dataflow for a {layer.type.value}",
        source=place,
        layer=layer.name,
        fix="add one, or give another file",
    )


def _read_yaml(path: Path) -> dict[str, Dataflow]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DescriptionError(f"cannot be read: {error.strerror or error}", source=str(path)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        message = " ".join(str(error).split())
        raise DescriptionError(f"cannot be read: {message}", source=str(path)) from error
    flows = content.get("dataflows") if isinstance(content, dict) else None
    if not isinstance(flows, dict) or len(flows) != 1:
        raise DescriptionError(
            "is no file of one dataflow", source=str(path), fix="see conf/dataflow/kc_p.yaml"
        )
    ((name, rows),) = flows.items()
    lists = {kind: rows.get(kind) for kind in KINDS} if isinstance(rows, dict) else {}
    good = lists and all(
        texts is None or (isinstance(texts, list) and all(isinstance(text, str) for text in texts))
        for texts in lists.values()
    )
    if not good:
        raise DescriptionError(
            f"{name} has no lists of directives", source=str(path), fix="see conf/dataflow"
        )
    return dataflows_by_kind(f"{path}: {name}", lists, str(name))
