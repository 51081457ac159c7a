"""One chunk's tuples over several devices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np

from jaxmaestro.description import DescriptionError
from jaxmaestro.encoding.tables import Batch
from jaxmaestro.equations.costs import Costs
from jaxmaestro.streaming.plan import spans

Evaluate = Callable[[Batch], Costs]


def pick_devices(devices: int | Sequence[jax.Device] | None) -> list[jax.Device]:
    """The devices meant: the first so many, those given, or none. Raises DescriptionError for others."""
    if devices is None:
        return []
    if isinstance(devices, int) and not isinstance(devices, bool):
        there = jax.local_devices()
        if not 1 <= devices <= len(there):
            raise DescriptionError(
                f"devices is {devices}", fix=f"there are {len(there)} ({there[0].platform}); give 1 to that"
            )
        return there[:devices]
    if not isinstance(devices, list | tuple) or not all(isinstance(each, jax.Device) for each in devices):
        raise DescriptionError(f"devices is {devices!r}", fix="give a number or a list of JAX devices")
    if not devices:
        raise DescriptionError("devices is empty", fix="leave it out for the default one")
    return list(devices)


def spread(evaluate: Evaluate, devices: Sequence[jax.Device]) -> Evaluate:
    """``evaluate`` for batches whose tuples go in nearly equal parts, in order, to the devices.

    All parts are of one batch, so that what is held does not grow with the devices.
    """
    if not devices:
        return evaluate

    def on(device: jax.Device, batch: Batch) -> Costs:
        with jax.default_device(device):
            return evaluate(batch)

    def run(batch: Batch) -> Costs:
        pieces = [batch.take(slice(*span)) for span in spans(len(batch), -(-len(batch) // len(devices)))]
        with ThreadPoolExecutor(len(pieces)) as pool:
            costs = list(pool.map(on, devices[: len(pieces)], pieces))
        return jax.tree.map(lambda *fields: np.concatenate(fields), *costs)

    return run
