"""Networks for the tests of the frontends: those of the zoo, and a small one of their own in nnx."""

from __future__ import annotations

from typing import Any

import jax
from flax import nnx

from jaxmaestro import zoo


def of_zoo(name: str) -> Any:
    """A network of the zoo with its default sizes."""
    return zoo.entry(name).build()[0]


class Mixer(nnx.Module):
    """Convolution, then attention over the pixels, in nnx."""

    def __init__(self, width: int, heads: int, *, rngs: nnx.Rngs) -> None:
        self.patches = nnx.Conv(3, width, (4, 4), (4, 4), padding="VALID", rngs=rngs)
        self.attention = nnx.MultiHeadAttention(heads, width, decode=False, rngs=rngs)
        self.head = nnx.Linear(width, 10, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.patches(x)
        x = x.reshape(x.shape[0], -1, x.shape[-1])
        return self.head(self.attention(x).mean(1))
