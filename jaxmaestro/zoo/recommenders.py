"""Recommenders: NCF (its NeuMF) and DLRM."""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxmaestro.zoo.transformers import Built

# Rows of the embedding tables: the values of the 26 categorical features of the Criteo data sets, those
# of the second modulo 40 million, as MLPerf has them.
_KAGGLE = (
    *(1460, 583, 10131227, 2202608, 305, 24, 12517, 633, 3, 93145, 5683, 8351593, 3194),
    *(27, 14992, 5461306, 10, 5652, 2173, 4, 7046547, 18, 15, 286181, 105, 142572),
)
_TERABYTE = (
    *(40000000, 39060, 17295, 7424, 20265, 3, 7122, 1543, 63, 40000000, 3067956, 405282, 10),
    *(2209, 11938, 155, 4, 976, 14, 40000000, 40000000, 40000000, 590152, 12973, 108, 36),
)


def _mlp(x: jax.Array, widths: Sequence[int], name: str) -> jax.Array:
    for index, width in enumerate(widths, 1):
        x = nn.relu(nn.Dense(width, name=f"{name}{index}")(x))
    return x


class NeuMF(nn.Module):
    """He et al. 2017: products of factors of user and item, beside layers on both."""

    users: int = 138_493
    items: int = 26_744
    factors: int = 64
    widths: Sequence[int] = (256, 256, 128, 64)

    @nn.compact
    def __call__(self, users: jax.Array, items: jax.Array, train: bool = False) -> jax.Array:
        """Logits ``[batch, 1]`` of pairs ``[batch]``. ``widths`` begin with the width of the inputs."""

        def embedded(kind: str, width: int) -> list[jax.Array]:
            user = nn.Embed(self.users, width, name=f"{kind}_users")(users)
            return [user, nn.Embed(self.items, width, name=f"{kind}_items")(items)]

        user, item = embedded("factor", self.factors)
        x = jnp.concatenate(embedded("layer", self.widths[0] // 2), -1)
        x = _mlp(x, self.widths[1:], "fc")
        return nn.Dense(1, name="out")(jnp.concatenate([user * item, x], -1))


class DLRM(nn.Module):
    """Naumov et al. 2019: layers on numbers, tables for categories, products of all pairs, layers again."""

    tables: Sequence[int]
    channels: int
    bottom: Sequence[int]
    top: Sequence[int]

    @nn.compact
    def __call__(self, numbers: jax.Array, categories: jax.Array, train: bool = False) -> jax.Array:
        """Logits ``[batch, 1]`` of ``[batch, 13]`` numbers and one value a table ``[batch, tables]``."""
        x = _mlp(numbers, (*self.bottom, self.channels), "bottom")
        found = [
            nn.Embed(rows, self.channels, name=f"table{index}")(categories[:, index - 1])
            for index, rows in enumerate(self.tables, 1)
        ]
        vectors = jnp.concatenate([x, *found], -1).reshape(x.shape[0], -1, self.channels)
        with jax.named_scope("pairs"):
            pairs = vectors @ vectors.swapaxes(1, 2)
        rows, columns = np.tril_indices(vectors.shape[1], -1)
        x = jnp.concatenate([x, pairs[:, rows, columns]], -1)
        return nn.Dense(1, name="out")(_mlp(x, self.top, "top"))


def ncf(batch: int) -> Built:
    """NeuMF of MLPerf's sizes on pairs of users and items of MovieLens-20M."""
    return NeuMF(), (f"int32[{batch}]", f"int32[{batch}]")


def dlrm(batch: int, size: str) -> Built:
    """DLRM of its authors' sizes for Criteo Kaggle, or of MLPerf's for Criteo Terabyte."""
    if size == "kaggle":
        model = DLRM(_KAGGLE, 16, (512, 256, 64), (512, 256))
    else:
        model = DLRM(_TERABYTE, 128, (512, 256), (1024, 1024, 512, 256))
    return model, ((batch, 13), f"int32[{batch},{len(model.tables)}]")
