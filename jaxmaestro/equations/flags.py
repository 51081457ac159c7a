"""Reason bits in arrays: setting one, asking for any of a group."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from jaxmaestro.description.reasons import Reason

Array = Any


def flag(condition: Array, reason: Reason) -> Array:
    """The bits of ``reason`` where ``condition`` (bool, any shape) holds, uint32 of that shape."""
    return jnp.where(condition, jnp.uint32(int(reason)), jnp.uint32(0))


def any_of(reasons: Array, group: Reason) -> Array:
    """Whether any bit of a group is set, bool of the shape of ``reasons``."""
    return (reasons & jnp.uint32(int(group))) != 0
