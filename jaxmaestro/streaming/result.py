"""What the evaluation of a product gives: results of reductions, and the folder read back."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxmaestro.description import DescriptionError
from jaxmaestro.streaming.parts import INDICES, check_columns, part_path, read_manifest

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.compute
    import pyarrow.dataset


@dataclasses.dataclass(frozen=True)
class ProductResult:
    """A product that has been evaluated.

    ``evaluated`` counts its distinct tuples; ``seconds`` and ``rate`` are of the call
    that gave this result (0 where it was opened).
    """

    tuples: int  # of the whole product
    evaluated: int
    seconds: float
    rate: float  # tuples a second; those that an earlier call had left are not counted
    folder: Path | None  # None: nothing was stored
    reductions: tuple[Any, ...]  # what each reduction gave, in their order

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> ProductResult:
        """The product in a folder, without results of reductions.

        Raises DescriptionError where there is none, or parts are missing.
        """
        place = Path(folder)
        manifest = read_manifest(place)
        missing = [i for i in range(manifest["parts"]) if not part_path(place, i).exists()]
        if missing:
            raise DescriptionError(
                f"{place} lacks {len(missing)} of {manifest['parts']} parts",
                fix="the same call of evaluate_product completes it",
            )
        return cls(manifest["tuples"], manifest["evaluated"], 0.0, 0.0, place, ())

    def dataset(self) -> pyarrow.dataset.Dataset:
        """All parts, to be scanned batch by batch: for more than fits in memory.

        Rows are in the order of evaluation: that of the product, except that equal tuples follow
        each other. Raises DescriptionError where nothing was stored.
        """
        import pyarrow.dataset

        if self.folder is None:
            raise DescriptionError("nothing was stored", fix="give evaluate_product a folder")
        parts = range(read_manifest(self.folder)["parts"])
        return pyarrow.dataset.dataset([str(part_path(self.folder, i)) for i in parts], format="parquet")

    def table(
        self, columns: Sequence[str] | None = None, filter: pyarrow.compute.Expression | None = None
    ) -> pyarrow.Table:
        """Rows in the order of the product: one a tuple, or those that ``filter`` lets through.

        ``layer``, ``dataflow`` and ``hardware`` are int32 positions in the lists that were given; the
        other columns are those of :func:`jaxmaestro.to_table`. ``columns`` asks for some, in that
        order; ``filter`` may use others, such as ``pyarrow.compute.field("valid")``.

        Raises DescriptionError for a column that was not stored, or where nothing was.
        """
        dataset = self.dataset()
        names = check_columns(columns, dataset.schema.names)
        if self.evaluated == self.tuples:
            table = dataset.to_table(columns=names, filter=filter)
        else:
            read = None if names is None else [*names, *(name for name in INDICES if name not in names)]
            table = dataset.to_table(columns=read, filter=filter)
            table = table.sort_by([(name, "ascending") for name in INDICES])
            table = table if names is None else table.select(names)
        return table.replace_schema_metadata(None)
