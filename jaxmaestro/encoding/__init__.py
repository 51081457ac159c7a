"""Descriptions as arrays: :func:`encode`, :func:`encode_product` and the tables behind them."""

from jaxmaestro.encoding.batch import encode, encode_network, encode_pairs, encode_product
from jaxmaestro.encoding.tables import Batch, HardwareTable, LayerTable, MappingTable

__all__ = [
    "Batch",
    "HardwareTable",
    "LayerTable",
    "MappingTable",
    "encode",
    "encode_network",
    "encode_pairs",
    "encode_product",
]
