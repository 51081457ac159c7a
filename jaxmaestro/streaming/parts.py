"""The folder of a product: Parquet parts, one a chunk, and the manifest that says what they are parts of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxmaestro.description import DescriptionError
from jaxmaestro.equations.costs import Costs
from jaxmaestro.results.files import atomic
from jaxmaestro.results.frame import to_table
from jaxmaestro.streaming.plan import Chunk, Plan

if TYPE_CHECKING:
    import pyarrow

MANIFEST = "manifest.json"
STATES = "reductions.npz"
INDICES = ("layer", "dataflow", "hardware")
"""Columns of a part that are always there: int32 positions in the product's lists."""

_FORMAT = 1
_MARK = b"jaxmaestro_product"
_OWN = ("part-*.parquet", MANIFEST, STATES)
_HALF_WRITTEN = (".part-*.*.parquet", ".manifest.*.json", ".reductions.*.npz")
_CONDITIONS = ("version", "precision", "columns", "chunk", "tuples")


def figure_columns() -> list[str]:
    """Names of all figures, as :func:`jaxmaestro.to_table` has them."""
    # One entry stands for a tuple and, broadcast, for the three of a tensor axis.
    one = Costs(**dict.fromkeys(Costs.__dataclass_fields__, np.zeros(1, np.int64)))
    names: list[str] = to_table(one).column_names
    return names


def check_columns(names: Sequence[str] | None, known: Sequence[str]) -> list[str] | None:
    """The names in the order given, each once; raises DescriptionError for one that is not known."""
    if names is None:
        return None
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise DescriptionError(f"columns is {names!r}", fix='give a list of names such as ["runtime"]')
    for name in names:
        if name not in known:
            raise DescriptionError(f"there is no column {name!r}", fix=f"columns are {', '.join(known)}")
    return list(dict.fromkeys(names))


def make_manifest(
    plan: Plan, names: dict[str, list[str]], precision: str, columns: list[str] | None
) -> dict[str, Any]:
    """What the folder of this product says of itself; ``names`` are those of the three lists."""
    try:
        version = metadata.version("jaxmaestro")
    except metadata.PackageNotFoundError:  # a checkout on the path
        version = "not installed"
    manifest: dict[str, Any] = {
        "format": _FORMAT,
        "version": version,
        "precision": precision,
        "columns": columns,
        "chunk": plan.size,
        "tuples": plan.tuples,
        "evaluated": plan.distinct,
        "parts": sum(len(chunks) for _, chunks in plan.work()),
    }
    # Names do not change figures, so that they are not among what is identified.
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode())
    for axis in plan.axes:
        digest.update(axis.digest)
    return {"fingerprint": digest.hexdigest()[:16], **manifest, **names}


def read_manifest(folder: Path) -> dict[str, Any]:
    """Raises DescriptionError where the manifest is missing or damaged."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        complete = {"fingerprint", "evaluated", "parts", *_CONDITIONS} <= manifest.keys()
    except FileNotFoundError:
        raise DescriptionError(
            f"{folder} holds no product: it has no {MANIFEST}", fix="give the folder of evaluate_product"
        ) from None
    except (ValueError, AttributeError):
        complete = False
    if not complete:
        raise DescriptionError(
            f"{folder / MANIFEST} is damaged", fix="give another folder, or resume=False to overwrite it"
        )
    return dict(manifest)


class Parts:
    """The parts of one product in its folder."""

    def __init__(self, folder: Path, manifest: dict[str, Any], *, resume: bool) -> None:
        """Prepare the folder.

        Raises DescriptionError where it holds another product (unless it is not to be
        resumed: then that product goes) or cannot be written.
        """
        self.folder, self.mark = folder, str(manifest["fingerprint"])
        self._columns: list[str] | None = manifest["columns"]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if resume and (folder / MANIFEST).exists():
                _same(folder, read_manifest(folder), manifest)
            # What a killed process was writing is of no use to anybody.
            for pattern in _HALF_WRITTEN if resume else _HALF_WRITTEN + _OWN:
                for old in folder.glob(pattern):
                    old.unlink()
            with atomic(folder / MANIFEST) as path:
                path.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            what = f"cannot write to {folder}: {error.strerror or error}"
            raise DescriptionError(what, fix="give a folder that can be written") from error

    def lacks(self, chunk: Chunk) -> bool:
        """Whether the part of a chunk is not there, damaged or of another product."""
        import pyarrow
        import pyarrow.parquet

        try:
            path = part_path(self.folder, chunk.number)
            with pyarrow.parquet.ParquetFile(path, page_checksum_verification=True) as file:
                found = (file.schema_arrow.metadata or {}).get(_MARK, b"").decode()
                if (found, file.metadata.num_rows) != (self.mark, len(chunk)):
                    return True
                # All of it: a damaged page does not show in the footer.
                for group in range(file.num_row_groups):
                    file.read_row_group(group)
        except (OSError, pyarrow.ArrowException):
            return True
        return False

    def write(self, chunk: Chunk, costs: Costs) -> None:
        """Write the part of a chunk: it appears whole or not at all."""
        import pyarrow.parquet

        table = self._table(chunk, costs)
        with atomic(part_path(self.folder, chunk.number)) as path:
            pyarrow.parquet.write_table(
                table,
                path,
                compression="zstd",
                # Figures with few values shrink by dictionaries; for others they are given up early, at
                # a sixteenth of the usual size, as building them takes longer than all the rest.
                dictionary_pagesize_limit=65_536,
                write_page_checksum=True,
            )

    def _table(self, chunk: Chunk, costs: Costs) -> pyarrow.Table:
        import pyarrow

        figures = to_table(costs)
        names = figures.column_names if self._columns is None else self._columns
        columns = dict(zip(INDICES, chunk.entries(), strict=True))
        table = pyarrow.table(columns | {name: figures[name] for name in names})
        return table.replace_schema_metadata({_MARK: self.mark})


def part_path(folder: Path, number: int) -> Path:
    """Where the part of a chunk is."""
    return folder / f"part-{number:06d}.parquet"


def _same(folder: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    if before["fingerprint"] == now["fingerprint"]:
        return
    differs = [f"{name} {before[name]}, now {now[name]}" for name in _CONDITIONS if before[name] != now[name]]
    raise DescriptionError(
        f"{folder} holds another product ({'; '.join(differs) or 'other layers, dataflows or hardware'})",
        fix="give another folder, or resume=False to overwrite it",
    )
