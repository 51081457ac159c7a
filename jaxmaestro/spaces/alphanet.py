"""AlphaNet and AttentiveNAS: MobileNetV3-like networks on ImageNet (Wang et al., CVPR and ICML 2021)."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import random
from typing import Any

import jax
import numpy as np

from jaxmaestro.description import DescriptionError
from jaxmaestro.spaces.layers import Rule, convolution, depthwise, linear
from jaxmaestro.spaces.space import SearchSpace, check_codes, check_count, uniform

Array = Any


@dataclasses.dataclass(frozen=True)
class Stage:
    """Inverted-residual blocks of one width: what may be chosen, and what is fixed."""

    widths: tuple[int, ...]  # output channels
    depths: tuple[int, ...]  # blocks
    kernels: tuple[int, ...]  # of the depthwise convolution
    expansions: tuple[int, ...]  # inner channels as a multiple of the input's; 1: no expansion layer
    stride: int  # of the first block
    squeeze: bool  # squeeze-and-excitation
    most: int  # blocks that there are; a larger depth means this many


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Configurations:
    """AlphaNet architectures. Stage s is mb1 to mb7."""

    resolution: Array  # [n] rows of the input
    width: Array  # [n, 9] channels of the first convolution, the stages, the last convolution
    kernel: Array  # [n, 7]
    expansion: Array  # [n, 7]
    depth: Array  # [n, 7] as sampled: see Stage.most

    def __len__(self) -> int:
        return len(self.resolution)


@dataclasses.dataclass(frozen=True)
class AlphaNet(SearchSpace[Configurations]):
    """Networks of a first convolution, seven stages and a head of two 1x1 convolutions."""

    resolutions: tuple[int, ...]
    first: tuple[int, ...]  # channels of the first convolution, 3x3 with stride 2
    stages: tuple[Stage, ...]
    last: tuple[int, ...]  # channels of the last convolution, after pooling
    classes: int = 1000

    @functools.cached_property
    def _choices(self) -> tuple[tuple[int, ...], ...]:
        """Values of every column of the codes: resolution, widths, kernels, expansions, depths."""
        widths = (self.first, *(stage.widths for stage in self.stages), self.last)
        kernels = tuple(stage.kernels for stage in self.stages)
        expansions = tuple(stage.expansions for stage in self.stages)
        depths = tuple(stage.depths for stage in self.stages)
        return (self.resolutions, *widths, *kernels, *expansions, *depths)

    @functools.cached_property
    def cardinalities(self) -> np.ndarray:
        """31 choices: the resolution, nine widths, seven kernels, expansions and depths."""
        return np.array([len(values) for values in self._choices], np.int32)

    def encode(self, architectures: Configurations) -> np.ndarray:
        values = _columns(architectures)
        codes = np.empty(values.shape, np.int32)
        for column, choices in enumerate(self._choices):
            order = np.argsort(choices)
            place = np.searchsorted(np.array(choices)[order], values[:, column])
            codes[:, column] = order[np.minimum(place, len(choices) - 1)]
            wrong = np.array(choices)[codes[:, column]] != values[:, column]
            if wrong.any():
                row = int(np.argmax(wrong))
                raise DescriptionError(
                    f"{_name(column)} of architecture {row} is {values[row, column]}",
                    fix=f"it must be one of {', '.join(map(str, choices))}",
                )
        return codes

    def decode(self, codes: Array) -> Configurations:
        found = check_codes(codes, self.cardinalities)
        columns = [np.array(choices)[found[:, i]] for i, choices in enumerate(self._choices)]
        values = np.stack(columns, 1).astype(np.int32)
        return Configurations(values[:, 0], *np.split(values[:, 1:], (9, 16, 23), 1))

    def sample(self, seed: int, count: int) -> Configurations:
        return self.decode(uniform(seed, count, self.cardinalities))

    def fork_sample(self, count: int) -> Configurations:
        """What the seed's script draws with Python's generator, seeded 0 to ``count - 1``.

        A configuration that was drawn before is dropped, so there may be fewer than ``count``.
        The script draws from :data:`ALPHANET_FORK`; other spaces are drawn from in the same
        order: what has one value is not drawn.
        """
        found: dict[tuple[int, ...], None] = {}
        order = [0, *range(10, 31), *range(1, 10)]  # widths last: the script has one of each
        drawn = [c for c in order if len(self._choices[c]) > 1]
        codes = [0] * len(self._choices)
        for seed in range(check_count(count)):
            generator = random.Random(seed)
            for column in drawn:
                codes[column] = generator.choice(range(len(self._choices[column])))
            found.setdefault(tuple(codes))
        return self.decode(np.array(list(found)))

    def parameters(self, architectures: Configurations, rule: Rule = "fork") -> np.ndarray:
        """Parameters of each architecture, int64 ``[n]``.

        ``fork``: as the counter of AttentiveNAS's code, which the seed used: every block has the
        weights of a shortcut convolution, also where the shortcut is the identity.
        ``exact``: those that are used.
        """
        grid = self.layers(architectures, rule)
        figures = grid.weights[:, None] + np.outer(grid.outputs, np.arange(3))
        kinds = grid.spread(figures)
        total = np.take_along_axis(kinds, self._per_channel[None, :, None], 2).sum((1, 2))
        total += self.classes
        if rule == "fork":
            depths, widths = self._depths(architectures), np.asarray(architectures.width, np.int64)
            into, out = widths[:, :-2], widths[:, 1:-1]
            total += ((depths - 1) * out**2 + np.where(into == out, into * out, 0)).sum(1)
        return total

    @functools.cached_property
    def _per_channel(self) -> np.ndarray:
        """Parameters besides the weights for each output channel of a slot, int ``[slots]``.

        Two of a batch normalisation, one of a bias; shortcuts and the convolution after
        pooling have neither. The classifier's bias is counted apart.
        """
        block = (0, 2, 2, 1, 1, 2)
        return np.array([2, *block * sum(stage.most for stage in self.stages), 2, 0, 0])

    def _depths(self, architectures: Configurations) -> np.ndarray:
        return np.minimum(np.asarray(architectures.depth), [stage.most for stage in self.stages])

    def _keys(self, architectures: Configurations, rule: Rule) -> np.ndarray:
        self.encode(architectures)
        config = jax.tree.map(np.asarray, architectures)
        size = config.resolution
        before, rows, parts = config.width[:, 0], -(-size // 2), []
        parts.append(convolution(rule, before, 3, 3, size, 2, rows)[:, None])
        for number, stage in enumerate(self.stages):
            width, kernel = config.width[:, number + 1], config.kernel[:, number]
            expansion, depth = config.expansion[:, number], self._depths(config)[:, number]
            for block in range(stage.most):
                stride = stage.stride if block == 0 else 1
                layers = _block(rule, before, width, kernel, expansion, rows, stride, stage.squeeze)
                parts.append(np.where((block < depth)[:, None], layers, 0))
                # Every stage has one block or more, so what follows the first holds for all.
                before, rows = width, -(-rows // stride)
        inner = 6 * before
        parts.append(
            np.stack(
                [
                    convolution(rule, inner, before, 1, rows, 1, rows),
                    convolution(rule, config.width[:, -1], inner, 1, 1, 1, 1),
                    linear(self.classes, config.width[:, -1]),
                ],
                1,
            )
        )
        return np.concatenate(parts, 1)


def _block(
    rule: Rule,
    inputs: np.ndarray,
    outputs: np.ndarray,
    kernel: np.ndarray,
    expansion: np.ndarray,
    size: np.ndarray,
    stride: int,
    squeeze: bool,
) -> np.ndarray:
    """Packed shapes of a block, int64 ``[n, 6]``, in order: shortcut, expansion, depthwise, squeeze,
    excitation, projection; 0 for what is not there.
    """
    result = -(-size // stride)
    inner = _multiple_of_8(inputs * expansion)
    # A shortcut is pooled to the output's size before its channels are matched.
    shortcut = convolution(rule, outputs, inputs, 1, result, 1, result)
    expand = convolution(rule, inner, inputs, 1, size, 1, size)
    squeezed = _multiple_of_8(inner // 4)
    return np.stack(
        [
            np.where(inputs == outputs, 0, shortcut),
            np.where(expansion == 1, 0, expand),
            depthwise(rule, inner, kernel, size, stride, result),
            linear(squeezed, inner) * squeeze,
            linear(inner, squeezed) * squeeze,
            convolution(rule, outputs, inner, 1, result, 1, result),
        ],
        1,
    )


def _multiple_of_8(channels: np.ndarray) -> np.ndarray:
    """The nearest multiple of 8, at least 8, that is not below nine tenths of ``channels``."""
    nearest = np.maximum(8, (channels + 4) // 8 * 8)
    return nearest + np.where(10 * nearest < 9 * channels, 8, 0)


def _columns(architectures: Configurations) -> np.ndarray:
    """All fields side by side, ``[n, 31]``; raises DescriptionError for fields of other shapes."""
    fields = [np.asarray(getattr(architectures, f.name)) for f in dataclasses.fields(architectures)]
    n = len(fields[0])
    if [field.shape for field in fields] != [(n,), (n, 9), (n, 7), (n, 7), (n, 7)]:
        raise DescriptionError(
            f"configurations have fields of shapes {[f.shape for f in fields]}",
            fix="give resolution [n], width [n, 9], kernel, expansion and depth [n, 7]",
        )
    return np.concatenate([fields[0][:, None], *fields[1:]], 1)


def _name(column: int) -> str:
    stages = [f"mb{i}" for i in range(1, 8)]
    widths = [f"the width of {stage}" for stage in ("the first convolution", *stages, "the last convolution")]
    rest = [f"the {what} of {s}" for what, s in itertools.product(("kernel", "expansion", "depth"), stages)]
    return ["the resolution", *widths, *rest][column]


def _span(first: int, last: int) -> tuple[int, ...]:
    return tuple(range(first, last + 1))


ALPHANET = AlphaNet(
    resolutions=(192, 224, 256, 288),
    first=(16, 24),
    stages=(
        Stage((16, 24), (1, 2), (3, 5), (1,), 1, False, 2),
        Stage((24, 32), _span(3, 5), (3, 5), (4, 5, 6), 2, False, 5),
        Stage((32, 40), _span(3, 6), (3, 5), (4, 5, 6), 2, True, 6),
        Stage((64, 72), _span(3, 6), (3, 5), (4, 5, 6), 2, False, 6),
        Stage((112, 120, 128), _span(3, 8), (3, 5), (4, 5, 6), 1, True, 8),
        Stage((192, 200, 208, 216), _span(3, 8), (3, 5), (6,), 2, True, 8),
        Stage((216, 224), (1, 2), (3, 5), (6,), 1, True, 2),
    ),
    last=(1792, 1984),
)
"""The space of AttentiveNAS, from which AlphaNet takes its networks."""


def _fork_stage(stage: Stage) -> Stage:
    """A stage of the seed's variant: the least width, and the rest free in all but the first and the last."""
    if max(stage.depths) <= 2:
        return dataclasses.replace(stage, widths=stage.widths[:1], depths=(1,), kernels=(3,))
    return dataclasses.replace(
        stage, widths=stage.widths[:1], depths=(3, 4, 6), kernels=(3, 5, 7), expansions=(4, 5, 6)
    )


ALPHANET_FORK = AlphaNet(
    resolutions=ALPHANET.resolutions,
    first=ALPHANET.first[:1],
    stages=tuple(map(_fork_stage, ALPHANET.stages)),
    last=ALPHANET.last[:1],
)
"""The seed's variant: all widths least, kernels 3, 5, 7, expansions 4, 5, 6 and depths 3, 4, 6 in
stages 2 to 6. Stage 2 has five blocks, so there a depth of 6 means 5.
"""
