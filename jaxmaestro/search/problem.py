"""What is searched: the mappings of some layers on accelerators, and what is minimised."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxmaestro.description import DescriptionError, Hardware, Layer
from jaxmaestro.encoding.encode import encode_hardware
from jaxmaestro.encoding.tables import Batch, HardwareTable
from jaxmaestro.mapspace import Genes, MappingOptions, MappingSpace
from jaxmaestro.search.objective import check_objectives

Array = Any

Counted = Literal["valid", "any"]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Problem:
    """Searches side by side, one a row ``[r]``: a layer on an accelerator from a seed.

    Rows do not know of each other: what one finds does not depend on which others there are.
    The first objective decides; the others break ties, or span the front of ``archive`` mappings.
    """

    space: MappingSpace  # of r layers
    hardware: HardwareTable  # [h]
    accelerator: Array  # int32 [r]: row of the table
    seed: Array  # uint32 [r]
    objectives: tuple[str, ...] = dataclasses.field(metadata={"static": True})
    archive: int = dataclasses.field(default=1, metadata={"static": True})
    counted: Counted = dataclasses.field(default="valid", metadata={"static": True})

    @classmethod
    def of(
        cls,
        layers: Layer | Sequence[Layer],
        hardware: Hardware,
        objectives: Sequence[str] = ("latency", "energy"),
        seeds: Sequence[int] = (0,),
        options: MappingOptions | None = None,
        archive: int = 1,
        counted: Counted = "valid",
    ) -> Problem:
        """Every layer from every seed, the seeds varying fastest, on one accelerator.

        Raises DescriptionError for objectives that are not known, no seeds, an archive below 1,
        and as :meth:`MappingSpace.of`.
        """
        check_objectives(tuple(objectives))
        if not seeds or any(not 0 <= seed < 2**32 for seed in seeds):
            raise DescriptionError(
                f"seeds are {tuple(seeds)}", fix="give one at least, each from 0 to 2**32 - 1"
            )
        if archive < 1:
            raise DescriptionError(f"an archive of {archive} mappings", fix="keep one at least")
        many = [layers] if isinstance(layers, Layer) else list(layers)
        space = MappingSpace.of(many, hardware.num_pes, options)
        rows = np.repeat(np.arange(len(many)), len(seeds))
        return cls(
            space=space.row(rows),
            hardware=encode_hardware([hardware]),
            accelerator=np.zeros(len(rows), np.int32),
            seed=np.tile(np.array(seeds, np.uint32), len(many)),
            objectives=tuple(objectives),
            archive=archive,
            counted=counted,
        )

    def __len__(self) -> int:
        """How many searches run side by side."""
        return int(self.seed.shape[0])

    def batch(self, genes: Genes, variants: int = 4) -> Batch:
        """Mappings ``[r, p]`` on their rows' accelerators as tuples ``[r * p]``."""
        points = jnp.repeat(jnp.asarray(self.accelerator), genes.levels.shape[1])
        hardware = jax.tree.map(jnp.asarray, self.hardware)
        return self.space.batch(genes, hardware, variants, points)
