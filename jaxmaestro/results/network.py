"""The costs of one network on one accelerator, with the names that a table needs."""

from __future__ import annotations

import dataclasses

from jaxmaestro.description import Hardware
from jaxmaestro.description.reasons import Reason
from jaxmaestro.equations.costs import Costs


@dataclasses.dataclass(frozen=True, repr=False)
class NetworkCosts:
    """``costs`` has one row a layer, as NumPy arrays, in the order of the network.

    Printed, it is one line a layer: cycles, energy, and ``ok`` or the names of
    the :class:`~jaxmaestro.description.reasons.Reason` bits that are set.
    """

    network: str
    layers: tuple[str, ...]
    hardware: Hardware
    costs: Costs

    def __len__(self) -> int:
        return len(self.layers)

    def __str__(self) -> str:
        c = self.costs
        head = f"{self.network}: {int(c.runtime.sum()):,} cycles, {float(c.energy.sum()):,.4g} nJ"
        rows = [
            f"  {n:24s} {int(r):>14,} cycles {float(e):>12.5g} nJ  {', '.join(Reason.decode(int(m))) or 'ok'}"
            for n, r, e, m in zip(self.layers, c.runtime, c.energy, c.reasons, strict=True)
        ]
        return "\n".join([head, *rows])

    def __repr__(self) -> str:
        return str(self)
