"""What tests run in a process of its own: ``python -m tests.equations.elsewhere TASK [FILE]``.

``import``: importing and encoding leave JAX as it was. ``wide``: costs with 64-bit
types switched on for the whole process. ``sharded``: costs of a batch that lies on
eight devices. The last two write the costs to FILE.
"""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import jax
import numpy as np


def importing() -> None:
    """No setting changes, no device is looked for, neither by importing nor by encoding."""
    from jax._src import xla_bridge

    settings = dict(jax.config.values)
    import jaxmaestro
    import jaxmaestro.cli.command

    for name in jaxmaestro.__all__:
        getattr(jaxmaestro, name)  # names are loaded when they are asked for
    batch = one_level()
    assert len(batch) == 64
    for name, value in settings.items():
        assert jax.config.values[name] == value, name
    assert not xla_bridge.backends_are_initialized()
    assert not jax.config.jax_enable_x64


def one_level() -> Any:
    from tests.equations.trials import one_level_batch

    return one_level_batch(64)


def wide() -> Any:
    """64-bit types were switched on from outside, for everything."""
    import jaxmaestro

    assert jax.config.jax_enable_x64
    costs = jaxmaestro.cost(one_level())
    assert jax.config.jax_enable_x64
    assert isinstance(costs.runtime, jax.Array)
    return costs


def sharded() -> Any:
    """The index arrays lie on eight devices, eight tuples on each; the tables on all of them."""
    import jaxmaestro

    assert jax.device_count() == 8
    # Placed by the compiler (jax.make_mesh of late asks for types that carry the sharding).
    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("tuples",))
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("tuples"))
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    batch = jax.device_put(one_level(), everywhere)
    rows = jax.device_put((batch.layer, batch.mapping, batch.accelerator), split)
    batch = dataclasses.replace(batch, layer=rows[0], mapping=rows[1], accelerator=rows[2])
    costs = jax.jit(jaxmaestro.cost, out_shardings=split)(batch)
    assert costs.runtime.sharding == split
    assert len(costs.runtime.addressable_shards) == 8
    assert costs.runtime.addressable_shards[0].data.shape == (8,)
    return costs


if __name__ == "__main__":
    if sys.argv[1] == "import":
        importing()
    else:
        found = {"wide": wide, "sharded": sharded}[sys.argv[1]]()
        arrays = {f.name: np.asarray(getattr(found, f.name)) for f in dataclasses.fields(found)}
        np.savez(sys.argv[2], **arrays)
