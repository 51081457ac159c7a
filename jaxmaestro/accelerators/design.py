"""A finished design: an accelerator and a mapping for every layer, checked against budget and roofline."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from jaxmaestro.accelerators.budget import Budget, reference_power
from jaxmaestro.accelerators.roofline import roofline
from jaxmaestro.description import Dataflow, Hardware, Layer, MappedLayer, Network
from jaxmaestro.description.reasons import Reason
from jaxmaestro.evaluation import evaluate


class RefusedError(RuntimeError):
    """A design that is not what it is said to be: a fault of the search that made it."""


@dataclasses.dataclass(frozen=True)
class Design:
    """An accelerator with a mapping a layer, and what a search says that they cost."""

    hardware: Hardware
    layers: tuple[Layer, ...]
    repeats: tuple[int, ...]
    dataflows: tuple[Dataflow, ...]
    latency: float  # cycles of the network, layers one after the other
    energy: float  # nJ

    @property
    def edp(self) -> float:
        """nJ cycles."""
        return self.latency * self.energy

    def network(self, name: str) -> Network:
        """The layers under their mappings, each once."""
        pairs = zip(self.layers, self.dataflows, strict=True)
        return Network(name, tuple(MappedLayer(layer, flow) for layer, flow in pairs))


@dataclasses.dataclass(frozen=True)
class Checked:
    """Figures of a design, all computed anew from its accelerator and mappings."""

    latency: float  # cycles
    energy: float  # nJ
    area: float  # mm^2 by the budget's model, with the buffers of the accelerator
    power: float  # mW by the reference's model
    l1_need: int  # bytes, the most of any layer
    l2_need: int
    roofline: float  # cycles that no mappings could be below on these PEs and this off-chip bandwidth

    @property
    def edp(self) -> float:
        """nJ cycles."""
        return self.latency * self.energy


def check(
    network: Network, hardware: Hardware, repeats: Sequence[int], budget: Budget, said: Design | None = None
) -> Checked:
    """Evaluate a network on an accelerator and make sure of what is claimed.

    Raises RefusedError where a layer is not valid on the accelerator (its buffers included), is below
    its roofline, where the accelerator is beyond the budget, or the figures are not those that
    ``said`` gives.
    """
    costs = evaluate(network, hardware).costs
    many = np.asarray(repeats)
    for place, mapped in enumerate(network):
        name = f"{network.name}, {mapped.layer.name}"
        if not costs.valid[place]:
            reasons = ", ".join(Reason.decode(int(costs.reasons[place])))
            raise RefusedError(f"{name}: the mapping is not valid on the accelerator: {reasons}")
        least = roofline(mapped.layer, hardware)
        if costs.runtime[place] < least:
            raise RefusedError(
                f"{name}: {costs.runtime[place]:,} cycles are below the roofline of {least:,.0f}"
            )
    if not budget.keeps(hardware):
        raise RefusedError(f"{network.name}: {budget.cost_of(hardware)} are beyond the budget of {budget}")
    found = Checked(
        latency=float(costs.runtime.astype(np.float64) @ many),
        energy=float(costs.energy @ many),
        area=budget.area_of(hardware),
        power=reference_power(hardware),
        l1_need=int(costs.l1_size.max()),
        l2_need=int(costs.l2_size.max()),
        roofline=float(sum(roofline(m.layer, hardware) * n for m, n in zip(network, repeats, strict=True))),
    )
    if said is not None and not np.allclose(
        [found.latency, found.energy], [said.latency, said.energy], rtol=1e-12, atol=0
    ):
        raise RefusedError(
            f"{network.name}: {found.latency:,.0f} cycles and {found.energy:,.0f} nJ, not "
            f"{said.latency:,.0f} and {said.energy:,.0f}"
        )
    return found
