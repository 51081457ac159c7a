"""Networks by name: ``zoo.workload("resnet50", image=160)`` traces one, ``zoo.NAMES`` says which there are.

Looking names and published figures up imports neither JAX nor flax; building a network does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jaxmaestro.zoo.entries import ENTRIES, NAMES, Entry, Limit, entry

if TYPE_CHECKING:
    from jaxmaestro.frontends.describe import Padding, Products
    from jaxmaestro.frontends.workload import Workload

__all__ = ["ENTRIES", "NAMES", "Entry", "Limit", "entry", "workload"]


def workload(
    name: str,
    *,
    padding: Padding = "exact",
    products: Products = "auto",
    training: bool = False,
    **options: Any,
) -> Workload:
    """The workload of a network of the zoo, traced on shapes alone.

    Args:
        name: one of :data:`NAMES`.
        padding, products, training: as :func:`jaxmaestro.from_jax` has them. Training runs layers in
            training mode (batch statistics).
        options: sizes of the network and its inputs, see :attr:`Entry.options`.

    Raises:
        DescriptionError: for a name or option that is not there, or a value that it cannot have.
    """
    from jaxmaestro.frontends.jax_tracing import from_jax

    model, shapes = entry(name).build(**options)
    style: dict[str, Any] = {"padding": padding, "products": products, "training": training}
    if not hasattr(model, "apply"):  # a function of its parameters
        return from_jax(model, *shapes, parameters=0, name=name, **style)
    return from_jax(model, *shapes, static={"train": training}, name=name, **style)
