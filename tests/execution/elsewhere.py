"""Runs in a process of its own, on eight forced devices: ``python -m tests.execution.elsewhere``.

Prints how many programs a mix of inputs compiled, as the first small batches of a process and as
all others, and the fields in which the costs of a batch differ between one device and eight.
"""

from __future__ import annotations

import json

import jax
import numpy as np

from jaxmaestro import Batch, evaluate_batch
from jaxmaestro.execution import programs
from tests.equations.trials import differing_fields
from tests.execution.mix import doubled_batch, product_batch, three_levels

compiled: list[str] = []


def count(event: str, _: float, **__: object) -> None:
    """Notes every compilation."""
    if event == "/jax/core/compile/backend_compile_duration":
        compiled.append(event)


def mix(product: Batch) -> None:
    """Evaluates batches of every kind and length."""
    for batch in (product, three_levels(), doubled_batch()):
        for length in (len(batch), 2700, 5, 1):
            evaluate_batch(batch.take(np.arange(min(length, len(batch)))))
    evaluate_batch(product.take(np.arange(0, len(product), 2)))  # fewer accelerators a pair


if __name__ == "__main__":
    assert jax.device_count() == 8
    jax.monitoring.register_event_duration_secs_listener(count)
    product = product_batch(120)
    mix(product)
    few = len(compiled)
    alone = evaluate_batch(product)
    briefly = evaluate_batch(product, devices=jax.devices())
    compiled.clear()
    programs.BRIEF_BATCH = 0
    mix(product)
    many = len(compiled)
    together = evaluate_batch(product, devices=jax.devices())
    differing = [name for other in (briefly, together) for name in differing_fields(alone, other)]
    print(json.dumps({"few": few, "many": many, "differing": differing}))
