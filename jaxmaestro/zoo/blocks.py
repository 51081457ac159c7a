"""What several networks for images share: convolution with batch norm, pooling, squeeze and excitation.

Functions that make layers are for use inside a compact flax module, whose layers they become. Images are
``[batch, rows, columns, channels]``. Dropout and stochastic depth, which have no products, are left out
of the zoo.
"""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

Activation = Callable[[jax.Array], jax.Array]


def conv_norm(
    x: jax.Array,
    filters: int,
    size: int = 1,
    stride: int = 1,
    *,
    name: str,
    train: bool,
    groups: int = 1,
    act: Activation | None = nn.relu,
) -> jax.Array:
    """Convolution without bias, as many rows as the stride leaves, batch norm, activation."""
    conv = nn.Conv(
        filters,
        (size, size),
        stride,
        padding=size // 2,
        feature_group_count=groups,
        use_bias=False,
        name=name,
    )
    x = nn.BatchNorm(use_running_average=not train, name=f"{name}_norm")(conv(x))
    return x if act is None else act(x)


def squeeze_excite(x: jax.Array, squeezed: int, act: Activation, gate: Activation) -> jax.Array:
    """Channels scaled by two 1x1 layers on their averages (Hu et al. 2018, arXiv:1709.01507)."""
    y = x.mean((1, 2), keepdims=True)
    y = act(nn.Conv(squeezed, (1, 1), name="squeeze")(y))
    return x * gate(nn.Conv(x.shape[-1], (1, 1), name="excite")(y))


def max_pool(x: jax.Array, size: int, stride: int, pad: int = 0, up: bool = False) -> jax.Array:
    """Largest of ``size`` x ``size``; ``up``: windows that reach over the end are taken too."""
    ends = [(pad, pad + (-(n + 2 * pad - size) % stride if up else 0)) for n in x.shape[1:3]]
    pooled: jax.Array = nn.max_pool(x, (size, size), (stride, stride), ends)  # type: ignore[no-untyped-call]
    return pooled


def mean_pool_to(x: jax.Array, size: int) -> jax.Array:
    """Averages of ``size`` x ``size`` parts of nearly one size, which overlap where they must."""
    for axis in (1, 2):
        length = x.shape[axis]
        parts = [(i * length // size, -(-(i + 1) * length // size)) for i in range(size)]
        cut = [jax.lax.slice_in_dim(x, *part, axis=axis) for part in parts]
        x = jnp.concatenate([part.mean(axis, keepdims=True) for part in cut], axis)
    return x
