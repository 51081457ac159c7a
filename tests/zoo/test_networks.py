"""Every network of the zoo against published figures and against XLA's count."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmaestro import zoo
from jaxmaestro.frontends.jax_modules import Model
from jaxmaestro.zoo import llama
from jaxmaestro.zoo.blocks import max_pool, mean_pool_to
from jaxmaestro.zoo.transformers import attention
from tests.zoo.conftest import Zoo

ROUNDED = {"gnmt": 0.011, "dlrm": 0.002}
"""Published parameters that are rounded: how far ours may be off."""

GMACS_OFF = {"bert_base": 0.007, "gnmt": 0.006, "llama_prefill": 1e-5, "gpt2": 0.0}
"""How far MACs may be off where they are not published to the third decimal."""


@pytest.mark.parametrize("name", zoo.NAMES)
def test_published_figures(name: str, traced: Zoo) -> None:
    entry = zoo.entry(name)
    workload = traced(name, **entry.published_options)
    if entry.published_gmacs is not None:
        if name in GMACS_OFF:
            assert workload.macs / 1e9 == pytest.approx(entry.published_gmacs, rel=GMACS_OFF[name])
        else:
            assert round(workload.macs / 1e9, 3) == pytest.approx(entry.published_gmacs, abs=1e-9)
    if entry.published_parameters is not None:
        expected = pytest.approx(entry.published_parameters, rel=ROUNDED.get(name, 0))
        assert workload.parameters == expected
    assert workload.layer_macs == workload.macs
    assert workload.name == name
    assert not [each for each in workload.unmapped if each.kind == "other"]


@pytest.mark.parametrize(
    ("name", "options", "macs", "parameters"),
    [  # sums by hand
        ("unet", {}, 150_428_424_448, 31_030_658),
        ("llama_decode", {"cache": 1}, 32 * (202_375_168 + 2 * 4096) + 4096 * 32000, 6_738_415_616),
        (
            "llama_decode",
            {"cache": 4096, "size": "70b"},
            80 * (855_638_016 + 2 * 8192 * 4096) + 8192 * 32000,
            68_976_648_192,
        ),
        (
            "llama_prefill",
            {"tokens": 16, "size": "13b"},
            16 * (40 * (317_194_240 + 2 * 5120 * 16) + 5120 * 32000),
            13_015_864_320,
        ),
        (
            "gnmt",
            {"tokens": 1},
            8 * 2**20 * (2 + 1.5 + 6) + 12 * 2**20 * 8 + 2 * 2**20 + 2 * 1024 + 32000 * 1024,
            280_859_904,
        ),
        ("ncf", {"batch": 3}, 3 * (256 * 256 + 256 * 128 + 128 * 64 + 128), 31_832_577),
        ("dlrm", {}, 155_136 + 27 * 27 * 16 + 319_232, 33_762_577 * 16 + 155_984 + 320_001),
        (
            "dlrm",
            {"size": "terabyte"},
            170_496 + 27 * 27 * 128 + 479 * 1024 + 1024 * 1536 + 512 * 256 + 256,
            204_184_588 * 128 + 171_392 + 2_197_505,
        ),
        ("googlenet", {"auxiliary": True, "padding": "same-as-maestro"}, 1_506_748_416, 13_004_888),
    ],
)
def test_macs_and_parameters_by_hand(
    name: str, options: dict[str, Any], macs: float, parameters: int, traced: Zoo
) -> None:
    workload = traced(name, **options)
    assert workload.macs == macs
    assert workload.parameters == parameters


def _flops(model: Model) -> float:
    """Operations that XLA counts in the lowered function: it leaves out products with padding."""
    analysis: Any = jax.jit(model.call).lower(model.parameters, model.inputs).cost_analysis()
    return float(analysis["flops"] + analysis.get("transcendentals", 0.0))


@pytest.mark.parametrize("name", [name for name in zoo.NAMES if "llama" not in name])
def test_macs_are_those_that_xla_counts(name: str, traced: Zoo) -> None:
    entry = zoo.entry(name)
    workload = traced(name, **entry.published_options)
    flops = _flops(traced.model(name, **entry.published_options))
    assert flops - workload.operations == pytest.approx(2 * workload.effective_macs, rel=2e-3)


@pytest.mark.parametrize(("name", "options"), [("llama_prefill", {"tokens": 128}), ("llama_decode", {})])
def test_macs_of_scanned_blocks_are_those_that_xla_counts_once(
    name: str, options: dict[str, Any], traced: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    workload, size = traced(name, **options), llama.SIZES["7b"]
    monkeypatch.setitem(llama.SIZES, "7b", dataclasses.replace(size, blocks=1))
    fresh = Zoo()
    one, flops = fresh(name, **options), _flops(fresh.model(name, **options))
    assert flops - one.operations == pytest.approx(2 * one.effective_macs, rel=5e-3)
    counts = [entry.count * (1 if entry.layer.name == "head" else size.blocks) for entry in one.entries]
    assert counts == [entry.count for entry in workload.entries]
    assert [entry.macs for entry in one.entries] == [entry.macs for entry in workload.entries]


def test_llama_70b_allocates_nothing(traced: Zoo) -> None:
    before = {id(array) for array in jax.live_arrays()}
    workload = traced("llama_prefill", size="70b")
    assert sum(array.nbytes for array in jax.live_arrays() if id(array) not in before) < 1_000_000
    assert workload.parameters == 68_976_648_192
    assert [(entry.layer.name, entry.count) for entry in workload.entries[:4]] == [
        ("blocks/query", 80),
        ("blocks/key", 80),
        ("blocks/value", 80),
        ("blocks/scores", 80 * 8),
    ]


def test_sizes_of_inputs(traced: Zoo) -> None:
    # A batch multiplies everything; an image of half the sides has a quarter of the convolutions' work.
    assert traced("alexnet", batch=4).macs == 4 * traced("alexnet").macs
    small, full = traced("vgg16", image=112), traced("vgg16")
    fully = 4096 * (25088 + 4096 + 1000)
    # 7 rows become 3 where images are pooled last, and no convolution is there.
    assert full.macs - fully == 4 * (small.macs - fully)
    assert small.parameters == full.parameters
    patches = traced("vit_b16", image=32)
    assert patches.layers[0]["Y"] == 32 and patches.parameters == 86_567_656 - 192 * 768


def test_layers_without_padding(traced: Zoo) -> None:
    workload = traced("vgg16", padding="same-as-maestro")
    assert workload.macs == traced("vgg16").macs > workload.layer_macs
    assert workload.layers[0]["Y"] == 224 and traced("vgg16").layers[0]["Y"] == 226


@pytest.mark.parametrize("name", ["resnet18", "llama_decode", "ncf"])
def test_training(name: str, traced: Zoo) -> None:
    options = {"batch": 2}
    forward, training = traced(name, **options), traced(name, training=True, **options)
    assert 2.5 * forward.macs < training.macs <= 3 * forward.macs
    assert training.parameters == forward.parameters
    names = {entry.layer.name for entry in training.entries if entry.phase == "backward"}
    last = forward.entries[-1].layer.name
    assert {f"{last}.grad_weight", f"{last}.grad_input"} <= names
    if name == "resnet18":  # averages over the batch
        listed = {each.name: each.operations for each in training.unmapped}
        assert listed["reduce_sum"] > 2 * 8_000_000


@pytest.mark.parametrize(("key_heads", "causal"), [(6, False), (2, True)])
def test_attention_is_that_of_jax(key_heads: int, causal: bool) -> None:
    rng = np.random.default_rng(0)
    args = [rng.normal(size=(2, 5, heads, 8)).astype(np.float32) for heads in (6, key_heads, key_heads)]
    ours, theirs = jax.jit(
        lambda *args: (attention(*args, causal=causal), jax.nn.dot_product_attention(*args, is_causal=causal))
    )(*args)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_token_with_a_cache_is_the_last_of_a_prompt() -> None:
    size = llama.Size(blocks=2, width=16, hidden=24, heads=4, key_heads=2, words=11)
    rng = np.random.default_rng(1)
    parameters = jax.tree.map(
        lambda leaf: rng.normal(scale=0.5, size=leaf.shape).astype(np.float32), llama.parameter_shapes(size)
    )
    tokens: Any = np.array([[3, 1, 4, 1, 5]])

    @jax.jit
    def both(parameters: Any) -> Any:
        prompt, _ = llama.llama(parameters, tokens)
        # What each block keeps of the prompt, but for the last token.
        x, kept = parameters["embedding"][tokens], []
        for index in range(size.blocks):
            p = jax.tree.map(lambda leaf, index=index: leaf[index], parameters["blocks"])
            empty = jnp.zeros((1, tokens.size, size.key_heads, size.channels))
            _, filled = llama.block(x, p, {"key": empty, "value": empty})
            kept.append(jax.tree.map(lambda leaf: leaf.at[:, -1].set(0.0), filled))
            x, _ = llama.block(x, p)
        cache = jax.tree.map(lambda *leaves: jnp.stack(leaves), *kept)
        token, after = llama.llama(parameters, tokens[:, -1:], cache)
        return prompt, token, cache, after

    prompt, token, cache, after = both(parameters)
    np.testing.assert_allclose(token[0, 0], prompt[0, -1], rtol=1e-4, atol=1e-5)
    for name in ("key", "value"):
        np.testing.assert_array_equal(after[name][:, :, :-1], cache[name][:, :, :-1])
        assert np.all(after[name][:, :, -1] != 0)


def test_pooling() -> None:
    x = np.arange(2 * 7 * 7, dtype=np.float32).reshape(2, 7, 7, 1)

    @jax.jit
    def pooled(x: Any) -> Any:
        largest = max_pool(x, 2, 2), max_pool(x, 2, 2, up=True), max_pool(x, 3, 2, 1)
        return largest, mean_pool_to(x, 7), mean_pool_to(x, 4), mean_pool_to(x[:, :1, :1], 3)

    largest, same, four, wide = pooled(x)
    assert [each.shape[1] for each in largest] == [3, 4, 4]
    assert largest[1][1, -1, -1, 0] == 97.0
    np.testing.assert_array_equal(same, x)
    # Four parts of seven: rows 0-1, 1-3, 3-5, 5-6, and columns alike.
    np.testing.assert_allclose(four[0, :, 0, 0], [0.5 + 7 * row for row in (0.5, 2, 4, 5.5)])
    assert wide.shape == (2, 3, 3, 1)
