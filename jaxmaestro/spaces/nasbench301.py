"""NAS-Bench-301: DARTS cells on CIFAR-10 (Liu et al., ICLR 2019; Siems et al., 2020)."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import numpy as np

from jaxmaestro.description import DescriptionError
from jaxmaestro.spaces.layers import Rule, convolution, depthwise, linear
from jaxmaestro.spaces.space import SearchSpace, check_codes, check_count, uniform

Array = Any

OPERATIONS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""Operations by number, in the order of the seed's sampler."""

CELLS = ("normal", "reduction")
NODES = 4
"""Nodes of a cell, each the sum of two edges; their outputs are concatenated."""

_FILTERS = (0, 0, 0, 3, 5, 3, 5)
_SKIP, _SEPARABLE, _DILATED = 2, (3, 4), (5, 6)
_EDGE = 4  # slots of an edge: a separable convolution has four layers


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Genotypes:
    """DARTS architectures: what each edge does and where it comes from.

    Inputs of node j are numbered 0 (the cell before the last), 1 (the last cell), then the
    nodes before it, 2 to j + 1; the two of a node differ.
    """

    operations: Array  # [n, 2 (normal, reduction), 4 nodes, 2 edges], numbers into OPERATIONS
    inputs: Array  # [n, 2, 4, 2]

    def __len__(self) -> int:
        return len(self.operations)


@dataclasses.dataclass(frozen=True)
class NASBench301(SearchSpace[Genotypes]):
    """The networks of NAS-Bench-301: 20 cells, 36 channels, reductions at cells 6 and 13.

    The seed's stored latencies are of an older set-up: ``input_size=16, auxiliary=True``.
    """

    input_size: int = 32
    auxiliary: bool = False  # the auxiliary head of training, which runs after the second reduction
    channels: int = 36
    depth: int = 20
    classes: int = 10

    def __post_init__(self) -> None:
        """Raises DescriptionError for sizes that such a network cannot have."""
        if self.input_size < 4 or self.input_size % 4:
            raise DescriptionError(
                f"input_size of NAS-Bench-301 is {self.input_size}", fix="give a multiple of 4"
            )
        if self.channels < 2 or self.channels % 2:
            raise DescriptionError(
                f"channels of NAS-Bench-301 are {self.channels}", fix="they are halved: give an even number"
            )
        if self.depth < 3 or self.classes < 1:
            raise DescriptionError(
                "depth or classes of NAS-Bench-301 are too few",
                fix="give a depth of 3 or more, a class or more",
            )
        if self.auxiliary and _pooled(self.input_size // 4) != 2:
            raise DescriptionError(
                f"the auxiliary head does not fit an input of {self.input_size}",
                fix="its 2x2 convolution needs one output: input_size 16, 20 or 24",
            )

    @functools.cached_property
    def cardinalities(self) -> np.ndarray:
        """32 choices: of each edge the operation (7), then of each edge the input (2 to 5)."""
        inputs = np.broadcast_to(np.arange(2, 2 + NODES)[:, None], (2, NODES, 2))
        return np.concatenate([np.full(inputs.size, len(OPERATIONS)), inputs.ravel()]).astype(np.int32)

    def encode(self, architectures: Genotypes) -> np.ndarray:
        fields = [np.asarray(architectures.operations), np.asarray(architectures.inputs)]
        n = len(architectures)
        if any(field.shape != (n, 2, NODES, 2) for field in fields):
            raise DescriptionError(
                f"genotypes have fields of shapes {[field.shape for field in fields]}",
                fix="give operations and inputs [n, 2, 4, 2]",
            )
        codes = check_codes(np.concatenate([f.reshape(n, -1) for f in fields], 1), self.cardinalities)
        pairs = codes[:, 16:].reshape(-1, 2)
        if (pairs[:, 0] == pairs[:, 1]).any():
            row = np.flatnonzero(pairs[:, 0] == pairs[:, 1])[0] // 8
            raise DescriptionError(
                f"a node of architecture {row} has one input twice", fix="give each node two different inputs"
            )
        return codes

    def decode(self, codes: Array) -> Genotypes:
        found = check_codes(codes, self.cardinalities).reshape(-1, 2, 2, NODES, 2)
        genotypes = Genotypes(found[:, 0], found[:, 1])
        self.encode(genotypes)
        return genotypes

    def sample(self, seed: int, count: int) -> Genotypes:
        values = self.cardinalities.copy()
        values[17::2] -= 1  # the second input of a node is one of those that are left
        drawn = uniform(seed, count, values)
        first, second = drawn[:, 16::2], drawn[:, 17::2]
        second += second >= first
        return self.decode(drawn)

    def fork_sample(self, count: int) -> Genotypes:
        """Architecture i of NumPy's legacy generator, seeded with i, in the seed's order of draws."""
        operations = np.empty((check_count(count), 2, NODES, 2), np.int32)
        inputs = np.empty_like(operations)
        for i in range(count):
            generator = np.random.RandomState(i)
            for node in range(NODES):
                # As `choice`, which draws these; it has to look at its arguments at each call.
                operations[i, :, node] = generator.randint(0, len(OPERATIONS), 4).reshape(2, 2)
                for cell in range(2):
                    inputs[i, cell, node] = generator.permutation(node + 2)[:2]
        return Genotypes(operations, inputs)

    def parameters(self, architectures: Genotypes, rule: Rule = "fork") -> np.ndarray:
        """Parameters without the auxiliary head, int64 ``[n]``; the same under both rules.

        Every convolution but the depthwise ones is followed by a batch normalisation of two
        parameters a channel; the classifier has a bias.
        """
        space = dataclasses.replace(self, auxiliary=False)
        grid = space.layers(architectures, rule)
        normalised = np.where(grid.shapes[:, 0], 0, 2 * grid.outputs)
        classifier = self.classes - 2 * self.classes
        return grid.counts @ (grid.weights + normalised) + classifier

    def flops(self, architectures: Genotypes) -> np.ndarray:
        """Multiply-accumulates of one inference, int64 ``[n]``: the auxiliary head does not run then."""
        return SearchSpace.flops(dataclasses.replace(self, auxiliary=False), architectures)

    def _keys(self, architectures: Genotypes, rule: Rule) -> np.ndarray:
        codes = self.encode(architectures)
        operations, inputs = codes.reshape(-1, 2, 2, NODES * 2).swapaxes(0, 1)
        n, stem, size = len(codes), 3 * self.channels, self.input_size
        parts: list[np.ndarray] = []

        def fixed(*shapes: Array) -> None:
            parts.append(np.broadcast_to(np.array(shapes, np.int64), (n, len(shapes))))

        fixed(convolution(rule, stem, 3, 3, size, 1, size))
        before, last, channels, reduced = stem, stem, self.channels, False
        for cell in range(self.depth):
            reduction = cell in (self.depth // 3, 2 * self.depth // 3)
            channels *= 2 if reduction else 1
            if reduced:  # the cell before the last is twice as large
                fixed(*_halved(rule, channels, before, 2 * size))
            else:
                fixed(convolution(rule, channels, before, 1, size, 1, size))
            fixed(convolution(rule, channels, last, 1, size, 1, size))
            table = _edges(rule, channels, size, reduction)
            strided = (inputs[:, int(reduction)] < 2) & reduction
            parts.append(table[operations[:, int(reduction)], strided.astype(int)].reshape(n, -1))
            size //= 2 if reduction else 1
            before, last, reduced = last, NODES * channels, reduction
            if self.auxiliary and cell == 2 * self.depth // 3:
                pooled = _pooled(size)
                fixed(
                    convolution(rule, 128, last, 1, pooled, 1, pooled),
                    convolution(rule, 768, 128, 2, pooled, 1, pooled - 1),
                    linear(self.classes, 768),
                )
        fixed(linear(self.classes, last))
        return np.concatenate(parts, 1)


def _pooled(size: int) -> int:
    """Rows after the auxiliary head's 5x5 average pooling (stride 3, padding 2)."""
    return (size + 4 - 5) // 3 + 1


def _halved(rule: Rule, outputs: int, inputs: int, size: int) -> list[Array]:
    """A factorised reduction: two strided 1x1 convolutions, the second on the input less its first row."""
    return [convolution(rule, outputs // 2, inputs, 1, rows, 2, size // 2) for rows in (size, size - 1)]


def _edges(rule: Rule, channels: int, size: int, reduction: bool) -> np.ndarray:
    """Packed shapes of each operation on an edge, int64 ``[7 operations, 2 (stride 1, 2), 4 slots]``.

    ``size``: rows of the cell's inputs. In a reduction cell edges from the cell's inputs
    have stride 2, those from nodes work on its outputs.
    """
    table = np.zeros((len(OPERATIONS), 2, _EDGE), np.int64)
    result = size // 2 if reduction else size
    for strided, (rows, stride) in enumerate([(result, 1), (size, 2)]):
        pointwise = convolution(rule, channels, channels, 1, result, 1, result)
        for operation in (*_SEPARABLE, *_DILATED):
            filter_size = _FILTERS[operation]
            layers = [depthwise(rule, channels, filter_size, rows, stride, result), pointwise]
            if operation in _SEPARABLE:
                layers += [depthwise(rule, channels, filter_size, result, 1, result), pointwise]
            table[operation, strided, : len(layers)] = layers
        if strided:
            table[_SKIP, strided, :2] = _halved(rule, channels, channels, rows)
    return table


NASBENCH301 = NASBench301()
"""The space as the benchmark has it."""
