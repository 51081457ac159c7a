"""Costs as tables: a pyarrow table (Parquet) or a pandas frame, one row a tuple, one column a figure."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxmaestro.equations.costs import BY_TENSOR, DELAYS, TENSORS, Costs
from jaxmaestro.results.network import NetworkCosts

if TYPE_CHECKING:
    import pandas
    import pyarrow

_AXES = {**dict.fromkeys(DELAYS, ("min", "max", "average")), **dict.fromkeys(BY_TENSOR, TENSORS)}


def to_table(costs: Costs | NetworkCosts) -> pyarrow.Table:
    """Every figure as a flat column, batch axes flattened in C order; needs pyarrow.

    ``[..., 3]`` figures become three columns named ``input_l1_reads`` ... by tensor or
    ``ingress_delay_min`` ... by statistic. ``reasons`` is text (names joined by ``|``, empty if none);
    ``valid``, ``arithmetic_intensity``, ``l1_size`` and ``l2_size`` are added. Costs of a network start
    with ``network`` and ``layer``.
    """
    try:
        import pyarrow
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError("a table needs pyarrow: pip install pyarrow") from missing
    return pyarrow.table(_columns(costs))


def to_dataframe(costs: Costs | NetworkCosts) -> pandas.DataFrame:
    """The columns of :func:`to_table` as a pandas frame; needs pandas (extra ``pandas``)."""
    try:
        import pandas
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError(
            "a data frame needs pandas: pip install 'jaxmaestro[pandas]' (or use to_table)"
        ) from missing
    return pandas.DataFrame(_columns(costs))


def _columns(costs: Costs | NetworkCosts) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    if isinstance(costs, NetworkCosts):
        columns["network"] = [costs.network] * len(costs)
        columns["layer"] = list(costs.layers)
        costs = costs.costs
    shape = np.shape(costs.runtime)
    for field in dataclasses.fields(Costs):
        value = np.asarray(getattr(costs, field.name))
        if field.name == "reasons":
            columns["reasons"] = _decoded(np.broadcast_to(value, shape).reshape(-1))
            continue
        parts = _AXES.get(field.name)
        if parts is None:
            columns[field.name] = np.broadcast_to(value, shape).reshape(-1)
            continue
        flat = np.broadcast_to(value, (*shape, len(parts))).reshape(-1, len(parts))
        for i, part in enumerate(parts):
            name = f"{part}_{field.name}" if parts is TENSORS else f"{field.name}_{part}"
            columns[name] = flat[:, i]
    columns["valid"] = columns["sound"] & columns["fits"]
    columns["l1_size"] = sum(columns[f"{tensor}_l1_sizes"] for tensor in TENSORS)
    columns["l2_size"] = sum(columns[f"{tensor}_l2_sizes"] for tensor in TENSORS)
    with np.errstate(divide="ignore", invalid="ignore"):
        columns["arithmetic_intensity"] = np.asarray(costs.arithmetic_intensity).reshape(-1)
    return columns


def _decoded(masks: Any) -> list[str]:
    """Names of the set bits, joined by ``|``, one text a row."""
    from jaxmaestro.description.reasons import Reason

    masks = masks.astype(np.uint32)
    names = {int(mask): "|".join(Reason.decode(int(mask))) for mask in np.unique(masks)}
    return [names[int(mask)] for mask in masks]
