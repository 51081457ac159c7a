"""Networks of plain convolutions with biases: AlexNet, VGG16, SqueezeNet, U-Net."""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxmaestro.zoo.blocks import max_pool, mean_pool_to

Built = tuple[nn.Module, tuple[tuple[int, ...], ...]]
"""A network and its inputs' shapes."""


def _classifier(x: jax.Array, first: int) -> jax.Array:
    """Three fully connected layers, numbered from ``first``."""
    x = x.reshape(x.shape[0], -1)
    for index in (first, first + 1):
        x = nn.relu(nn.Dense(4096, name=f"fc{index}")(x))
    return nn.Dense(1000, name=f"fc{first + 2}")(x)


class AlexNet(nn.Module):
    """Krizhevsky 2014: one tower, no groups and no normalisation."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Logits ``[batch, 1000]`` of images."""
        rows = ((64, 11, 4, 2, True), (192, 5, 1, 2, True), (384, 3, 1, 1, False), (256, 3, 1, 1, False))
        for index, (filters, size, stride, pad, pools) in enumerate((*rows, (256, 3, 1, 1, True)), 1):
            conv = nn.Conv(filters, (size, size), stride, padding=pad, name=f"conv{index}")
            x = nn.relu(conv(x))
            x = max_pool(x, 3, 2) if pools else x
        return _classifier(mean_pool_to(x, 6), 6)


class VGG16(nn.Module):
    """Simonyan and Zisserman 2015, configuration D."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Logits ``[batch, 1000]`` of images."""
        for stage, (filters, layers) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), 1):
            for layer in range(1, layers + 1):
                x = nn.relu(nn.Conv(filters, (3, 3), padding=1, name=f"conv{stage}_{layer}")(x))
            x = max_pool(x, 2, 2)
        return _classifier(mean_pool_to(x, 7), 6)


class SqueezeNet(nn.Module):
    """SqueezeNet 1.0 (Iandola et al. 2016); pooling rounds up, as in torchvision."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Logits ``[batch, 1000]`` of images."""

        def conv(x: jax.Array, filters: int, size: int, name: str) -> jax.Array:
            return nn.relu(nn.Conv(filters, (size, size), padding=size // 2, name=name)(x))

        x = nn.relu(nn.Conv(96, (7, 7), 2, padding="VALID", name="conv1")(x))
        widths = (16, 16, 32, 32, 48, 48, 64, 64)
        for index, squeezed in enumerate(widths, 2):
            if index in (2, 5, 9):
                x = max_pool(x, 3, 2, up=True)
            x = conv(x, squeezed, 1, f"fire{index}_squeeze")
            parts = [conv(x, 4 * squeezed, size, f"fire{index}_expand{size}x{size}") for size in (1, 3)]
            x = jnp.concatenate(parts, -1)
        return conv(x, 1000, 1, "conv10").mean((1, 2))


class UNet(nn.Module):
    """Ronneberger et al. 2015: convolutions without padding, transposed ones on the way up."""

    widths: Sequence[int] = (64, 128, 256, 512, 1024)

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Two logits a pixel, for the middle of the images."""

        def twice(x: jax.Array, filters: int, name: str) -> jax.Array:
            for index in (1, 2):
                x = nn.relu(nn.Conv(filters, (3, 3), padding="VALID", name=f"{name}_{index}")(x))
            return x

        left = []
        for level, filters in enumerate(self.widths[:-1], 1):
            x = twice(x, filters, f"down{level}")
            left.append(x)
            x = max_pool(x, 2, 2)
        x = twice(x, self.widths[-1], f"down{len(self.widths)}")
        for level in reversed(range(1, len(self.widths))):
            filters, skip = self.widths[level - 1], left[level - 1]
            x = nn.ConvTranspose(filters, (2, 2), (2, 2), padding="VALID", name=f"up{level}")(x)
            cut = (skip.shape[1] - x.shape[1]) // 2
            skip = skip[:, cut : cut + x.shape[1], cut : cut + x.shape[2]]
            x = twice(jnp.concatenate([skip, x], -1), filters, f"up{level}")
        return nn.Conv(2, (1, 1), name="out")(x)


def alexnet(batch: int, image: int) -> Built:
    """AlexNet on RGB images."""
    return AlexNet(), ((batch, image, image, 3),)


def vgg16(batch: int, image: int) -> Built:
    """VGG16 on RGB images."""
    return VGG16(), ((batch, image, image, 3),)


def squeezenet(batch: int, image: int) -> Built:
    """SqueezeNet 1.0 on RGB images."""
    return SqueezeNet(), ((batch, image, image, 3),)


def unet(batch: int, image: int) -> Built:
    """U-Net on images of one channel."""
    return UNet(), ((batch, image, image, 1),)
