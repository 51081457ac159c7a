"""The accelerator: PEs, buffers, NoC, off-chip bandwidth (MICRO'19, background)."""

from __future__ import annotations

import dataclasses

UNLIMITED = 2**31 - 1
"""What the reference takes where no limit is given (INT_MAX)."""

MAX_LEVELS = 4


@dataclasses.dataclass(frozen=True)
class Hardware:
    """One accelerator. Defaults are those of the reference's command line.

    ``noc_bandwidth`` (elements a cycle) and ``noc_latency`` (cycles, hops times
    hop latency) are one value for every level or one for each cluster level,
    **innermost level first** as in the reference; missing ones repeat the last.
    ``l1_size`` and ``l2_size`` are limits in bytes (one byte an element),
    ``offchip_bandwidth`` is in elements a cycle.
    """

    num_pes: int = 7
    l1_size: int = UNLIMITED
    l2_size: int = UNLIMITED
    noc_bandwidth: int | tuple[int, ...] = UNLIMITED
    noc_hops: int | tuple[int, ...] = 1
    hop_latency: int = 0
    offchip_bandwidth: int = 70000
    simd_lanes: int = 1
    name: str = dataclasses.field(default="", compare=False)

    def _per_level(self, value: int | tuple[int, ...]) -> tuple[int, ...]:
        values = (value,) if isinstance(value, int) else tuple(value)
        return (values + (values[-1],) * MAX_LEVELS)[:MAX_LEVELS]

    @property
    def noc_bandwidths(self) -> tuple[int, ...]:
        """NoC bandwidth by level, innermost first, always ``MAX_LEVELS`` long."""
        return self._per_level(self.noc_bandwidth)

    @property
    def noc_latencies(self) -> tuple[int, ...]:
        """Hops times hop latency by level, innermost first, always ``MAX_LEVELS`` long."""
        return tuple(hops * self.hop_latency for hops in self._per_level(self.noc_hops))

    def replace(self, **changes: object) -> Hardware:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]
