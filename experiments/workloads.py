"""From the configuration to what is evaluated: layers, dataflows, a hardware grid, and their pairs."""

from __future__ import annotations

import dataclasses
import functools
import itertools

from experiments.networks import networks_of
from experiments.schema import Config, DataflowConfig, HardwareConfig
from jaxmaestro.description import UNLIMITED, Dataflow, DescriptionError, Hardware, Layer
from jaxmaestro.formats.dataflows import KINDS, dataflows_by_kind, kind_of


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
    networks = networks_of(config.model)
    if not config.dataflow.dataflows:
        raise DescriptionError("dataflow.dataflows is empty", fix="choose a dataflow, such as dataflow=kc_p")
    variants = {name: _variants(name, flow) for name, flow in config.dataflow.dataflows.items()}
    if config.sweep.chunk < 1:
        raise DescriptionError(f"sweep.chunk is {config.sweep.chunk}", fix="it must be 1 or more")
    found: dict[tuple[object, ...], tuple[Layer, Dataflow]] = {}
    uses: list[tuple[str, Layer, int, str, tuple[object, ...]]] = []
    for (network, layers), (flow, kinds) in itertools.product(networks.items(), variants.items()):
        for layer, repeat in layers:
            dataflow = kinds.get(kind_of(layer))
            if dataflow is None:
                raise DescriptionError(
                    f"dataflow.dataflows.{flow} has no directives for {layer.type.value}",
                    layer=f"{network}.{layer.name}",
                    fix=f"add {kind_of(layer)}",
                )
            key = (layer.shape, dataflow)
            found.setdefault(key, (layer, dataflow))
            uses.append((network, layer, repeat, flow, key))
    position = {key: index for index, key in enumerate(found)}
    return Space(
        pairs=tuple(found.values()),
        hardware=hardware_points(config.hw),
        rows=tuple(Row(net, layer, n, flow, position[key]) for net, layer, n, flow, key in uses),
    )


def _variants(name: str, config: DataflowConfig) -> dict[str, Dataflow]:
    rows = {kind: getattr(config, kind) for kind in KINDS}
    return dataflows_by_kind(f"dataflow.dataflows.{name}", rows, name)


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


def describe(space: Space) -> str:
    """One line: how much there is to do."""
    repeats = 100 * (1 - len(space) / space.occurrences)
    return (
        f"{len(space.networks)} networks x {len(space.dataflows)} dataflows x {len(space.hardware)} hardware "
        f"points: {len(space):,} distinct tuples ({len(space.pairs)} layer-dataflow pairs; {repeats:.0f}% of "
        f"{space.occurrences:,} occurrences are repeats)"
    )
