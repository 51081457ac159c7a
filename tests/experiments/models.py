"""Small models for specs: ``jax:tests.experiments.models.Blocks:(1,2)@1x16x16x3``."""

from __future__ import annotations

import flax.linen as nn
import jax
from jax import lax


class Blocks(nn.Module):
    """A convolution, stages of equal ones, a fully connected layer: ``2 + sum(blocks)`` layers."""

    blocks: tuple[int, ...]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = nn.relu(nn.Conv(8, (7, 7), (2, 2), name="stem")(x))
        for stage, repeat in enumerate(self.blocks):
            for block in range(repeat):
                x = x + nn.Conv(8, (3 + 2 * stage,) * 2, name=f"stage{stage}_{block}")(x)
        return nn.Dense(10, name="fc")(x.mean((1, 2)))


def uneven(x: jax.Array, w: jax.Array) -> jax.Array:
    """A convolution with other strides along rows than along columns."""
    return lax.conv_general_dilated(x, w, (2, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
