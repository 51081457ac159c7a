"""GNMT (Wu et al. 2016): eight and eight LSTM layers with attention."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxmaestro.zoo.transformers import Built

State = tuple[jax.Array, jax.Array]


def _step(gates: jax.Array, cell: jax.Array) -> State:
    """Output and cell of an LSTM, of its gates ``[batch, 4 width]`` and the cell before."""
    read, keep, write, show = jnp.split(gates, 4, -1)
    cell = nn.sigmoid(keep) * cell + nn.sigmoid(read) * nn.tanh(write)
    return nn.sigmoid(show) * nn.tanh(cell), cell


def _product(x: jax.Array, y: jax.Array, name: str) -> jax.Array:
    with jax.named_scope(name):
        return x @ y


class LSTM(nn.Module):
    """A layer over all time steps: one product for all inputs, and one a step for the state."""

    width: int = 1024
    backward: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """``[batch, time, width]`` of ``[batch, time, channels]``."""
        inputs = nn.Dense(4 * self.width, name="input")(x)
        kernel = self.param("state", nn.initializers.orthogonal(), (self.width, 4 * self.width))

        def step(state: State, given: jax.Array) -> tuple[State, jax.Array]:
            output, cell = _step(given + _product(state[0], kernel, "state"), state[1])
            return (output, cell), output

        zeros = jnp.zeros((x.shape[0], self.width))
        _, outputs = jax.lax.scan(step, (zeros, zeros), inputs.swapaxes(0, 1), reverse=self.backward)
        return outputs.swapaxes(0, 1)


class Attending(nn.Module):
    """The decoder's first layer, whose inputs have what attention reads for its last output."""

    width: int = 1024

    @nn.compact
    def __call__(self, x: jax.Array, encoded: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Outputs and contexts ``[batch, time, width]``.

        Args:
            x: ``[batch, time, width]``.
            encoded: ``[batch, source time, width]``.
        """
        width, square = self.width, (self.width, self.width)
        keys = nn.Dense(width, name="attention_keys")(encoded)
        start = nn.initializers.lecun_normal()
        query = self.param("attention_query", start, square)
        score = self.param("attention_score", start, (width, 1))
        inputs = self.param("input", start, (2 * width, 4 * width))
        state = self.param("state", nn.initializers.orthogonal(), (width, 4 * width))
        bias = self.param("bias", nn.initializers.zeros, (4 * width,))

        def step(carry: State, given: jax.Array) -> tuple[State, State]:
            hidden = nn.tanh(keys + _product(carry[0], query, "attention_query")[:, None])
            weights = nn.softmax(_product(hidden, score, "attention_score"), 1)
            context = _product(weights.swapaxes(1, 2), encoded, "context")[:, 0]
            gates = _product(jnp.concatenate([given, context], -1), inputs, "input")
            gates = gates + _product(carry[0], state, "state") + bias
            output, cell = _step(gates, carry[1])
            return (output, cell), (output, context)

        zeros = jnp.zeros((x.shape[0], width))
        _, (outputs, contexts) = jax.lax.scan(step, (zeros, zeros), x.swapaxes(0, 1))
        return outputs.swapaxes(0, 1), contexts.swapaxes(0, 1)


class GNMT(nn.Module):
    """Both sides' layers, with residual connections from the third one on; the translation is given."""

    layers: int = 8
    width: int = 1024
    words: int = 32000

    @nn.compact
    def __call__(self, source: jax.Array, target: jax.Array, train: bool = False) -> jax.Array:
        """Logits ``[batch, time, words]`` of the words after those of ``target``."""
        x = nn.Embed(self.words, self.width, name="source")(source)
        forth, back = LSTM(self.width, name="encoder1"), LSTM(self.width, True, name="encoder1_back")
        x = jnp.concatenate([forth(x), back(x)], -1)
        for layer in range(2, self.layers + 1):
            y = LSTM(self.width, name=f"encoder{layer}")(x)
            x = x + y if layer > 2 else y
        encoded = x
        x = nn.Embed(self.words, self.width, name="target")(target)
        x, contexts = Attending(self.width, name="decoder1")(x, encoded)
        for layer in range(2, self.layers + 1):
            y = LSTM(self.width, name=f"decoder{layer}")(jnp.concatenate([x, contexts], -1))
            x = x + y if layer > 2 else y
        return nn.Dense(self.words, name="words")(x)


def gnmt(batch: int, tokens: int) -> Built:
    """GNMT on sentences and translations of ``tokens`` words."""
    return GNMT(), (f"int32[{batch},{tokens}]", f"int32[{batch},{tokens}]")
