"""Networks of inverted residuals: MobileNetV2 and V3, MnasNet, EfficientNet-B0."""

from __future__ import annotations

from collections.abc import Iterable

import flax.linen as nn
import jax

from jaxmaestro.zoo.blocks import Activation, conv_norm, squeeze_excite
from jaxmaestro.zoo.plain import Built


class InvertedResidual(nn.Module):
    """A 1x1 layer that widens, a depthwise one, a 1x1 layer that narrows (Sandler et al. 2018).

    ``squeezed``: channels within squeeze and excitation, 0 for none.
    """

    expanded: int
    filters: int
    size: int = 3
    stride: int = 1
    act: Activation = nn.relu
    squeezed: int = 0
    squeeze_act: Activation = nn.relu
    gate: Activation = nn.sigmoid

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Images of ``filters`` channels."""
        y, inner = x, self.expanded
        if inner != x.shape[-1]:
            y = conv_norm(y, inner, name="expand", train=train, act=self.act)
        y = conv_norm(
            y, inner, self.size, self.stride, name="depthwise", train=train, groups=inner, act=self.act
        )
        if self.squeezed:
            y = squeeze_excite(y, self.squeezed, self.squeeze_act, self.gate)
        y = conv_norm(y, self.filters, name="project", train=train, act=None)
        return x + y if x.shape == y.shape else y


class MobileNet(nn.Module):
    """A 3x3 layer, inverted residuals, a 1x1 layer and one fully connected layer, or two.

    ``blocks``: fields of each :class:`InvertedResidual`. ``hidden``: width of the first of two fully
    connected layers, 0 for none.
    """

    stem: int
    blocks: tuple[dict[str, object], ...]
    head: int
    act: Activation = nn.relu
    hidden: int = 0

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Logits ``[batch, 1000]`` of images."""
        x = conv_norm(x, self.stem, 3, 2, name="conv1", train=train, act=self.act)
        for index, fields in enumerate(self.blocks, 1):
            x = InvertedResidual(**fields, name=f"block{index}")(x, train)  # type: ignore[arg-type]
        x = conv_norm(x, self.head, name="conv_last", train=train, act=self.act).mean((1, 2))
        if self.hidden:
            x = self.act(nn.Dense(self.hidden, name="fc_hidden")(x))
        return nn.Dense(1000, name="fc")(x)


def mobilenetv2(batch: int, image: int) -> Built:
    """MobileNetV2 of width 1 on RGB images."""
    rows = ((1, 16, 3, 1, 1), (6, 24, 3, 2, 2), (6, 32, 3, 2, 3), (6, 64, 3, 2, 4), (6, 96, 3, 1, 3))
    blocks = _stages(32, (*rows, (6, 160, 3, 2, 3), (6, 320, 3, 1, 1)))
    blocks = [{**block, "act": nn.relu6} for block in blocks]
    return MobileNet(32, tuple(blocks), 1280, nn.relu6), ((batch, image, image, 3),)


def mnasnet(batch: int, image: int) -> Built:
    """MnasNet-B1 of width 1 on RGB images."""
    rows = ((1, 16, 3, 1, 1), (3, 24, 3, 2, 3), (3, 40, 5, 2, 3), (6, 80, 5, 2, 3), (6, 96, 3, 1, 2))
    blocks = _stages(32, (*rows, (6, 192, 5, 2, 4), (6, 320, 3, 1, 1)))
    return MobileNet(32, tuple(blocks), 1280), ((batch, image, image, 3),)


def efficientnet_b0(batch: int, image: int) -> Built:
    """EfficientNet-B0 on RGB images."""
    rows = ((1, 16, 3, 1, 1), (6, 24, 3, 2, 2), (6, 40, 5, 2, 2), (6, 80, 3, 2, 3), (6, 112, 5, 1, 3))
    blocks = _stages(32, (*rows, (6, 192, 5, 2, 4), (6, 320, 3, 1, 1)), squeezes=True)
    blocks = [{**block, "act": nn.silu, "squeeze_act": nn.silu} for block in blocks]
    return MobileNet(32, tuple(blocks), 1280, nn.silu), ((batch, image, image, 3),)


def mobilenetv3(batch: int, image: int) -> Built:
    """MobileNetV3 large of width 1 on RGB images."""
    relu, swish = nn.relu, nn.hard_swish
    # expanded, filters, size, stride, squeezed (a quarter, rounded to eights), activation
    rows = (
        (16, 16, 3, 1, 0, relu),
        (64, 24, 3, 2, 0, relu),
        (72, 24, 3, 1, 0, relu),
        (72, 40, 5, 2, 24, relu),
        (120, 40, 5, 1, 32, relu),
        (120, 40, 5, 1, 32, relu),
        (240, 80, 3, 2, 0, swish),
        (200, 80, 3, 1, 0, swish),
        (184, 80, 3, 1, 0, swish),
        (184, 80, 3, 1, 0, swish),
        (480, 112, 3, 1, 120, swish),
        (672, 112, 3, 1, 168, swish),
        (672, 160, 5, 2, 168, swish),
        (960, 160, 5, 1, 240, swish),
        (960, 160, 5, 1, 240, swish),
    )
    names = ("expanded", "filters", "size", "stride", "squeezed", "act")
    blocks = tuple({**dict(zip(names, row, strict=True)), "gate": nn.hard_sigmoid} for row in rows)
    return MobileNet(16, blocks, 960, swish, hidden=1280), ((batch, image, image, 3),)


def _stages(
    channels: int, rows: Iterable[tuple[int, int, int, int, int]], squeezes: bool = False
) -> list[dict[str, object]]:
    """Blocks of rows (factor, filters, size, first stride, repeats) on ``channels`` channels."""
    blocks: list[dict[str, object]] = []
    for factor, filters, size, first, repeats in rows:
        for index in range(repeats):
            blocks.append(
                {
                    "expanded": factor * channels,
                    "filters": filters,
                    "size": size,
                    "stride": first if index == 0 else 1,
                    "squeezed": channels // 4 if squeezes else 0,
                }
            )
            channels = filters
    return blocks
