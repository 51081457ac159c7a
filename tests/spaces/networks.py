"""The networks of the spaces, one at a time and module by module, to compare the array programs with.

A recorder plays the tensors' shapes through the modules as a framework would, padding and
dilation in full, and writes down what each convolution and linear layer sees.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Tensor:
    channels: int
    size: int


@dataclasses.dataclass
class Recorder:
    """Layers ``(type, K, C, R, Y, stride)`` in order, and sums, of one network under a rule."""

    rule: str
    layers: list[tuple[str, int, int, int, int, int]] = dataclasses.field(default_factory=list)
    macs: int = 0
    parameters: int = 0

    def conv(
        self,
        x: Tensor,
        channels: int,
        kernel: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        deep: bool = False,
        norm: bool = False,
        bias: bool = False,
    ) -> Tensor:
        size = (x.size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        rows = x.size if self.rule == "fork" else (size - 1) * stride + kernel
        kind, k = ("DSCONV", 1) if deep else ("CONV", channels)
        self.layers.append((kind, k, x.channels, kernel, rows, stride))
        weights = kernel**2 * (channels if deep else channels * x.channels)
        self.macs += weights * size**2
        self.parameters += weights + channels * (2 * norm + bias)
        return Tensor(channels, size)

    def linear(self, x: Tensor, classes: int) -> None:
        assert x.size == 1
        self.layers.append(("CONV", classes, x.channels, 1, 1, 1))
        self.macs += classes * x.channels
        self.parameters += classes * (x.channels + 1)


def halve(net: Recorder, x: Tensor, channels: int) -> Tensor:
    first = net.conv(x, channels // 2, 1, 2, norm=True)
    second = net.conv(Tensor(x.channels, x.size - 1), channels // 2, 1, 2, norm=True)
    assert first.size == second.size
    return Tensor(channels, first.size)


def operation(net: Recorder, name: str, x: Tensor, stride: int) -> Tensor:
    c = x.channels
    if name.endswith("pool_3x3"):
        return Tensor(c, (x.size + 2 - 3) // stride + 1)
    if name == "skip_connect":
        return x if stride == 1 else halve(net, x, c)
    k = int(name[-1])
    if name.startswith("dil"):
        x = net.conv(x, c, k, stride, k - 1, 2, deep=True)
        return net.conv(x, c, 1, norm=True)
    for step in (stride, 1):
        x = net.conv(x, c, k, step, k // 2, deep=True)
        x = net.conv(x, c, 1, norm=True)
    return x


def darts(
    rule: str,
    cells: Sequence[Sequence[tuple[str, int]]],
    size: int = 32,
    auxiliary: bool = False,
    channels: int = 36,
    depth: int = 20,
    classes: int = 10,
) -> Recorder:
    """A DARTS network; ``cells``: the normal and the reduction cell, eight (operation, input) each."""
    net = Recorder(rule)
    s0 = s1 = net.conv(Tensor(3, size), 3 * channels, 3, 1, 1, norm=True)
    was_reduction = False
    for number in range(depth):
        reduction = number in (depth // 3, 2 * depth // 3)
        channels *= 1 + reduction
        a = halve(net, s0, channels) if was_reduction else net.conv(s0, channels, 1, norm=True)
        states = [a, net.conv(s1, channels, 1, norm=True)]
        edges = cells[reduction]
        for node in range(4):
            outputs = [
                operation(net, name, states[source], 2 if reduction and source < 2 else 1)
                for name, source in edges[2 * node : 2 * node + 2]
            ]
            assert outputs[0] == outputs[1]
            states.append(outputs[0])
        s0, s1, was_reduction = s1, Tensor(4 * channels, states[-1].size), reduction
        if auxiliary and number == 2 * depth // 3:
            before = net.parameters
            x = Tensor(s1.channels, (s1.size + 4 - 5) // 3 + 1)
            net.linear(net.conv(net.conv(x, 128, 1), 768, 2), classes)
            net.parameters = before  # what is kept after training
    net.linear(Tensor(s1.channels, 1), classes)
    return net


STRIDES = (1, 2, 2, 2, 1, 2, 1)
SQUEEZE = (False, False, True, False, True, True, True)


def alphanet(
    rule: str,
    resolution: int,
    width: Sequence[int],
    kernel: Sequence[int],
    expansion: Sequence[int],
    depth: Sequence[int],
) -> Recorder:
    """An AlphaNet network; ``parameters`` are those that are used."""
    net = Recorder(rule)
    x = net.conv(Tensor(3, resolution), width[0], 3, 2, 1, norm=True)
    for stage in range(7):
        for block in range(depth[stage]):
            stride = STRIDES[stage] if block == 0 else 1
            if x.channels != width[stage + 1]:
                net.conv(Tensor(x.channels, math.ceil(x.size / stride)), width[stage + 1], 1)
            inner, k = x.channels * expansion[stage], kernel[stage]
            assert inner % 8 == 0
            if expansion[stage] != 1:
                x = net.conv(x, inner, 1, norm=True)
            x = net.conv(x, inner, k, stride, k // 2, deep=True, norm=True)
            if SQUEEZE[stage]:
                # Nearest multiple of 8, halves up; never below nine tenths for channels of this size.
                squeezed = net.conv(Tensor(inner, 1), (inner // 4 + 4) // 8 * 8, 1, bias=True)
                net.conv(squeezed, inner, 1, bias=True)
            x = net.conv(x, width[stage + 1], 1, norm=True)
    x = net.conv(x, 6 * x.channels, 1, norm=True)
    x = net.conv(Tensor(x.channels, 1), width[-1], 1)
    net.linear(x, 1000)
    return net
