"""Residual networks: ResNet18, ResNet50, ResNeXt50."""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax

from jaxmaestro.zoo.blocks import conv_norm, max_pool
from jaxmaestro.zoo.plain import Built


class Basic(nn.Module):
    """Two 3x3 layers and a shortcut."""

    width: int
    stride: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Images of ``width`` channels."""
        y = conv_norm(x, self.width, 3, self.stride, name="first", train=train)
        y = conv_norm(y, self.width, 3, name="second", train=train, act=None)
        if x.shape != y.shape:
            x = conv_norm(x, self.width, 1, self.stride, name="shortcut", train=train, act=None)
        return nn.relu(x + y)


class Bottleneck(nn.Module):
    """1x1, 3x3 (in groups, with the stride) and 1x1 layers, and a shortcut."""

    width: int
    stride: int = 1
    groups: int = 1
    base: int = 0

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Images of ``4 * width`` channels; the 3x3 layer has ``base`` of them, or ``width`` if that is 0."""
        inner, outer = self.base or self.width, 4 * self.width
        y = conv_norm(x, inner, name="reduce", train=train)
        y = conv_norm(y, inner, 3, self.stride, name="middle", train=train, groups=self.groups)
        y = conv_norm(y, outer, name="expand", train=train, act=None)
        if x.shape != y.shape:
            x = conv_norm(x, outer, 1, self.stride, name="shortcut", train=train, act=None)
        return nn.relu(x + y)


class ResNet(nn.Module):
    """ResNet50 (He et al. 2016, v1.5), ResNet18 with ``bottleneck=False``, ResNeXt50 with groups.

    ``base`` is the width of the first stage's 3x3 layers, 0 for 64.
    """

    groups: int = 1
    base: int = 0
    blocks: Sequence[int] = (3, 4, 6, 3)
    bottleneck: bool = True

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Logits ``[batch, 1000]`` of images."""
        x = max_pool(conv_norm(x, 64, 7, 2, name="conv1", train=train), 3, 2, 1)
        for stage, blocks in enumerate(self.blocks):
            for index in range(blocks):
                stride = 2 if stage > 0 and index == 0 else 1
                name, width = f"stage{stage + 2}_{index + 1}", 64 * 2**stage
                if self.bottleneck:
                    x = Bottleneck(width, stride, self.groups, self.base * 2**stage, name=name)(x, train)
                else:
                    x = Basic(width, stride, name=name)(x, train)
        return nn.Dense(1000, name="fc")(x.mean((1, 2)))


def resnet18(batch: int, image: int) -> Built:
    """ResNet18 on RGB images."""
    return ResNet(blocks=(2, 2, 2, 2), bottleneck=False), ((batch, image, image, 3),)


def resnet50(batch: int, image: int) -> Built:
    """ResNet50 on RGB images."""
    return ResNet(), ((batch, image, image, 3),)


def resnext50(batch: int, image: int) -> Built:
    """ResNeXt50 32x4d on RGB images."""
    return ResNet(groups=32, base=128), ((batch, image, image, 3),)
