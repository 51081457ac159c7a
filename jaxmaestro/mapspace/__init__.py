"""Mapping spaces: the mappings of a layer as arrays, sampled, repaired and costed inside jit."""

from jaxmaestro.mapspace.genes import Genes, where
from jaxmaestro.mapspace.options import MappingOptions
from jaxmaestro.mapspace.space import MappingSpace

__all__ = ["Genes", "MappingOptions", "MappingSpace", "where"]
