"""MAESTRO's cost model of DNN dataflows as batched, differentiable JAX programs.

Single networks: :func:`read_mapping`, :func:`read_hardware`, :func:`evaluate`,
:func:`write_csv`. Batches: :func:`encode` or :func:`encode_product`, then
:func:`cost` (pure, for jit, vmap and sharding) or :func:`evaluate_batch` (any
length, NumPy results). Importing changes no JAX setting and touches no device.
"""

from jaxmaestro.description import (
    Cluster,
    Dataflow,
    DescriptionError,
    Hardware,
    Layer,
    LayerType,
    MappedLayer,
    Network,
    SpatialMap,
    Sz,
    TemporalMap,
)
from jaxmaestro.encoding import Batch, encode, encode_network, encode_product
from jaxmaestro.equations.cost import Precision, cost
from jaxmaestro.equations.reasons import Reason
from jaxmaestro.evaluation import evaluate, evaluate_batch
from jaxmaestro.formats import (
    read_dataflow,
    read_hardware,
    read_mapping,
    read_model,
    write_hardware,
    write_mapping,
    write_model,
)
from jaxmaestro.results.costs import Costs
from jaxmaestro.results.csv import write_csv
from jaxmaestro.results.frame import to_dataframe, to_table
from jaxmaestro.results.network import NetworkCosts

__all__ = [
    "Batch",
    "Cluster",
    "Costs",
    "Dataflow",
    "DescriptionError",
    "Hardware",
    "Layer",
    "LayerType",
    "MappedLayer",
    "Network",
    "NetworkCosts",
    "Precision",
    "Reason",
    "SpatialMap",
    "Sz",
    "TemporalMap",
    "cost",
    "encode",
    "encode_network",
    "encode_product",
    "evaluate",
    "evaluate_batch",
    "read_dataflow",
    "read_hardware",
    "read_mapping",
    "read_model",
    "to_dataframe",
    "to_table",
    "write_csv",
    "write_hardware",
    "write_mapping",
    "write_model",
]
