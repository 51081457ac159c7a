"""How figures of thousands of architectures are held in a test: a digest of whole numbers."""

from __future__ import annotations

import hashlib

import numpy as np

from jaxmaestro.description import Layer


def digest(values: np.ndarray) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of whole numbers, as little-endian int32."""
    return hashlib.sha256(np.ascontiguousarray(values, dtype="<i4").tobytes()).hexdigest()[:16]


def plain(layers: list[Layer]) -> list[tuple[str, int, int, int, int, int]]:
    """Layers as ``(type, K, C, R, Y, stride)``, checked to be square."""
    assert all(layer["R"] == layer["S"] and layer["Y"] == layer["X"] for layer in layers)
    assert all(layer.stride("X") == layer.stride("Y") for layer in layers)
    return [(x.type.value, x["K"], x["C"], x["R"], x["Y"], x.stride("Y")) for x in layers]
