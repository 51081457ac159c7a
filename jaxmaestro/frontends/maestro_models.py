"""MAESTRO's own model and mapping files as workloads."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from jaxmaestro.description import Layer
from jaxmaestro.formats import read_model
from jaxmaestro.frontends.assemble import plain_name, unique_name
from jaxmaestro.frontends.describe import Padding, Products, Style
from jaxmaestro.frontends.workload import Workload, WorkloadLayer


def from_maestro(
    path: str | os.PathLike[str],
    *,
    padding: Padding = "same-as-maestro",
    products: Products = "auto",
    name: str = "",
) -> Workload:
    """The layers of a model file, or of a mapping file without its dataflows.

    The file says what its layers are: ``padding`` and ``products`` change nothing, and are there because
    every frontend has them. MACs are those of the layers, each of which runs once.

    Raises:
        DescriptionError: with file, line and layer, as :func:`jaxmaestro.read_model`; for bad options.
    """
    style, names = Style(padding, products), dict[str, int]()
    layers = [_named(mapped.layer, names) for mapped in read_model(path)]
    entries = tuple(WorkloadLayer(layer, 1, layer.macs, layer.macs) for layer in layers)
    return Workload(name or plain_name(Path(path).stem), entries, style=style)


def _named(layer: Layer, names: dict[str, int]) -> Layer:
    return dataclasses.replace(layer, name=unique_name(layer.name, names))
