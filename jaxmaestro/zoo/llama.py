"""Llama 2 (Touvron et al. 2023) as a function of its parameters, for prompts and for single tokens.

The blocks are one block that is scanned, so that tracing takes as long for 80 of them as for one; its
layers have the number of blocks as their count.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxmaestro.zoo.transformers import attention

Tree = dict[str, Any]
Built = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function, and the shapes of its parameters and inputs."""


@dataclasses.dataclass(frozen=True)
class Size:
    """Blocks, width, width of the hidden layers, heads, heads of keys and values."""

    blocks: int
    width: int
    hidden: int
    heads: int
    key_heads: int
    words: int = 32000

    @property
    def channels(self) -> int:
        """Channels of one head."""
        return self.width // self.heads


SIZES = {
    "7b": Size(32, 4096, 11008, 32, 32),
    "13b": Size(40, 5120, 13824, 40, 40),
    "70b": Size(80, 8192, 28672, 64, 8),
}


def block_shapes(size: Size, *leading: int) -> Tree:
    """Shapes of a block's parameters, in bfloat16; ``leading`` axes in front of all of them."""
    heads, keys = (size.width, size.heads, size.channels), (size.width, size.key_heads, size.channels)
    shapes: dict[str, tuple[int, ...]] = {
        "query": heads,
        "key": keys,
        "value": keys,
        "out": (size.heads, size.channels, size.width),
        "gate": (size.width, size.hidden),
        "up": (size.width, size.hidden),
        "down": (size.hidden, size.width),
        "norm_attention": (size.width,),
        "norm_mlp": (size.width,),
    }
    return {name: _of(*leading, *shape) for name, shape in shapes.items()}


def parameter_shapes(size: Size) -> Tree:
    """Shapes of all parameters; those of the blocks have an axis of the blocks in front."""
    return {
        "embedding": _of(size.words, size.width),
        "blocks": block_shapes(size, size.blocks),
        "norm": _of(size.width),
        "head": _of(size.width, size.words),
    }


def block(x: jax.Array, p: Tree, cache: Tree | None = None) -> tuple[jax.Array, Tree | None]:
    """A block's output, and the cache with the keys and values of ``x`` as its last ones.

    Args:
        x: ``[batch, tokens, width]``.
        p: parameters, see :func:`block_shapes`.
        cache: keys and values ``[batch, length, key heads, channels]``, or None: the tokens are all
            that there are, and none sees those behind it.
    """
    y = norm(x, p["norm_attention"])
    query, key, value = (jnp.einsum("btd,dhk->bthk", y, p[name]) for name in ("query", "key", "value"))
    start = cache["key"].shape[1] - x.shape[1] if cache else 0
    query, key = _turned(query, start), _turned(key, start)
    if cache:
        given = {"key": key, "value": value}
        cache = {
            name: jax.lax.dynamic_update_slice_in_dim(cache[name], given[name], start, 1) for name in given
        }
        key, value = cache["key"], cache["value"]
    with jax.named_scope("blocks"):
        y = attention(query, key, value, causal=cache is None)
    x = x + jnp.einsum("bthk,hkd->btd", y, p["out"])
    y = norm(x, p["norm_mlp"])
    return x + (jax.nn.silu(y @ p["gate"]) * (y @ p["up"])) @ p["down"], cache


def norm(x: jax.Array, scale: jax.Array) -> jax.Array:
    """``x`` over the root of its mean square, scaled."""
    return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-5) * scale


def llama(parameters: Tree, tokens: jax.Array, cache: Tree | None = None) -> tuple[jax.Array, Tree | None]:
    """Logits ``[batch, tokens, words]``, and the cache with these tokens as its last ones.

    ``cache``: as in :func:`block` with an axis of the blocks in front, or None.
    """

    def step(x: jax.Array, given: tuple[Tree, Tree | None]) -> tuple[jax.Array, Tree | None]:
        return block(x, *given)

    x = parameters["embedding"][tokens]
    x, cache = jax.lax.scan(step, x, (parameters["blocks"], cache))
    return norm(x, parameters["norm"]) @ parameters["head"], cache


def prefill(batch: int, tokens: int, size: str) -> Built:
    """A prompt of ``tokens`` tokens, with the logits of all of them."""
    return llama, (parameter_shapes(SIZES[size]), f"int32[{batch},{tokens}]")


def decode(batch: int, cache: int, size: str) -> Built:
    """One token, which sees ``cache`` tokens, itself among them."""
    sizes = SIZES[size]
    kept = _of(sizes.blocks, batch, cache, sizes.key_heads, sizes.channels)
    shapes = (parameter_shapes(sizes), f"int32[{batch},1]", {"key": kept, "value": kept})
    return llama, shapes


def _turned(x: jax.Array, start: int) -> jax.Array:
    """Channels in pairs, turned by angles that grow with the position (Su et al. 2021, arXiv:2104.09864)."""
    positions = jnp.arange(start, start + x.shape[1])[:, None]
    angles = positions * 10000.0 ** -jnp.linspace(0, 1, x.shape[-1] // 2, endpoint=False)
    cos, sin = jnp.cos(angles)[:, None], jnp.sin(angles)[:, None]
    a, b = jnp.split(x, 2, -1)
    return jnp.concatenate([a * cos - b * sin, a * sin + b * cos], -1).astype(x.dtype)


def _of(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.bfloat16)
