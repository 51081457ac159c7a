"""The networks of a configuration: rows of layers, or models that are traced for them."""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from experiments.schema import LayerRow, ModelConfig, NetworkConfig
from jaxmaestro.description import UNLIMITED, DescriptionError, Layer
from jaxmaestro.description.network import batched_tensors

if TYPE_CHECKING:
    from jaxmaestro.frontends.workload import Workload

SHARED_OPTIONS = ("batch", "image", "tokens")
"""Options of the zoo that ``model`` sets for every network that has them."""


def networks_of(model: ModelConfig) -> dict[str, list[tuple[Layer, int]]]:
    """Layers of every network by name, each with how often it occurs.

    Raises:
        DescriptionError: no network, a value out of range, or a model that cannot be had or traced.
    """
    if not model.networks:
        raise DescriptionError("model.networks is empty", fix="choose a model, such as model=alexnet")
    return {name: network_layers(name, net) for name, net in written_out(model).networks.items()}


def network_layers(name: str, network: NetworkConfig) -> list[tuple[Layer, int]]:
    """Layers of one network with how often each occurs; a model is traced with the defaults of ``model``.

    Raises as :func:`networks_of`.
    """
    if network.spec and not network.layers:
        network = written_out(ModelConfig({name: network})).networks[name]
    layers = [_layer(f"model.networks.{name}.layers", row) for row in network.layers]
    if not layers:
        raise DescriptionError(f"model.networks.{name}.layers is empty", fix="give it layers or a spec")
    return layers


def check_batches(networks: dict[str, list[tuple[Layer, int]]]) -> None:
    """Raises DescriptionError where layers of one type have a dimension N and others have not.

    A mapping file, in which a search leaves its mappings, cannot hold both.
    """
    for name, rows in networks.items():
        layers = [layer for layer, _ in rows]
        for layer, batched in zip(layers, batched_tensors(layers), strict=True):
            if batched != ("N" in layer):
                has = "no dimension N, unlike the first" if batched else "a dimension N, unlike the first"
                raise DescriptionError(
                    f"it has {has} {layer.type.tensors.value} layer of {name}",
                    layer=layer.name,
                    fix="give N to all layers of the type (1 is no batch), or to none",
                )


def network_macs(network: NetworkConfig) -> int:
    """MACs of one inference, padding rows and columns included in the sizes."""
    return sum(layer.macs * repeat for layer, repeat in network_layers("", network))


def plain_model(settings: DictConfig) -> dict[str, Any]:
    """The ``model`` of a configuration with all layers, as ``run.json`` keeps it; raises as above."""
    return dataclasses.asdict(written_out(_typed(settings)), dict_factory=_named)


def resolved(settings: DictConfig) -> DictConfig:
    """The configuration with the layers of models written out; raises as above.

    It takes half a second for OmegaConf to make nodes of all rows: :func:`plain_model` is quick.
    """
    # Hydra's own part names the run folder, which may ask for the layers.
    found = OmegaConf.masked_copy(settings, [str(key) for key in settings if key != "hydra"])
    found.model = written_out(_typed(settings))
    return found


def _typed(settings: DictConfig) -> ModelConfig:
    plain = OmegaConf.to_container(settings.model, resolve=True)
    model = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(ModelConfig), plain))
    assert isinstance(model, ModelConfig)
    return model


def _named(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key: value.name if isinstance(value, enum.Enum) else value for key, value in items}


def written_out(model: ModelConfig) -> ModelConfig:
    """The same networks, each with layers: those of a model in its order, layers of one shape once."""
    networks = dict(model.networks)
    for name, workload in workloads_of(model).items():
        if not len(workload):
            raise DescriptionError(
                f"model.networks.{name}: {networks[name].spec} has no layers",
                fix=f"jaxmaestro-describe '{networks[name].spec}' shows what it has",
            )
        rows = [_row(entry.layer, entry.count, networks[name].spec) for entry in workload.unique().entries]
        networks[name] = dataclasses.replace(networks[name], layers=rows)
    return dataclasses.replace(model, networks=networks)


def workloads_of(model: ModelConfig) -> dict[str, Workload]:
    """The traced workloads by name: networks that have a spec and no layers.

    Raises:
        DescriptionError: for what cannot be had or traced, and an option that no network takes.
    """
    asked = {key: getattr(model, key) for key in SHARED_OPTIONS if getattr(model, key) is not None}
    traced = {name: net for name, net in model.networks.items() if net.spec and not net.layers}
    taken = {
        name: {key: asked[key] for key in _options_of(net.spec) if key in asked}
        for name, net in traced.items()
    }
    for key in asked:
        if not any(key in options for options in taken.values()):
            raise DescriptionError(
                f"no network takes model.{key}", fix="networks of the zoo do, such as model=zoo:resnet50"
            )
    style = {"padding": model.padding, "products": model.products, "training": model.training}
    return {
        name: _traced(net.spec, json.dumps({**style, **net.options, **taken[name]}, sort_keys=True))
        for name, net in traced.items()
    }


def _options_of(spec: str) -> tuple[str, ...]:
    """Names of the options that a network of the zoo has; other models have none."""
    from jaxmaestro.frontends.specs import parse_spec

    parsed = parse_spec(spec)
    if parsed.framework != "zoo":
        return ()
    from jaxmaestro import zoo

    return tuple(zoo.entry(parsed.target).options)


@functools.cache
def _traced(spec: str, options: str) -> Workload:
    """A model is traced once a process: its layers are in the name of the folder and in what runs."""
    from jaxmaestro.frontends.specs import workload_of

    return workload_of(spec, **json.loads(options))


def told(model: ModelConfig) -> list[str]:
    """A line for each traced network: its size, and what of it is no layer and so not in the figures."""
    lines = []
    for name, workload in workloads_of(model).items():
        runs = sum(entry.count for entry in workload.entries)
        line = f"{name} ({model.networks[name].spec}): {runs:,} layers of {len(workload.unique())} shapes, "
        line += f"{workload.layer_macs / 1e9:,.2f} GMACs"
        if workload.unmapped:
            most = ", ".join(each.name for each in workload.unmapped[:3])
            line += f"; {workload.operations / 1e9:,.3f} G operations are no layers ({most}, ...)"
        if workload.notes or any(entry.notes or entry.unbounded for entry in workload.entries):
            line += "; jaxmaestro-describe has notes on it"
        lines.append(line)
    return lines


def _row(layer: Layer, repeat: int, source: str) -> LayerRow:
    """The row of a layer; raises DescriptionError with its place for one that rows cannot describe."""
    sizes: dict[str, Any] = layer.input_sizes
    y, x = layer.stride("Y"), layer.stride("X")
    row = LayerRow(
        name=layer.name, type=layer.type, **sizes, stride=y, stride_x=None if x == y else x, repeat=repeat
    )
    place: dict[str, Any] = {"source": source, "line": layer.line, "layer": layer.name}
    try:
        described, _ = _layer("", row)
    except DescriptionError as error:
        raise DescriptionError(error.message, **place, fix=error.fix) from error
    if described.macs != layer.macs:  # a model file may state outputs, which rows do not
        raise DescriptionError(
            "it states outputs (Y', X') with a stride, or a stride of outputs, which experiments do not take",
            **place,
            fix="give Y and X, such as Y = (Y' - 1) * stride + R, with strides of Y and X",
        )
    return row


def _layer(place: str, row: LayerRow) -> tuple[Layer, int]:
    label = f"{place}: {row.name}"
    sizes = {d: getattr(row, d) for d in "NGKCRSYXM" if getattr(row, d) is not None}
    stride_x = row.stride if row.stride_x is None else row.stride_x
    numbers = {**sizes, "stride": row.stride, "stride_x": stride_x, "repeat": row.repeat}
    for key, value in numbers.items():
        if not 1 <= value <= UNLIMITED:
            raise DescriptionError(f"{key} is {value}", layer=label, fix=f"it must be 1 to {UNLIMITED}")
    for missing in (d for d in row.type.required if d not in sizes):
        raise DescriptionError(f"{row.type.value} without {missing}", layer=label, fix=f"give {missing}")
    for extra in (d for d in sizes if d not in row.type.dimension_names):
        raise DescriptionError(f"{row.type.value} has no dimension {extra}", layer=label, fix="leave it out")
    if row.type.is_convolution and (sizes["Y"] < sizes["R"] or sizes["X"] < sizes["S"]):
        raise DescriptionError("the filter is larger than the input", layer=label, fix="Y >= R and X >= S")
    strides = {"Y": row.stride, "X": stride_x} if row.type.is_convolution else {}
    return Layer.of(row.name, row.type, sizes, strides), row.repeat
