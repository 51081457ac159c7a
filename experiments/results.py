"""The results of a sweep as one table, and totals of whole networks."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from experiments.workloads import Space
from jaxmaestro.description import Hardware
from jaxmaestro.description.reasons import UNFIT, Reason
from jaxmaestro.results.files import atomic

HARDWARE_COLUMNS = tuple(f.name for f in dataclasses.fields(Hardware) if f.name != "name")


def results_table(space: Space, figures: pa.Table) -> pa.Table:
    """One row a (network layer, dataflow, hardware point); ``figures`` has one row a tuple of the space.

    ``repeat`` is how often the layer occurs in its network. Hardware columns
    are prefixed with ``hw_`` (the cost model's figures have names of their own).
    """
    points = len(space.hardware)
    rows = np.repeat(np.arange(len(space.rows)), points)
    point = np.tile(np.arange(points), len(space.rows))
    tuples = np.array([row.pair for row in space.rows])[rows] * points + point

    def text(values: list[str]) -> pa.Array:
        return pa.array(values).take(pa.array(rows)).dictionary_encode()

    data: dict[str, pa.Array] = {
        "network": text([row.network for row in space.rows]),
        "layer": text([row.layer.name for row in space.rows]),
        "layer_type": text([row.layer.type.value for row in space.rows]),
        "repeat": pa.array(np.array([row.repeat for row in space.rows])[rows]),
        "dataflow": text([row.dataflow for row in space.rows]),
        "hw": pa.array([space.hardware[0].name] * len(tuples)).dictionary_encode(),
    }
    for name in HARDWARE_COLUMNS:
        data[f"hw_{name}"] = pa.array(np.array([getattr(h, name) for h in space.hardware])[point])
    taken = figures.take(pa.array(tuples))
    return pa.table(data | {name: taken[name] for name in taken.column_names})


def write_parquet(table: pa.Table, path: Path, fingerprint: str) -> None:
    """The table as Parquet, with the run's fingerprint in its metadata."""
    marked = table.replace_schema_metadata({"jaxmaestro_run": fingerprint})
    with atomic(path) as temporary:
        pyarrow.parquet.write_table(marked, temporary, compression="zstd")


def write_csv(table: pa.Table, path: Path) -> None:
    """The same table as CSV."""
    with atomic(path) as temporary:
        pyarrow.csv.write_csv(table, temporary)


@dataclasses.dataclass(frozen=True)
class Totals:
    """One inference of a network under one dataflow on each of H hardware points.

    ``complete`` says at which points every layer is accepted; figures elsewhere
    are NaN, as a sum that leaves layers out would be no total.
    """

    network: str
    dataflow: str
    latency: np.ndarray  # [H] cycles, layers one after another
    energy: np.ndarray  # [H] nJ
    complete: np.ndarray  # [H] bool
    refused: float  # share of the (layer, hardware point) tuples that are not accepted
    reasons: dict[str, float]  # share of the tuples with each reason against them

    @property
    def edp(self) -> np.ndarray:
        """Energy-delay product [H], nJ x cycles."""
        return self.latency * self.energy


def network_totals(space: Space, figures: pa.Table, *, fits: bool) -> list[Totals]:
    """Totals by network and dataflow; ``fits`` asks for tuples within the hardware's limits too."""
    points = len(space.hardware)

    def grid(name: str) -> np.ndarray:
        return figures[name].to_numpy().reshape(-1, points)  # [pair, hardware]

    accepted, runtime, energy = grid("valid" if fits else "sound"), grid("runtime"), grid("energy")
    reasons = grid("reasons")
    # Sound tuples may break limits, which does not count against them unless asked.
    asked = [flag.name or "" for flag in Reason if fits or not flag & UNFIT]
    totals = []
    for network, dataflow in itertools.product(space.networks, space.dataflows):
        rows = [row for row in space.rows if (row.network, row.dataflow) == (network, dataflow)]
        pairs = np.array([row.pair for row in rows])
        repeat = np.array([row.repeat for row in rows])[:, None]
        complete = accepted[pairs].all(0)
        texts, counts = np.unique(reasons[pairs].astype(str), return_counts=True)
        split = [set(text.split("|")) for text in texts]
        shares = {
            name: sum(n for has, n in zip(split, counts, strict=True) if name in has) / counts.sum()
            for name in asked
        }
        totals.append(
            Totals(
                network=network,
                dataflow=dataflow,
                latency=np.where(complete, (runtime[pairs] * repeat).sum(0), np.nan),
                energy=np.where(complete, (energy[pairs] * repeat).sum(0), np.nan),
                complete=complete,
                refused=float((~accepted[pairs]).mean()),
                reasons={name: float(share) for name, share in shares.items() if share},
            )
        )
    return totals


def pareto_front(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Indices of the points that no other beats in both (smaller is better), by rising x."""
    order = np.lexsort((y, x))
    order = order[np.isfinite(x[order]) & np.isfinite(y[order])]
    best = np.minimum.accumulate(np.concatenate([[np.inf], y[order]]))
    return order[y[order] < best[:-1]]
