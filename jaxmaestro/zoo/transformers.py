"""Transformers: BERT-base, GPT-2, ViT-B/16. Attention is counted in full, without use of masks."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

Built = tuple[nn.Module, tuple[object, ...]]
"""A network and its inputs' shapes."""


def attention(query: jax.Array, key: jax.Array, value: jax.Array, *, causal: bool) -> jax.Array:
    """Values weighted by the softmax of query times key, ``[batch, tokens, heads, channels]`` as ``query``.

    Args:
        query: ``[batch, tokens, heads, channels]``.
        key, value: ``[batch, all tokens, key heads, channels]``; queries of ``heads / key heads`` heads
            share one of theirs.
        causal: tokens do not see those behind them.
    """
    batch, tokens, heads, channels = query.shape
    shared = (batch, key.shape[2], -1, channels)
    query, key, value = (x.swapaxes(1, 2) for x in (query, key, value))
    with jax.named_scope("scores"):
        scores = query.reshape(shared) @ key.swapaxes(2, 3)
    scores = scores.reshape(batch, heads, tokens, -1) * channels**-0.5
    if causal:
        scores = jnp.where(jnp.tri(tokens, dtype=bool), scores, -jnp.inf)
    weights = jax.nn.softmax(scores)
    with jax.named_scope("context"):
        context = weights.reshape(*shared[:3], weights.shape[-1]) @ value
    return context.reshape(batch, heads, tokens, channels).swapaxes(1, 2)


class Attention(nn.Module):
    """Attention of several heads; ``fused``: one product for query, key and value, as in GPT-2 and ViT."""

    heads: int = 12
    fused: bool = False
    causal: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """``[batch, tokens, width]`` as ``x``."""
        width = x.shape[-1]
        if self.fused:
            parts = jnp.split(nn.Dense(3 * width, name="query_key_value")(x), 3, -1)
        else:
            parts = [nn.Dense(width, name=name)(x) for name in ("query", "key", "value")]
        split = (part.reshape(*x.shape[:-1], self.heads, width // self.heads) for part in parts)
        y = attention(*split, causal=self.causal)
        return nn.Dense(width, name="out")(y.reshape(x.shape))


class Block(nn.Module):
    """Attention and two fully connected layers, with norms before them or after the additions."""

    heads: int = 12
    hidden: int = 3072
    norm_first: bool = False
    fused: bool = False
    causal: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """``[batch, tokens, width]`` as ``x``."""
        attention = Attention(self.heads, self.fused, self.causal, name="attention")
        first, second = nn.LayerNorm(name="norm1"), nn.LayerNorm(name="norm2")

        def mlp(x: jax.Array) -> jax.Array:
            y = nn.gelu(nn.Dense(self.hidden, name="mlp_in")(x))
            return nn.Dense(x.shape[-1], name="mlp_out")(y)

        if self.norm_first:
            x = x + attention(first(x))
            return x + mlp(second(x))
        x = first(x + attention(x))
        return second(x + mlp(x))


class BERT(nn.Module):
    """BERT (Devlin et al. 2019) with its pooler, of base size; no head."""

    blocks: int = 12
    width: int = 768

    @nn.compact
    def __call__(self, tokens: jax.Array, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """``[batch, tokens, width]``, and ``[batch, width]`` from the first token."""
        x = nn.Embed(30522, self.width, name="words")(tokens)
        x = x + nn.Embed(512, self.width, name="positions")(jnp.arange(tokens.shape[1]))
        x = x + nn.Embed(2, self.width, name="segments")(jnp.zeros_like(tokens))
        x = nn.LayerNorm(name="norm")(x)
        for index in range(1, self.blocks + 1):
            x = Block(name=f"block{index}")(x)
        return x, nn.tanh(nn.Dense(self.width, name="pooler")(x[:, 0]))


class GPT2(nn.Module):
    """GPT-2 (Radford et al. 2019) of its smallest size; the output's matrix is that of the embeddings."""

    blocks: int = 12
    width: int = 768

    @nn.compact
    def __call__(self, tokens: jax.Array, train: bool = False) -> jax.Array:
        """Logits ``[batch, tokens, 50257]``."""
        words = nn.Embed(50257, self.width, name="words")
        x = words(tokens) + nn.Embed(1024, self.width, name="positions")(jnp.arange(tokens.shape[1]))
        for index in range(1, self.blocks + 1):
            x = Block(norm_first=True, fused=True, causal=True, name=f"block{index}")(x)
        return words.attend(nn.LayerNorm(name="norm")(x))


class ViT(nn.Module):
    """ViT-B/16 (Dosovitskiy et al. 2021)."""

    blocks: int = 12
    width: int = 768
    patch: int = 16

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Logits ``[batch, 1000]`` of images."""
        sides = (self.patch, self.patch)
        x = nn.Conv(self.width, sides, sides, padding="VALID", name="patches")(x)
        x = x.reshape(x.shape[0], -1, self.width)
        first = self.param("class", nn.initializers.zeros, (1, 1, self.width))
        x = jnp.concatenate([jnp.broadcast_to(first, (x.shape[0], 1, self.width)), x], 1)
        x = x + self.param("positions", nn.initializers.normal(0.02), (1, *x.shape[1:]))
        for index in range(1, self.blocks + 1):
            x = Block(norm_first=True, fused=True, name=f"block{index}")(x)
        return nn.Dense(1000, name="head")(nn.LayerNorm(name="norm")(x)[:, 0])


def bert_base(batch: int, tokens: int) -> Built:
    """BERT-base on tokens."""
    return BERT(), (f"int32[{batch},{tokens}]",)


def gpt2(batch: int, tokens: int) -> Built:
    """GPT-2 on tokens."""
    return GPT2(), (f"int32[{batch},{tokens}]",)


def vit_b16(batch: int, image: int) -> Built:
    """ViT-B/16 on RGB images."""
    return ViT(), ((batch, image, image, 3),)
