"""Runs in a process of its own, on eight forced devices: ``python -m tests.execution.elsewhere``.

Prints how many programs a mix of inputs compiled, and the fields in which the costs of a
batch differ between one device and eight.
"""

from __future__ import annotations

import json

import jax
import numpy as np

from jaxmaestro import evaluate_batch
from tests.equations.trials import differing_fields
from tests.execution.mix import doubled_batch, product_batch, three_levels

compiled: list[str] = []


def count(event: str, _: float, **__: object) -> None:
    """Notes every compilation."""
    if event == "/jax/core/compile/backend_compile_duration":
        compiled.append(event)


if __name__ == "__main__":
    assert jax.device_count() == 8
    jax.monitoring.register_event_duration_secs_listener(count)
    product = product_batch(120)
    for batch in (product, three_levels(), doubled_batch()):
        for length in (len(batch), 2700, 5, 1):
            evaluate_batch(batch.take(np.arange(min(length, len(batch)))))
    evaluate_batch(product.take(np.arange(0, len(product), 2)))  # fewer accelerators a pair
    programs = len(compiled)
    alone = evaluate_batch(product)
    together = evaluate_batch(product, devices=jax.devices())
    print(json.dumps({"programs": programs, "differing": differing_fields(alone, together)}))
