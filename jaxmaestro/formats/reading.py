"""Reading the three text formats: mapping (and model), dataflow, hardware."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from jaxmaestro.description import Dataflow, DescriptionError, Hardware, MappedLayer, Network
from jaxmaestro.formats.build import Builder
from jaxmaestro.formats.checks import validate_layers, validate_network
from jaxmaestro.formats.syntax import parse_tree

PathLike = str | os.PathLike[str]


def read_mapping(path: PathLike, *, check: bool = True) -> Network:
    """A network of layers with dataflows, from a mapping file.

    Constants are replaced by their values, ``Sz(D)`` stays. A layer without
    Dataflow has ``None`` there and takes that of the layer before.

    Args:
        path: the file.
        check: whether to refuse mappings that the reference has no figures for
            (see :func:`~jaxmaestro.formats.checks.validate_network`). Without,
            they are read, and the cost function marks them.

    Raises:
        DescriptionError: with file, line, column and layer.
    """
    return parse_mapping(_text(path), os.fspath(path), check=check)


def parse_mapping(text: str, source: str = "", *, check: bool = True) -> Network:
    """As :func:`read_mapping`, from text; ``source`` is the file's name in errors."""
    builder = Builder(source)
    network = builder.network(parse_tree(text, "mapping", source))
    if check:
        validate_network(network, builder.places)
    return network


def read_model(path: PathLike, *, check: bool = True) -> Network:
    """The layers of a model file or a mapping file, without dataflows.

    Raises:
        DescriptionError: with file, line, column and layer.
    """
    return parse_model(_text(path), os.fspath(path), check=check)


def parse_model(text: str, source: str = "", *, check: bool = True) -> Network:
    """As :func:`read_model`, from text."""
    builder = Builder(source)
    network = builder.network(parse_tree(text, "mapping", source))
    if check:
        validate_layers(network, builder.places)
    return dataclasses.replace(network, layers=tuple(MappedLayer(m.layer) for m in network))


def read_dataflow(path: PathLike) -> Dataflow:
    """A dataflow on its own, from a file that holds ``Dataflow { ... }``; its name is the file's.

    Raises:
        DescriptionError: with file, line and column.
    """
    return parse_dataflow(_text(path), os.fspath(path))


def parse_dataflow(text: str, source: str = "") -> Dataflow:
    """As :func:`read_dataflow`, from text."""
    builder = Builder(source)
    *constants, body = parse_tree(text, "dataflow_file", source).children
    for constant in constants:
        builder.constant(constant)  # type: ignore[arg-type]
    dataflow = builder.dataflow(body, {})  # type: ignore[arg-type]
    if not dataflow.directives:
        raise DescriptionError("the dataflow is empty", source=source, line=1, fix="add directives")
    return dataclasses.replace(dataflow, name=Path(source).stem)


def read_hardware(path: PathLike) -> Hardware:
    """An accelerator, from a hardware file.

    What the file leaves out is as in the reference's hardware files, which
    differ from its command line: 1 PE, no limits, 1 hop. The latency of the
    NoC is the number of hops.

    Raises:
        DescriptionError: with file, line and column.
    """
    return parse_hardware(_text(path), os.fspath(path))


def parse_hardware(text: str, source: str = "") -> Hardware:
    """As :func:`read_hardware`, from text."""
    return Builder(source).hardware(parse_tree(text, "hardware", source), Path(source).stem)


def _text(path: PathLike) -> str:
    """A file's text: UTF-8, or what Windows editors made of curly quotes."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise DescriptionError(
            f"cannot be read: {error.strerror or error}", source=os.fspath(path)
        ) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")
