"""DenseNet121."""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxmaestro.zoo.blocks import conv_norm, max_pool
from jaxmaestro.zoo.plain import Built


class DenseNet(nn.Module):
    """Huang et al. 2017: each layer reads what all layers of its block have given."""

    blocks: Sequence[int] = (6, 12, 24, 16)
    growth: int = 32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Logits ``[batch, 1000]`` of images."""

        def norm_conv(x: jax.Array, filters: int, size: int, name: str) -> jax.Array:
            x = nn.relu(nn.BatchNorm(use_running_average=not train, name=f"{name}_norm")(x))
            return nn.Conv(filters, (size, size), padding=size // 2, use_bias=False, name=name)(x)

        x = max_pool(conv_norm(x, 2 * self.growth, 7, 2, name="conv1", train=train), 3, 2, 1)
        for block, layers in enumerate(self.blocks, 1):
            if block > 1:
                x = norm_conv(x, x.shape[-1] // 2, 1, f"transition{block - 1}")
                x = nn.avg_pool(x, (2, 2), (2, 2))  # type: ignore[no-untyped-call]
            for layer in range(1, layers + 1):
                name = f"block{block}_{layer}"
                y = norm_conv(x, 4 * self.growth, 1, f"{name}_1x1")
                x = jnp.concatenate([x, norm_conv(y, self.growth, 3, f"{name}_3x3")], -1)
        x = nn.relu(nn.BatchNorm(use_running_average=not train, name="norm")(x))
        return nn.Dense(1000, name="fc")(x.mean((1, 2)))


def densenet121(batch: int, image: int) -> Built:
    """DenseNet121 on RGB images."""
    return DenseNet(), ((batch, image, image, 3),)
