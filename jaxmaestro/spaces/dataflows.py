"""The seed's three dataflows: templates that are put on every layer of a network."""

from __future__ import annotations

import functools

from jaxmaestro.description import (
    Cluster,
    Dataflow,
    DescriptionError,
    Layer,
    LayerType,
    SpatialMap,
    Sz,
    TemporalMap,
)

DATAFLOWS = ("KC-P", "YR-P", "X-P")
"""Weight stationary over K and C (as NVDLA), row stationary (as Eyeriss), weight stationary over X."""

_R, _S = Sz("R"), Sz("S")
_FILTER = (TemporalMap(_R, _R, "R"), TemporalMap(_S, _S, "S"))
_WINDOW = (TemporalMap(_R, 1, "Y"), TemporalMap(_S, 1, "X"))

_DEPTHWISE = (SpatialMap(1, 1, "C"), *_WINDOW, *_FILTER)
_TEMPLATES = {
    "KC-P": (
        SpatialMap(1, 1, "K"),
        TemporalMap(64, 64, "C"),
        *_FILTER,
        *_WINDOW,
        Cluster(64, "P"),
        SpatialMap(1, 1, "C"),
        *_WINDOW,
        *_FILTER,
    ),
    "YR-P": (
        SpatialMap(1, 1, "Y'"),
        TemporalMap(1, 1, "X'"),
        TemporalMap(1, 1, "C"),
        TemporalMap(16, 16, "K"),
        *_FILTER,
        Cluster(_R, "P"),
        SpatialMap(1, 1, "Y"),
        SpatialMap(1, 1, "R"),
        _FILTER[1],
    ),
    "X-P": (
        TemporalMap(1, 1, "K"),
        TemporalMap(1, 1, "C"),
        _WINDOW[0],
        SpatialMap(_S, 1, "X"),
        *_FILTER,
    ),
}


def seed_dataflow(name: str, layer: Layer) -> Dataflow:
    """The dataflow that the seed puts on a layer under ``KC-P``, ``YR-P`` or ``X-P``.

    Every depthwise layer has one template, channels across the PEs, whichever of the
    three it is. They differ in places from those of ``conf/dataflow``, which are for sweeps.

    Raises DescriptionError for another name or a GEMM, for which the seed has no template.
    """
    if name not in _TEMPLATES:
        raise DescriptionError(f"{name!r} is no dataflow of the seed", fix=f"give {', '.join(DATAFLOWS)}")
    if not layer.type.is_convolution:
        raise DescriptionError(
            "the seed has no dataflow for a GEMM", layer=layer.name, fix="describe it as CONV"
        )
    return _dataflow("" if layer.type is LayerType.DSCONV else name)


@functools.cache
def _dataflow(name: str) -> Dataflow:
    return Dataflow(_TEMPLATES.get(name, _DEPTHWISE), name or "depthwise")
