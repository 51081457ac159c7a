"""From the configuration to what is evaluated: layers, dataflows, a hardware grid, and their pairs."""

from __future__ import annotations

import dataclasses
import functools
import itertools

from experiments.schema import Config, DataflowConfig, HardwareConfig, LayerRow, NetworkConfig
from jaxmaestro.description import UNLIMITED, Dataflow, DescriptionError, Hardware, Layer, LayerType
from jaxmaestro.formats import parse_dataflow


@dataclasses.dataclass(frozen=True)
class Row:
    """A layer of a network under a dataflow: one line of the results for each hardware point."""

    network: str
    layer: Layer
    repeat: int
    dataflow: str
    pair: int  # index into Space.pairs


@dataclasses.dataclass(frozen=True)
class Space:
    """What a sweep evaluates: P distinct (layer, dataflow) pairs on H hardware points.

    Layers of one shape are one pair however often they occur and whatever they
    are called; ``rows`` says where each pair is used. Tuple ``t`` is pair
    ``t // H`` on point ``t % H``.
    """

    pairs: tuple[tuple[Layer, Dataflow], ...]  # P
    hardware: tuple[Hardware, ...]  # H
    rows: tuple[Row, ...]

    def __len__(self) -> int:
        return len(self.pairs) * len(self.hardware)

    @functools.cached_property
    def networks(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row.network for row in self.rows))

    @functools.cached_property
    def dataflows(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row.dataflow for row in self.rows))

    @property
    def occurrences(self) -> int:
        """Tuples that would be evaluated if every occurrence of a layer were."""
        return sum(row.repeat for row in self.rows) * len(self.hardware)


def build_space(config: Config) -> Space:
    """The space of a configuration.

    Raises:
        DescriptionError: a value is out of range; the message names its key.
    """
    networks = {name: network_layers(name, net) for name, net in config.model.networks.items()}
    if not networks:
        raise DescriptionError("model.networks is empty", fix="choose a model, such as model=alexnet")
    if not config.dataflow.dataflows:
        raise DescriptionError("dataflow.dataflows is empty", fix="choose a dataflow, such as dataflow=kc_p")
    variants = {name: _variants(name, flow) for name, flow in config.dataflow.dataflows.items()}
    if config.sweep.chunk < 1:
        raise DescriptionError(f"sweep.chunk is {config.sweep.chunk}", fix="it must be 1 or more")
    found: dict[tuple[object, ...], tuple[Layer, Dataflow]] = {}
    uses: list[tuple[str, Layer, int, str, tuple[object, ...]]] = []
    for (network, layers), (flow, kinds) in itertools.product(networks.items(), variants.items()):
        for layer, repeat in layers:
            dataflow = kinds.get(_kind(layer))
            if dataflow is None:
                raise DescriptionError(
                    f"dataflow.dataflows.{flow} has no directives for {layer.type.value}",
                    layer=f"{network}.{layer.name}",
                    fix=f"add {_kind(layer)}",
                )
            # The name of a layer is no part of its cost.
            key = (layer.type, layer.dimensions, layer.strides, dataflow)
            found.setdefault(key, (layer, dataflow))
            uses.append((network, layer, repeat, flow, key))
    position = {key: index for index, key in enumerate(found)}
    return Space(
        pairs=tuple(found.values()),
        hardware=hardware_points(config.hw),
        rows=tuple(Row(net, layer, n, flow, position[key]) for net, layer, n, flow, key in uses),
    )


def network_layers(name: str, network: NetworkConfig) -> list[tuple[Layer, int]]:
    """Layers of a network with how often each occurs."""
    layers = [_layer(f"model.networks.{name}.layers", row) for row in network.layers]
    if not layers:
        raise DescriptionError(f"model.networks.{name}.layers is empty", fix="give it layers")
    return layers


def _layer(place: str, row: LayerRow) -> tuple[Layer, int]:
    label = f"{place}: {row.name}"
    sizes = {d: getattr(row, d) for d in "NGKCRSYXM" if getattr(row, d) is not None}
    for key, value in [*sizes.items(), ("stride", row.stride), ("repeat", row.repeat)]:
        if not 1 <= value <= UNLIMITED:
            raise DescriptionError(f"{key} is {value}", layer=label, fix=f"it must be 1 to {UNLIMITED}")
    for missing in (d for d in row.type.required if d not in sizes):
        raise DescriptionError(f"{row.type.value} without {missing}", layer=label, fix=f"give {missing}")
    for extra in (d for d in sizes if d not in row.type.dimension_names):
        raise DescriptionError(f"{row.type.value} has no dimension {extra}", layer=label, fix="leave it out")
    if row.type.is_convolution and (sizes["Y"] < sizes["R"] or sizes["X"] < sizes["S"]):
        raise DescriptionError("the filter is larger than the input", layer=label, fix="Y >= R and X >= S")
    strides = {"Y": row.stride, "X": row.stride} if row.type.is_convolution else {}
    return Layer.of(row.name, row.type, sizes, strides), row.repeat


def _kind(layer: Layer) -> str:
    if layer.type is LayerType.GEMM:
        return "gemm"
    kind = "depthwise" if layer.type is LayerType.DSCONV else "conv"
    return kind + ("_strided" if layer.stride("Y") > 1 or layer.stride("X") > 1 else "")


def _variants(name: str, config: DataflowConfig) -> dict[str, Dataflow]:
    rows = {
        "conv": config.conv,
        "conv_strided": config.conv if config.conv_strided is None else config.conv_strided,
        "depthwise": config.depthwise,
        "depthwise_strided": (
            config.depthwise if config.depthwise_strided is None else config.depthwise_strided
        ),
        "gemm": config.gemm,
    }
    return {
        kind: parse_directives(f"dataflow.dataflows.{name}.{kind}", texts, name)
        for kind, texts in rows.items()
        if texts is not None
    }


def parse_directives(place: str, texts: list[str], name: str) -> Dataflow:
    """A dataflow from directives as the mapping files write them, such as ``SpatialMap(Sz(R),1) Y``."""
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


def hardware_points(config: HardwareConfig) -> tuple[Hardware, ...]:
    """Every combination of the grid's values, those left out at the base point."""
    names = [f.name for f in dataclasses.fields(Hardware) if f.name != "name"]
    axes: list[list[int]] = []
    for name in names:
        base, swept = getattr(config.base, name), list(getattr(config.grid, name))
        values = swept or [base]
        lowest = 0 if name in ("noc_hops", "hop_latency") else 1
        for key, value in [("base", base), *(("grid", v) for v in swept)]:
            if not lowest <= value <= UNLIMITED:
                limits = f"it must be {lowest} to {UNLIMITED}"
                raise DescriptionError(f"hw.{key}.{name} is {value}", fix=limits)
        axes.append(list(dict.fromkeys(values)))
    points = itertools.product(*axes)
    return tuple(Hardware(**dict(zip(names, point, strict=True)), name=config.name) for point in points)


def network_macs(network: NetworkConfig) -> int:
    """MACs of one inference, padding rows and columns included in the sizes."""
    return sum(layer.macs * repeat for layer, repeat in network_layers("", network))


def describe(space: Space) -> str:
    """One line: how much there is to do."""
    repeats = 100 * (1 - len(space) / space.occurrences)
    return (
        f"{len(space.networks)} networks x {len(space.dataflows)} dataflows x {len(space.hardware)} hardware "
        f"points: {len(space):,} distinct tuples ({len(space.pairs)} layer-dataflow pairs; {repeats:.0f}% of "
        f"{space.occurrences:,} occurrences are repeats)"
    )
