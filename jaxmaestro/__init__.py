"""MAESTRO's cost model of DNN dataflows as batched JAX programs.

Single networks: :func:`read_mapping`, :func:`read_hardware`, :func:`evaluate`,
:func:`write_csv`. Batches: :func:`encode` or :func:`encode_product`, then
:func:`cost` (pure, for jit, vmap and sharding) or :func:`evaluate_batch` (any
length, NumPy results). Products that are too large to be held:
:func:`evaluate_product`. Importing changes no JAX setting and touches no device;
names are loaded when they are first used, so that the command starts quickly.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    from jaxmaestro.description.reasons import Reason
    from jaxmaestro.encoding import Batch, encode, encode_network, encode_pairs, encode_product
    from jaxmaestro.equations.cost import Precision, cost
    from jaxmaestro.equations.costs import Costs
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
    from jaxmaestro.frontends.jax_tracing import from_jax
    from jaxmaestro.frontends.keras_models import from_keras
    from jaxmaestro.frontends.maestro_models import from_maestro
    from jaxmaestro.frontends.onnx_models import from_onnx
    from jaxmaestro.frontends.torch_tracing import from_torch
    from jaxmaestro.frontends.workload import Unmapped, Workload, WorkloadLayer
    from jaxmaestro.reductions import (
        Count,
        NetworkTotals,
        ParetoFront,
        Reduction,
        TopK,
        pareto_mask,
        top_k,
        totals,
    )
    from jaxmaestro.results.csv import write_csv
    from jaxmaestro.results.frame import to_dataframe, to_table
    from jaxmaestro.results.network import NetworkCosts
    from jaxmaestro.streaming import ProductResult, evaluate_product

__all__ = [
    "Batch",
    "Cluster",
    "Costs",
    "Count",
    "Dataflow",
    "DescriptionError",
    "Hardware",
    "Layer",
    "LayerType",
    "MappedLayer",
    "Network",
    "NetworkCosts",
    "NetworkTotals",
    "ParetoFront",
    "Precision",
    "ProductResult",
    "Reason",
    "Reduction",
    "SpatialMap",
    "Sz",
    "TemporalMap",
    "TopK",
    "Unmapped",
    "Workload",
    "WorkloadLayer",
    "cost",
    "encode",
    "encode_network",
    "encode_pairs",
    "encode_product",
    "evaluate",
    "evaluate_batch",
    "evaluate_product",
    "from_jax",
    "from_keras",
    "from_maestro",
    "from_onnx",
    "from_torch",
    "pareto_mask",
    "read_dataflow",
    "read_hardware",
    "read_mapping",
    "read_model",
    "to_dataframe",
    "to_table",
    "top_k",
    "totals",
    "write_csv",
    "write_hardware",
    "write_mapping",
    "write_model",
]

_HOME = {
    "Cluster": "jaxmaestro.description",
    "Dataflow": "jaxmaestro.description",
    "DescriptionError": "jaxmaestro.description",
    "Hardware": "jaxmaestro.description",
    "Layer": "jaxmaestro.description",
    "LayerType": "jaxmaestro.description",
    "MappedLayer": "jaxmaestro.description",
    "Network": "jaxmaestro.description",
    "SpatialMap": "jaxmaestro.description",
    "Sz": "jaxmaestro.description",
    "TemporalMap": "jaxmaestro.description",
    "Batch": "jaxmaestro.encoding",
    "encode": "jaxmaestro.encoding",
    "encode_network": "jaxmaestro.encoding",
    "encode_pairs": "jaxmaestro.encoding",
    "encode_product": "jaxmaestro.encoding",
    "Precision": "jaxmaestro.equations.cost",
    "cost": "jaxmaestro.equations.cost",
    "Reason": "jaxmaestro.description.reasons",
    "evaluate": "jaxmaestro.evaluation",
    "evaluate_batch": "jaxmaestro.evaluation",
    "read_dataflow": "jaxmaestro.formats",
    "read_hardware": "jaxmaestro.formats",
    "read_mapping": "jaxmaestro.formats",
    "read_model": "jaxmaestro.formats",
    "write_hardware": "jaxmaestro.formats",
    "write_mapping": "jaxmaestro.formats",
    "write_model": "jaxmaestro.formats",
    "from_jax": "jaxmaestro.frontends.jax_tracing",
    "from_keras": "jaxmaestro.frontends.keras_models",
    "from_maestro": "jaxmaestro.frontends.maestro_models",
    "from_onnx": "jaxmaestro.frontends.onnx_models",
    "from_torch": "jaxmaestro.frontends.torch_tracing",
    "Unmapped": "jaxmaestro.frontends.workload",
    "Workload": "jaxmaestro.frontends.workload",
    "WorkloadLayer": "jaxmaestro.frontends.workload",
    "Costs": "jaxmaestro.equations.costs",
    "Count": "jaxmaestro.reductions",
    "NetworkTotals": "jaxmaestro.reductions",
    "ParetoFront": "jaxmaestro.reductions",
    "Reduction": "jaxmaestro.reductions",
    "TopK": "jaxmaestro.reductions",
    "pareto_mask": "jaxmaestro.reductions",
    "top_k": "jaxmaestro.reductions",
    "totals": "jaxmaestro.reductions",
    "write_csv": "jaxmaestro.results.csv",
    "to_dataframe": "jaxmaestro.results.frame",
    "to_table": "jaxmaestro.results.frame",
    "NetworkCosts": "jaxmaestro.results.network",
    "ProductResult": "jaxmaestro.streaming",
    "evaluate_product": "jaxmaestro.streaming",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
