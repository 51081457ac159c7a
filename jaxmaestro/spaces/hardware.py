"""Accelerators of the seed's experiment: a grid of PEs, NoC and off-chip bandwidths, and points of it."""

from __future__ import annotations

import dataclasses
import math

import jax
import numpy as np

from jaxmaestro.description import DescriptionError, Hardware


@dataclasses.dataclass(frozen=True)
class HardwareSpace:
    """Every combination of PEs, NoC bandwidth and off-chip bandwidth; the rest is fixed.

    Bandwidths in elements a cycle, buffers in bytes; defaults are the seed's.
    """

    num_pes: tuple[int, ...] = (16, 32, 64, 128, 256, 512)
    noc_bandwidth: tuple[int, ...] = (300, 400, 500, 600, 700, 800, 900, 1000)
    offchip_bandwidth: tuple[int, ...] = (50, 100, 150, 200, 250, 275, 300, 325, 350)
    l1_size: int = 100
    l2_size: int = 3000
    hop_latency: int = 1

    def __len__(self) -> int:
        return math.prod(map(len, self._axes))

    def sample(self, seed: int, count: int) -> list[Hardware]:
        """``count`` different accelerators, all equally likely, drawn with ``jax.random``.

        Raises DescriptionError for a count below 1 or beyond the number of points.
        """
        if not 1 <= count <= len(self):
            raise DescriptionError(
                f"{count} accelerators are asked for", fix=f"ask for 1 to {len(self)}, all that there are"
            )
        chosen = np.asarray(jax.random.permutation(jax.random.key(seed), len(self))[:count])
        shape = tuple(map(len, self._axes))
        pes, nocs, offs = (
            np.array(values)[index].tolist()
            for values, index in zip(self._axes, np.unravel_index(chosen, shape), strict=True)
        )
        points = enumerate(zip(pes, nocs, offs, strict=True), 1)
        return [self.point(*point, f"accelerator_{number}") for number, point in points]

    @property
    def _axes(self) -> tuple[tuple[int, ...], ...]:
        return self.num_pes, self.noc_bandwidth, self.offchip_bandwidth

    def point(self, num_pes: int, noc_bandwidth: int, offchip_bandwidth: int, name: str = "") -> Hardware:
        """One accelerator with the buffers and latency of this space; raises as Hardware."""
        return Hardware(
            num_pes=num_pes,
            l1_size=self.l1_size,
            l2_size=self.l2_size,
            noc_bandwidth=noc_bandwidth,
            noc_hops=1,
            hop_latency=self.hop_latency,
            offchip_bandwidth=offchip_bandwidth,
            name=name,
        )


HARDWARE_SPACE = HardwareSpace()
"""The space that the seed draws from: 432 points."""

PRESET_SEED, PRESET_COUNT = 2022, 51


def seeded_points() -> list[Hardware]:
    """Our 51 accelerators: as many as the paper has, drawn from :data:`HARDWARE_SPACE` with a fixed seed."""
    return HARDWARE_SPACE.sample(PRESET_SEED, PRESET_COUNT)


# Number, PEs, NoC bandwidth, off-chip bandwidth.
_FORK = (
    (1, 256, 1000, 50),
    (2, 512, 300, 100),
    (3, 16, 800, 200),
    (4, 64, 400, 250),
    (5, 32, 500, 250),
    (6, 512, 1000, 50),
    (7, 128, 800, 250),
    (8, 16, 1000, 150),
    (9, 128, 400, 275),
    (10, 128, 500, 150),
    (12, 256, 800, 350),
    (13, 64, 700, 250),
    (14, 256, 400, 50),
    (15, 256, 300, 150),
    (16, 512, 800, 325),
    (17, 16, 400, 325),
    (18, 32, 400, 325),
    (19, 512, 900, 350),
    (20, 64, 600, 350),
    (21, 32, 700, 325),
    (22, 512, 600, 250),
    (23, 64, 1000, 300),
    (24, 32, 800, 250),
    (25, 128, 1000, 300),
    (26, 16, 900, 200),
    (27, 64, 500, 300),
    (28, 512, 700, 325),
    (29, 32, 800, 200),
    (30, 64, 800, 350),
    (31, 256, 400, 325),
    (32, 256, 900, 200),
    (33, 256, 900, 325),
    (34, 16, 600, 325),
    (35, 512, 400, 350),
    (36, 16, 800, 50),
    (37, 256, 600, 200),
    (38, 16, 900, 300),
    (39, 128, 400, 150),
    (40, 64, 300, 200),
    (41, 128, 700, 300),
    (42, 16, 400, 50),
    (43, 256, 900, 275),
    (44, 32, 500, 275),
    (45, 32, 900, 325),
    (46, 16, 800, 325),
    (47, 64, 300, 300),
    (48, 32, 600, 300),
    (49, 256, 300, 200),
    (50, 16, 800, 300),
    (51, 256, 1000, 275),
)


def fork_points() -> list[Hardware]:
    """The seed's own 50 accelerators, ``accelerator_1`` to ``accelerator_51``; there is no 11."""
    return [HARDWARE_SPACE.point(pes, noc, off, f"accelerator_{number}") for number, pes, noc, off in _FORK]
