"""Networks through from_jax: MACs against XLA's count, parameters, names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from jaxmaestro.frontends.jax_tracing import from_jax
from jaxmaestro.zoo import llama
from jaxmaestro.zoo.residual import ResNet
from jaxmaestro.zoo.transformers import Block
from tests.frontends import networks

# Whole networks forward: tests/zoo.
NETWORKS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "encoder": (Block(), (2, 384, 768)),
    "resnext_blocks": (ResNet(32, 128, (1, 1)), (2, 64, 64, 3)),
}

TRAINED = {
    **NETWORKS,
    "resnet50": (ResNet(blocks=(1, 1, 1, 1)), (2, 64, 64, 3)),  # a block a stage
    "mobilenetv2": (networks.of_zoo("mobilenetv2"), (1, 224, 224, 3)),
    "unet": (networks.of_zoo("unet"), (1, 572, 572, 1)),
}


def _flops(fn: Callable[..., Any], *shapes: Any) -> float:
    """XLA's own count for the lowered function, which leaves out products with padding."""
    analysis = jax.jit(fn).lower(*shapes).cost_analysis()
    return analysis["flops"] + analysis.get("transcendentals", 0.0)


def _linen(module: Any, shape: tuple[int, ...]) -> tuple[dict[str, Any], jax.ShapeDtypeStruct]:
    x = jax.ShapeDtypeStruct(shape, jnp.float32)
    return dict(jax.eval_shape(lambda x: module.init(jax.random.key(0), x), x)), x


@pytest.mark.parametrize("name", NETWORKS)
def test_macs_are_those_that_xla_counts(name: str) -> None:
    module, shape = NETWORKS[name]
    workload = from_jax(module, shape)
    flops = _flops(module.apply, *_linen(module, shape))
    assert 2 * workload.effective_macs + workload.operations == pytest.approx(flops, rel=2e-3)
    assert 2 * workload.effective_macs == pytest.approx(flops, rel=0.06)  # the rest is elementwise


@pytest.mark.parametrize("name", TRAINED)
def test_macs_of_training_are_those_that_xla_counts(name: str) -> None:
    module, shape = TRAINED[name]
    variables, x = _linen(module, shape)
    parameters = variables.pop("params")

    def both(parameters: Any, state: Any, x: Any, gradient: Any) -> Any:
        out, pull = jax.vjp(lambda p: module.apply({"params": p, **state}, x), parameters)
        return out, pull(gradient)

    out = jax.eval_shape(module.apply, {"params": parameters, **variables}, x)
    flops = _flops(both, parameters, variables, x, out)
    workload = from_jax(module, shape, training=True, padding="exact")
    assert 2 * workload.effective_macs + workload.operations == pytest.approx(flops, rel=2e-3)
    assert workload.layer_macs == workload.macs


def test_names_are_those_of_the_modules() -> None:
    names = [layer.name for layer in from_jax(ResNet(blocks=(2,)), (1, 32, 32, 3)).layers]
    block = ["reduce", "middle", "expand"]
    assert names[1:4] == [f"ResNet/stage2_1/{part}" for part in block]
    assert names[0] == "ResNet/conv1" and names[-1] == "ResNet/fc"
    assert len(set(names)) == len(names)


def test_gradients_are_named_after_what_they_are_of() -> None:
    workload = from_jax(ResNet(blocks=(1,)), (1, 32, 32, 3), training=True)
    by_phase = {phase: [e for e in workload.entries if e.phase == phase] for phase in ("forward", "backward")}
    forward = [entry.layer.name for entry in by_phase["forward"]]
    backward = {entry.layer.name for entry in by_phase["backward"]}
    # The first convolution's input has no gradient.
    expected = {f"{name}.grad_weight" for name in forward} | {f"{name}.grad_input" for name in forward[1:]}
    assert backward == expected


def test_training_runs_the_layers_in_training_mode() -> None:
    workload = from_jax(ResNet(blocks=(1,)), (4, 32, 32, 3), training=True, static={"train": True})
    evaluated = from_jax(ResNet(blocks=(1,)), (4, 32, 32, 3), training=True)
    assert workload.macs == evaluated.macs
    assert workload.operations > evaluated.operations  # averages over the batch


def test_nnx_module_of_shapes_alone() -> None:
    module = nnx.eval_shape(lambda: networks.Mixer(64, 4, rngs=nnx.Rngs(0)))
    workload = from_jax(module, (2, 32, 32, 3), padding="exact")
    pixels, width = 64, 64
    projections = 4 * pixels * width * width + 2 * pixels * pixels * width
    assert workload.macs == 2 * (pixels * 48 * width + projections + width * 10)
    assert workload.parameters == 48 * width + width + 4 * (width * width + width) + width * 10 + 10
    names = [layer.name for layer in workload.layers]
    assert names[:4] == ["patches", "attention/query", "attention/key", "attention/value"]
    scores = workload.entries[4]
    assert (scores.layer["M"], scores.layer["N"], scores.layer["K"], scores.count) == (64, 64, 16, 8)
    context = workload.entries[5]
    assert (context.layer["M"], context.layer["N"], context.layer["K"], context.count) == (64, 16, 64, 8)
    training = {layer.name for layer in from_jax(module, (2, 32, 32, 3), training=True).layers}
    assert {"attention/query.grad_weight", "attention/query.grad_input", "patches.grad_weight"} <= training
    assert "patches.grad_input" not in training


def _unrolled(parameters: Any, tokens: Any) -> Any:
    """Llama with a list of blocks, which the zoo scans."""
    x = parameters["embedding"][tokens]
    for block in parameters["blocks"]:
        x, _ = llama.block(x, block)
    return llama.norm(x, parameters["norm"]) @ parameters["head"]


@pytest.mark.parametrize("stacked", [True, False])
def test_llama_70b_needs_no_weights(stacked: bool) -> None:
    size = llama.SIZES["70b"]
    before = {id(array) for array in jax.live_arrays()}
    parameters = llama.parameter_shapes(size)
    if not stacked:
        parameters["blocks"] = [llama.block_shapes(size) for _ in range(size.blocks)]
    workload = from_jax(llama.llama if stacked else _unrolled, parameters, "int32[1,2048]", parameters=0)
    assert sum(a.nbytes for a in jax.live_arrays() if id(a) not in before) < 1_000_000
    tokens = 2048
    attention = 2 * 64 * 128 * tokens * tokens
    matrices = 8192 * (2 * 8192 + 2 * 1024 + 3 * 28672)
    assert workload.macs == 80 * (tokens * matrices + attention) + tokens * 8192 * 32000
    assert workload.parameters == 80 * (matrices + 2 * 8192) + 8192 * (2 * 32000 + 1)
    assert len(workload) == (10 if stacked else 80 * 9 + 1)
    assert len(workload.unique()) == 7
    assert workload.unique().macs == workload.macs
    query = workload.layers[0]
    assert query.name == ("blocks/query" if stacked else "blocks/0/query")
    assert dict(query.dimensions) == {"M": tokens, "N": 8192, "K": 8192}
