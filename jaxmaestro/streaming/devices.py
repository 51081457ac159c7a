"""Which devices share the work."""

from __future__ import annotations

from collections.abc import Sequence

import jax

from jaxmaestro.description import DescriptionError


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
    if len(set(devices)) < len(devices):
        raise DescriptionError("devices holds one twice", fix="give each once")
    if not devices:
        raise DescriptionError("devices is empty", fix="leave it out for the default one")
    return list(devices)
