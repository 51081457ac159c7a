"""Networks in flax for the tests of the frontends, as their papers (and torchvision) describe them."""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx


class Bottleneck(nn.Module):
    """A residual block of ResNet v1.5: the stride is on the 3x3 layer."""

    width: int
    stride: int = 1
    groups: int = 1
    base: int = 0

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        inner = self.base or self.width

        def norm() -> nn.BatchNorm:
            return nn.BatchNorm(use_running_average=not train)

        y = nn.relu(norm()(nn.Conv(inner, (1, 1), use_bias=False, name="reduce")(x)))
        grouped = nn.Conv(
            inner,
            (3, 3),
            self.stride,
            padding=1,
            use_bias=False,
            feature_group_count=self.groups,
            name="middle",
        )
        y = nn.relu(norm()(grouped(y)))
        y = norm()(nn.Conv(4 * self.width, (1, 1), use_bias=False, name="expand")(y))
        if x.shape != y.shape:
            shortcut = nn.Conv(4 * self.width, (1, 1), self.stride, use_bias=False, name="shortcut")
            x = norm()(shortcut(x))
        return nn.relu(x + y)


class ResNet50(nn.Module):
    """ResNet50 (He et al. 2016), or ResNeXt50 32x4d with ``groups=32, base=128``."""

    groups: int = 1
    base: int = 0
    blocks: Sequence[int] = (3, 4, 6, 3)

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        x = nn.Conv(64, (7, 7), 2, padding=3, use_bias=False, name="conv1")(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
        x = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
        for stage, blocks in enumerate(self.blocks):
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                name = f"stage{stage + 2}_{block + 1}"
                width, base = 64 * 2**stage, self.base * 2**stage
                x = Bottleneck(width, stride, self.groups, base, name=name)(x, train)
        return nn.Dense(1000, name="fc")(x.mean((1, 2)))


class MobileNetV2(nn.Module):
    """Sandler et al. 2018, width 1."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        def conv(x: jax.Array, filters: int, size: int, stride: int = 1, groups: int = 1) -> jax.Array:
            layer = nn.Conv(
                filters, (size, size), stride, padding=size // 2, feature_group_count=groups, use_bias=False
            )
            return nn.BatchNorm(use_running_average=not train)(layer(x))

        x = nn.relu6(conv(x, 32, 3, 2))
        rows = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2))
        for expand, filters, repeat, first in (*rows, (6, 320, 1, 1)):
            for index in range(repeat):
                stride, inner = (first if index == 0 else 1), expand * x.shape[-1]
                y = x if expand == 1 else nn.relu6(conv(x, inner, 1))
                y = conv(nn.relu6(conv(y, inner, 3, stride, groups=inner)), filters, 1)
                x = x + y if x.shape == y.shape else y
        x = nn.relu6(conv(x, 1280, 1))
        return nn.Dense(1000)(x.mean((1, 2)))


class UNet(nn.Module):
    """Ronneberger et al. 2015: convolutions without padding, transposed ones on the way up."""

    widths: Sequence[int] = (64, 128, 256, 512, 1024)

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        def twice(x: jax.Array, filters: int) -> jax.Array:
            for _ in range(2):
                x = nn.relu(nn.Conv(filters, (3, 3), padding="VALID")(x))
            return x

        left = []
        for filters in self.widths[:-1]:
            x = twice(x, filters)
            left.append(x)
            x = nn.max_pool(x, (2, 2), (2, 2))
        x = twice(x, self.widths[-1])
        for filters, skip in zip(reversed(self.widths[:-1]), reversed(left), strict=True):
            x = nn.ConvTranspose(filters, (2, 2), (2, 2), padding="VALID")(x)
            cut = (skip.shape[1] - x.shape[1]) // 2
            skip = skip[:, cut : cut + x.shape[1], cut : cut + x.shape[2]]
            x = twice(jnp.concatenate([skip, x], -1), filters)
        return nn.Conv(2, (1, 1))(x)


class Encoder(nn.Module):
    """A transformer encoder block with BERT-base sizes by default."""

    width: int = 768
    heads: int = 12
    hidden: int = 3072

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        attention = nn.MultiHeadDotProductAttention(self.heads, dropout_rate=0.1, deterministic=not train)
        x = nn.LayerNorm()(x + attention(x))
        y = nn.Dense(self.width)(nn.gelu(nn.Dense(self.hidden)(x)))
        return nn.LayerNorm()(x + y)


class Mixer(nnx.Module):
    """Convolution, then attention over the pixels, in nnx."""

    def __init__(self, width: int, heads: int, *, rngs: nnx.Rngs) -> None:
        self.patches = nnx.Conv(3, width, (4, 4), (4, 4), padding="VALID", rngs=rngs)
        self.attention = nnx.MultiHeadAttention(heads, width, decode=False, rngs=rngs)
        self.head = nnx.Linear(width, 10, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.patches(x)
        x = x.reshape(x.shape[0], -1, x.shape[-1])
        return self.head(self.attention(x).mean(1))


def llama_parameters(layers: int, stacked: bool) -> dict[str, object]:
    """Shapes of Llama-2-70B's parameters in bfloat16: 80 layers, 8,192 wide, 64 heads, 8 of them keys'."""
    sizes = {
        "query": (8192, 64, 128),
        "key": (8192, 8, 128),
        "value": (8192, 8, 128),
        "out": (64, 128, 8192),
        "gate": (8192, 28672),
        "up": (8192, 28672),
        "down": (28672, 8192),
        "norm_attention": (8192,),
        "norm_mlp": (8192,),
    }

    def of(*shape: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, jnp.bfloat16)

    blocks: object
    if stacked:
        blocks = {name: of(layers, *shape) for name, shape in sizes.items()}
    else:
        blocks = [{name: of(*shape) for name, shape in sizes.items()} for _ in range(layers)]
    return {"embedding": of(32000, 8192), "blocks": blocks, "norm": of(8192), "head": of(8192, 32000)}


def llama(parameters: dict, tokens: jax.Array) -> jax.Array:
    """A Llama-style decoder's logits for a batch of tokens, with the blocks scanned or unrolled."""

    def norm(x: jax.Array, scale: jax.Array) -> jax.Array:
        return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-5) * scale

    def turn(x: jax.Array) -> jax.Array:
        angles = jnp.arange(x.shape[1])[:, None] * 10000.0 ** -jnp.linspace(0, 1, x.shape[-1] // 2)
        cos, sin = jnp.cos(angles)[:, None], jnp.sin(angles)[:, None]
        a, b = jnp.split(x, 2, -1)
        return jnp.concatenate([a * cos - b * sin, a * sin + b * cos], -1).astype(x.dtype)

    def block(x: jax.Array, p: dict) -> tuple[jax.Array, None]:
        y = norm(x, p["norm_attention"])
        query, key, value = (jnp.einsum("btd,dhk->bthk", y, p[name]) for name in ("query", "key", "value"))
        y = jax.nn.dot_product_attention(turn(query), turn(key), value, is_causal=True)
        x = x + jnp.einsum("bthk,hkd->btd", y, p["out"])
        y = norm(x, p["norm_mlp"])
        return x + (jax.nn.silu(y @ p["gate"]) * (y @ p["up"])) @ p["down"], None

    x = parameters["embedding"][tokens]
    if isinstance(parameters["blocks"], list):
        for p in parameters["blocks"]:
            x, _ = block(x, p)
    else:
        x, _ = jax.lax.scan(block, x, parameters["blocks"])
    return norm(x, parameters["norm"]) @ parameters["head"]


class SqueezeNet(nn.Module):
    """SqueezeNet 1.0 (Iandola et al. 2016) as torchvision has it; pooling rounds up."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        def pool(x: jax.Array) -> jax.Array:
            after = (-(x.shape[1] - 3)) % 2
            return nn.max_pool(x, (3, 3), (2, 2), ((0, after), (0, after)))

        def fire(x: jax.Array, squeeze: int, expand: int) -> jax.Array:
            x = nn.relu(nn.Conv(squeeze, (1, 1))(x))
            parts = nn.Conv(expand, (1, 1))(x), nn.Conv(expand, (3, 3), padding=1)(x)
            return nn.relu(jnp.concatenate(parts, -1))

        x = pool(nn.relu(nn.Conv(96, (7, 7), 2, padding="VALID")(x)))
        for squeeze, expand in ((16, 64), (16, 64), (32, 128)):
            x = fire(x, squeeze, expand)
        x = pool(x)
        for squeeze, expand in ((32, 128), (48, 192), (48, 192), (64, 256)):
            x = fire(x, squeeze, expand)
        x = fire(pool(x), 64, 256)
        return nn.relu(nn.Conv(1000, (1, 1))(x)).mean((1, 2))
