"""What is evaluated, as plain frozen Python objects: layers, dataflows, hardware, networks."""

from jaxmaestro.description.dataflow import Cluster, Dataflow, Directive, Size, SpatialMap, Sz, TemporalMap
from jaxmaestro.description.errors import DescriptionError
from jaxmaestro.description.hardware import MAX_LEVELS, UNLIMITED, Hardware
from jaxmaestro.description.layer import Layer, LayerType
from jaxmaestro.description.network import MappedLayer, Network

__all__ = [
    "MAX_LEVELS",
    "UNLIMITED",
    "Cluster",
    "Dataflow",
    "DescriptionError",
    "Directive",
    "Hardware",
    "Layer",
    "LayerType",
    "MappedLayer",
    "Network",
    "Size",
    "SpatialMap",
    "Sz",
    "TemporalMap",
]
