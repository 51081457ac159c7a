"""GoogLeNet."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxmaestro.zoo.blocks import conv_norm, max_pool, mean_pool_to
from jaxmaestro.zoo.plain import Built

# Filters: 1x1, 3x3 after its 1x1, the second 3x3 (the paper's 5x5) after its 1x1, 1x1 after pooling.
_MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


class Inception(nn.Module):
    """Four branches, whose channels are joined."""

    filters: tuple[int, int, int, int, int, int]

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Images of as many rows as ``x``."""
        one, reduce3, three, reduce5, five, pooled = self.filters
        parts = [
            conv_norm(x, one, name="1x1", train=train),
            conv_norm(
                conv_norm(x, reduce3, name="3x3_reduce", train=train), three, 3, name="3x3", train=train
            ),
            conv_norm(
                conv_norm(x, reduce5, name="5x5_reduce", train=train), five, 3, name="5x5", train=train
            ),
            conv_norm(max_pool(x, 3, 1, 1), pooled, name="pool", train=train),
        ]
        return jnp.concatenate(parts, -1)


class Auxiliary(nn.Module):
    """A classifier on the way, for training."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Logits ``[batch, 1000]``."""
        x = conv_norm(mean_pool_to(x, 4), 128, name="conv", train=train)
        x = nn.relu(nn.Dense(1024, name="fc1")(x.reshape(x.shape[0], -1)))
        return nn.Dense(1000, name="fc2")(x)


class GoogLeNet(nn.Module):
    """Szegedy et al. 2015 as torchvision has it: batch norms, and 3x3 where the paper has 5x5."""

    auxiliary: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> list[jax.Array]:
        """Logits ``[batch, 1000]`` of images, those of the two auxiliary classifiers before if there are."""
        x = max_pool(conv_norm(x, 64, 7, 2, name="conv1", train=train), 3, 2, up=True)
        x = conv_norm(x, 64, name="conv2", train=train)
        x = max_pool(conv_norm(x, 192, 3, name="conv3", train=train), 3, 2, up=True)
        logits: list[jax.Array] = []
        for name, filters in _MODULES.items():
            if self.auxiliary and name in ("4b", "4e"):
                logits.append(Auxiliary(name=f"auxiliary_{len(logits) + 1}")(x, train))
            x = Inception(filters, name=f"inception{name}")(x, train)
            if name in ("3b", "4e"):
                x = max_pool(x, 3 if name == "3b" else 2, 2, up=True)
        return [*logits, nn.Dense(1000, name="fc")(x.mean((1, 2)))]


def googlenet(batch: int, image: int, auxiliary: bool) -> Built:
    """GoogLeNet on RGB images, with or without its auxiliary classifiers."""
    return GoogLeNet(auxiliary), ((batch, image, image, 3),)
