"""What every search space can do: sample, encode, and turn architectures into layers and figures."""

from __future__ import annotations

import abc
import functools
from typing import Any, Generic, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxmaestro.description import DescriptionError, Layer
from jaxmaestro.spaces.layers import LayerGrid, Rule, check_rule, layer
from jaxmaestro.spaces.workloads import Workloads

Array = Any
A = TypeVar("A")


class SearchSpace(abc.ABC, Generic[A]):
    """A family of networks. ``A`` is its struct of arrays, one row an architecture.

    A space is a frozen dataclass without state; everything is computed for all
    architectures at once.
    """

    @property
    @abc.abstractmethod
    def cardinalities(self) -> np.ndarray:
        """How many values each choice has, int32 ``[d]``: the columns of :meth:`encode`."""

    @abc.abstractmethod
    def sample(self, seed: int, count: int) -> A:
        """``count`` independent architectures, every choice uniform, drawn with ``jax.random``.

        Architecture i depends on the seed and i alone: a larger sample begins with a smaller one.
        Raises DescriptionError for a count below one.
        """

    @abc.abstractmethod
    def fork_sample(self, count: int) -> A:
        """The architectures that the seed's script draws with its seeds 0 to ``count - 1``."""

    @abc.abstractmethod
    def encode(self, architectures: A) -> np.ndarray:
        """Each choice as its number, int32 ``[n, d]``. Raises DescriptionError as :meth:`layers`."""

    @abc.abstractmethod
    def decode(self, codes: Array) -> A:
        """The architectures of codes ``[n, d]``. Raises DescriptionError for what is no code."""

    @abc.abstractmethod
    def parameters(self, architectures: A, rule: Rule = "fork") -> np.ndarray:
        """Parameters of each architecture, int64 ``[n]``."""

    @abc.abstractmethod
    def _keys(self, architectures: A, rule: Rule) -> np.ndarray:
        """Packed shapes of every slot in the order of execution, int64 ``[n, slots]``, 0: empty."""

    def layers(self, architectures: A, rule: Rule = "fork") -> LayerGrid:
        """Convolutions and linear layers of all architectures, in the order in which they run.

        Raises DescriptionError for an architecture that is not of the space and an unknown rule.
        """
        check_rule(rule)
        return LayerGrid.of(self._keys(architectures, rule))

    def workloads(self, architectures: A, rule: Rule = "fork") -> Workloads:
        """The distinct layers of all architectures and how often each has them; as :meth:`layers`."""
        return self.layers(architectures, rule).workloads()

    def flops(self, architectures: A) -> np.ndarray:
        """Multiply-accumulates of one inference at batch 1, int64 ``[n]``.

        Convolutions and linear layers, padding and dilation as in the network; what papers on
        these spaces call FLOPs.
        """
        grid = self.layers(architectures, "exact")
        return grid.counts @ grid.macs

    def describe(self, architectures: A, index: int, rule: Rule = "fork") -> list[Layer]:
        """The layers of architecture ``index`` in order, each under a name of its own.

        For model files: ``write_model(Network.of(name, layers), path)``. Raises IndexError for
        an architecture that is not there.
        """
        one: A = jax.tree.map(lambda field: np.asarray(field)[index][None], architectures)
        grid = self.layers(one, rule)
        filled = grid.slots[0][grid.slots[0] >= 0]
        return [layer(grid.shapes[shape], f"{number:03d}_") for number, shape in enumerate(filled)]


def check_count(count: int) -> int:
    """A count of architectures; raises DescriptionError for one below 1."""
    if count < 1:
        raise DescriptionError(f"{count} architectures are asked for", fix="ask for 1 or more")
    return count


def uniform(seed: int, count: int, values: np.ndarray) -> np.ndarray:
    """Independent choices among ``values [d]`` each, int32 ``[count, d]``, drawn with ``jax.random``.

    Row i depends on the seed and i alone. A value is likelier than another by less than one in
    2**32 / values. Raises DescriptionError for a count below 1.
    """
    key = jax.random.key(seed)
    starts = range(0, check_count(count), _CHUNK)
    bits = np.concatenate([jax.device_get(_bits(key, start, len(values))) for start in starts])[:count]
    return ((bits.astype(np.uint64) * values.astype(np.uint64)) >> np.uint64(32)).astype(np.int32)


_CHUNK = 1024  # rows drawn at a time: one compiled program for every count


@functools.partial(jax.jit, static_argnums=2)
def _bits(key: Array, start: Array, choices: int) -> Array:
    """Random bits, uint32 ``[_CHUNK, choices]``, of rows ``start`` and those that follow."""
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, start + jnp.arange(_CHUNK))
    return jax.vmap(lambda each: jax.random.bits(each, (choices,), jnp.uint32))(keys)


def check_codes(codes: Array, cardinalities: np.ndarray) -> np.ndarray:
    """Codes as int32 ``[n, d]``; raises DescriptionError for another shape or a choice that is not there."""
    found = np.asarray(codes)
    if found.ndim != 2 or found.shape[1] != len(cardinalities) or found.dtype.kind not in "iu":
        raise DescriptionError(
            f"codes have shape {found.shape} and type {found.dtype}",
            fix=f"give whole numbers [n, {len(cardinalities)}]",
        )
    wrong = (found < 0) | (found >= cardinalities)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise DescriptionError(
            f"choice {column} of architecture {row} is {found[row, column]}",
            fix=f"it must be 0 to {cardinalities[column] - 1}",
        )
    return found.astype(np.int32)
