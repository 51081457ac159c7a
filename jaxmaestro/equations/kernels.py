"""How XLA is to compile the equations: in blocks of columns, and for a CPU as a few kernels.

XLA runs a program as many small kernels, and those of a loop's body anew at every step. Where each
works on a hundred numbers, starting them takes longer than their work, and what several of them
need is worked out in each. Marked calls compile otherwise (docs/performance.md has what that gains).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax.experimental.xla_metadata import set_xla_metadata

Result = TypeVar("Result")

BLOCK = 128
"""Columns (sub-tiles of tuples) that are walked through their cases side by side on a CPU."""


@dataclasses.dataclass(frozen=True)
class Lowering:
    """Columns that are walked side by side, whether calls are marked, and whether levels are alike.

    ``kernels`` is for programs that are compiled for a CPU as they are: marked calls are not for a
    GPU, nor for what else a user makes of the equations. ``alike`` is for programs that must be compiled
    soon: the top level goes through the same loop as those below it, which are then worked out in full.
    """

    block: int = BLOCK
    kernels: bool = False
    alike: bool = False

    def stage(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """``function(*arguments)``, worked out once and not anew in all that reads its results."""
        if not self.kernels:
            return function(*arguments)
        return set_xla_metadata(jax.jit(function)(*arguments), inlineable="false")

    def kernel(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """``function(*arguments)`` as one kernel, loops and all, which runs on one core.

        It must not sort nor scatter. No argument may be empty.
        """
        if not self.kernels:
            return function(*arguments)
        leaves, structure = jax.tree.flatten(arguments)

        def whole(*leaves: Any) -> Any:
            # A parameter that nothing depends on ends XLA's compiler, and the process with it.
            firsts = [jnp.asarray(leaf).reshape(-1)[:1] != 0 for leaf in leaves]
            return function(*jax.tree.unflatten(structure, leaves)), jnp.concatenate(firsts).sum()

        call = jax.jit(whole)(*leaves)
        found, count = set_xla_metadata(call, inlineable="false", xla_cpu_small_call="true")
        results, structure = jax.tree.flatten(found)
        # It is never more, but XLA cannot know, so it leaves the sum where it is.
        results[0] = jnp.where(count > len(leaves), jnp.zeros_like(results[0]), results[0])
        return jax.tree.unflatten(structure, results)
