"""What can be said of a network without evaluating it: is every mapping one that has a cost?

The rules are those under which the reference gives figures at all. What
depends on the accelerator (more PEs in a cluster than there are) is found by
the cost function, and marked there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from jaxmaestro.description import (
    MAX_LEVELS,
    Cluster,
    Dataflow,
    DescriptionError,
    Layer,
    LayerType,
    MappedLayer,
    Network,
    Size,
    SpatialMap,
    Sz,
    TemporalMap,
)
from jaxmaestro.description.layer import ALL_DIMENSIONS, OUTPUT_TO_INPUT, SLIDING
from jaxmaestro.description.network import batched_tensors

Subject = str | int | None
"""What a problem is about: a dimension ("K"), a stride ("stride X"), a directive's index, the layer."""

Place = dict[Subject, tuple[int, int]]
"""Line and column of the parts of one layer."""

Places = list[Place]

_MAX_SPATIAL = 2


@dataclasses.dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a layer or its dataflow, and how to mend it."""

    message: str
    fix: str = ""
    subject: Subject = None


def validate_network(network: Network, places: Sequence[Place] = (), *, filter_tiles: bool = True) -> None:
    """Check every layer and mapping of a network.

    Args:
        network: layers with dataflows (a layer without one takes that of the layer before).
        places: where the parts of each layer stand in the file, if it came from one.
        filter_tiles: whether temporal tiles of R and S must be the whole
            dimension, as the reference asks since 2021 (before, it did not).

    Raises:
        DescriptionError: for the first problem found, in the order of the file.
    """
    if not network.layers:
        raise DescriptionError("the network has no layers", source=network.source, fix="add a Layer")
    batched = batched_tensors(mapped.layer for mapped in network)
    dataflow: Dataflow | None = None
    for index, mapped in enumerate(network):
        dataflow = mapped.dataflow or dataflow
        inherited = mapped.dataflow is None
        for problem in mapping_problems(mapped.layer, dataflow, batched[index]):
            if filter_tiles or not isinstance(problem, FilterTileProblem):
                place = places[index] if places else {}
                raise _located(network.source, mapped, problem, place, inherited)


def validate_layers(network: Network, places: Sequence[Place] = ()) -> None:
    """Check the layers of a network and not their dataflows; raises as :func:`validate_network`."""
    if not network.layers:
        raise DescriptionError("the network has no layers", source=network.source, fix="add a Layer")
    for index, mapped in enumerate(network):
        for problem in layer_problems(mapped.layer):
            place = places[index] if places else {}
            raise _located(network.source, mapped, problem, place, False)


def _located(
    source: str, mapped: MappedLayer, problem: Problem, place: Place, inherited: bool
) -> DescriptionError:
    layer, subject = mapped.layer, problem.subject
    line, column = place.get(subject) or place.get(None) or (layer.line, 0)
    if isinstance(subject, int) and mapped.dataflow and not place:
        line = mapped.dataflow.directives[subject].line or line
    note = " (in the dataflow of the layer before, which this layer takes)"
    message = problem.message + (note if inherited and isinstance(subject, int) else "")
    return DescriptionError(
        message, source=source, line=line, column=column, layer=layer.name, fix=problem.fix
    )


def mapping_problems(layer: Layer, dataflow: Dataflow | None, batched: bool) -> Iterator[Problem]:
    """Everything wrong with a layer under a dataflow; ``batched``: its tensors have N."""
    yield from layer_problems(layer)
    if batched and layer.type.is_convolution and "N" not in layer:
        yield Problem(
            f"the layer has no dimension N, but the first {layer.type.tensors.value} layer has one",
            "give it N: 1, or leave N out of all layers of the type",
        )
    if dataflow is None or not dataflow.directives:
        yield Problem("the layer has no dataflow, nor has one before it", "add Dataflow { ... } to it")
        return
    used = used_dimensions(layer.type, batched)
    for index, directive in enumerate(dataflow):
        if isinstance(directive, Cluster):
            yield from _cluster_problems(layer, directive, index)
        else:
            yield from _map_problems(layer, directive, index)
            dimension = OUTPUT_TO_INPUT.get(directive.dimension, directive.dimension)
            if dataflow.clusters and dimension in layer.input_sizes and dimension not in used:
                kind = layer.type.value
                yield Problem(
                    f"{directive} maps a dimension that no {kind} tensor has here, under Cluster directives",
                    f"leave it out; the tensors of the layer have {', '.join(used)}",
                    index,
                )
    yield from _level_problems(dataflow)


def used_dimensions(kind: LayerType, batched: bool) -> tuple[str, ...]:
    """Dimensions that the input and filter tensors of a layer type have."""
    match kind:
        case LayerType.GEMM:
            return ("M", "N", "K")
        case LayerType.DSCONV:
            names: tuple[str, ...] = ("C", "R", "S", "Y", "X")
        case LayerType.NGCONV:
            names = ("G", "K", "C", "R", "S", "Y", "X")
        case _:
            names = ("K", "C", "R", "S", "Y", "X")
    return ("N", *names) if batched else names


def layer_problems(layer: Layer) -> Iterator[Problem]:
    """Everything wrong with the dimensions and strides of a layer."""
    kind, seen = layer.type.value, set[str]()
    allowed = layer.type.dimension_names
    for name, size in layer.dimensions:
        if name not in allowed:
            yield Problem(f"{kind} has no dimension {name}", f"its dimensions are {', '.join(allowed)}", name)
        if size < 1:
            yield Problem(f"dimension {name} is {size}", "it must be at least 1", name)
        if name in seen:
            yield Problem(f"dimension {name} is given twice", "leave one of them out", name)
        seen.add(name)
    for out, inp in OUTPUT_TO_INPUT.items():
        if out in seen and inp in seen:
            yield Problem(f"both {inp} and {out} are given", f"leave out {out}: it follows from {inp}", out)
    for name in layer.type.required:
        if name not in seen and not (name in SLIDING and name + "'" in seen):
            yield Problem(f"dimension {name} is missing", f"{kind} needs {', '.join(layer.type.required)}")
    strided = set[str]()
    for name, _ in layer.strides:
        if name in strided:
            yield Problem(f"the stride of {name} is given twice", "leave one of them out", f"stride {name}")
        strided.add(name)


def _size(layer: Layer, size: Size) -> int | None:
    """The number that a size stands for on a layer; None for Sz of a dimension that it lacks."""
    if not isinstance(size, Sz):
        return size
    return layer[size.dimension] if size.dimension in layer else None


def _size_problems(layer: Layer, what: str, size: Size, index: int, of: str) -> Iterator[Problem]:
    value = _size(layer, size)
    if value is None:
        yield Problem(
            f"{size} in {of}: the layer has no dimension {size.dimension if isinstance(size, Sz) else ''}",
            f"it has {', '.join(layer)}",
            index,
        )
    elif value < 1:
        yield Problem(f"the {what} of {of} is {value}", "it must be at least 1", index)


def _cluster_problems(layer: Layer, cluster: Cluster, index: int) -> Iterator[Problem]:
    yield from _size_problems(layer, "size", cluster.size, index, str(cluster))
    if cluster.kind not in ("P", "L"):
        yield Problem(f"{cluster} is of kind {cluster.kind}", "kinds are P (physical) and L (logical)", index)


class FilterTileProblem(Problem):
    """A temporal tile of R or S that is not the whole dimension."""


def _map_problems(layer: Layer, directive: TemporalMap | SpatialMap, index: int) -> Iterator[Problem]:
    name = directive.dimension
    if name not in ALL_DIMENSIONS:
        fix = f"dimensions of the layer are {', '.join(layer)}"
        yield Problem(f"{directive} maps {name}, which is no dimension", fix, index)
    elif OUTPUT_TO_INPUT.get(name, name) not in layer.input_sizes:
        yield Problem(
            f"{directive} maps {name}, which the layer does not have", f"it has {', '.join(layer)}", index
        )
    yield from _size_problems(layer, "size", directive.size, index, str(directive))
    yield from _size_problems(layer, "offset", directive.offset, index, str(directive))
    if isinstance(directive, TemporalMap) and name in SLIDING.values() and name in layer:
        size, offset = _size(layer, directive.size), _size(layer, directive.offset)
        if size is not None and not size == offset == layer[name]:
            differs = (
                f"size {size} and offset {offset} of {directive} differ"
                if size != offset
                else f"{directive} takes {size} of the layer's {layer[name]} {name} at a time"
            )
            yield FilterTileProblem(
                f"the temporal tile of {name} must be all of {name}: {differs}",
                f"write TemporalMap(Sz({name}),Sz({name})) {name}",
                index,
            )


def _level_problems(dataflow: Dataflow) -> Iterator[Problem]:
    """Too many levels, and what each cluster level needs."""
    clusters = [i for i, d in enumerate(dataflow) if isinstance(d, Cluster)]
    if len(clusters) >= MAX_LEVELS:
        yield Problem(
            f"{len(clusters)} Cluster directives make {len(clusters) + 1} levels",
            f"there can be {MAX_LEVELS - 1} of them",
            clusters[MAX_LEVELS - 1],
        )
    starts, ends = [0, *(i + 1 for i in clusters)], [*clusters, len(dataflow)]
    for level, (start, end) in enumerate(zip(starts, ends, strict=True)):
        maps = [(i, d) for i, d in enumerate(dataflow) if start <= i < end and not isinstance(d, Cluster)]
        spatial = [i for i, d in maps if isinstance(d, SpatialMap)]
        if not spatial:
            at = f"cluster level {level + 1} (of {len(starts)}, outermost first)"
            yield Problem(f"no SpatialMap in {at}", "each level needs one", min(start, len(dataflow) - 1))
        if len(spatial) > _MAX_SPATIAL:
            yield Problem(
                f"{len(spatial)} SpatialMaps in one cluster level",
                f"at most {_MAX_SPATIAL}; put a Cluster between them",
                spatial[_MAX_SPATIAL],
            )
        mapped = {d.dimension: i for i, d in reversed(maps)}
        for out, inp in OUTPUT_TO_INPUT.items():
            if out in mapped and inp in mapped and level > 0:
                fix = f"leave out the map of {out}"
                yield Problem(f"both {inp} and {out} are mapped in an inner cluster level", fix, mapped[out])
            if out in mapped and inp not in mapped and SLIDING[inp] not in mapped:
                window = SLIDING[inp]
                yield Problem(
                    f"{out} is mapped in a cluster level that does not map {window}, so its tile has no size",
                    f"add TemporalMap(Sz({window}),Sz({window})) {window} to the level",
                    mapped[out],
                )
