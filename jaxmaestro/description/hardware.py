"""The accelerator: PEs, buffers, NoC, off-chip bandwidth (MICRO'19, background)."""

from __future__ import annotations

import dataclasses

from jaxmaestro.description.errors import DescriptionError
from jaxmaestro.description.fields import LARGEST, items, replace_field, text, whole

UNLIMITED = LARGEST
"""What the reference takes where no limit is given (INT_MAX)."""

MAX_LEVELS = 4
"""Cluster levels that a dataflow may have."""

_FLAGGED_BELOW_ONE = ("num_pes", "offchip_bandwidth", "simd_lanes")
_NOT_NEGATIVE = ("l1_size", "l2_size", "hop_latency")


@dataclasses.dataclass(frozen=True)
class Hardware:
    """One accelerator. Defaults are those of the reference's command line.

    ``noc_bandwidth`` (elements a cycle) and ``noc_hops`` (``hop_latency`` cycles
    each) are one value for every level or one for each cluster level,
    **innermost level first** as in the reference; missing ones repeat the last.
    ``l1_size`` and ``l2_size`` are limits in bytes (one byte an element),
    ``offchip_bandwidth`` is in elements a cycle.

    PEs, bandwidths and lanes below one can be described: the cost function
    flags the tuple (``Reason.NONPOSITIVE``), so that a batch is not lost by it.
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

    def __post_init__(self) -> None:
        """Raises DescriptionError for a field of the wrong type, a negative latency or limit, and
        anything beyond 32 bits.
        """
        text(self.name, "the name of a Hardware")
        for field in _FLAGGED_BELOW_ONE:
            replace_field(self, field, whole(getattr(self, field), field))
        for field in _NOT_NEGATIVE:
            replace_field(self, field, whole(getattr(self, field), field, least=0))
        replace_field(self, "noc_bandwidth", _levels(self.noc_bandwidth, "noc_bandwidth"))
        replace_field(self, "noc_hops", _levels(self.noc_hops, "noc_hops", least=0))
        if max(self.noc_latencies) > UNLIMITED:
            raise DescriptionError(
                f"noc_hops times hop_latency is {max(self.noc_latencies)}, which is too large",
                fix=f"numbers go up to {UNLIMITED}",
            )

    def _per_level(self, value: int | tuple[int, ...]) -> tuple[int, ...]:
        values = (value,) if isinstance(value, int) else value
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


def _levels(value: object, field: str, least: int = -UNLIMITED) -> int | tuple[int, ...]:
    """One value for every level, or one for each of at most ``MAX_LEVELS``."""
    fix = f"give an integer, or a sequence of 1 to {MAX_LEVELS} of them, innermost level first"
    if isinstance(value, list | tuple) or getattr(value, "shape", None):
        values = items(value, field, fix=fix)
        if not 1 <= len(values) <= MAX_LEVELS:
            raise DescriptionError(f"{field} has {len(values)} values", fix=fix)
        return tuple(whole(v, f"{field}[{i}]", least=least) for i, v in enumerate(values))
    return whole(value, field, least=least, fix=fix)
