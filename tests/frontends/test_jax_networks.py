"""Whole networks through from_jax: MACs against XLA's count, parameters, names, public figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from jaxmaestro.description import Layer
from jaxmaestro.frontends.jax_tracing import from_jax
from tests.frontends import networks

NETWORKS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "resnet50": (networks.ResNet50(), (1, 224, 224, 3)),
    "mobilenetv2": (networks.MobileNetV2(), (1, 224, 224, 3)),
    "encoder": (networks.Encoder(), (2, 384, 768)),
    "unet": (networks.UNet(), (1, 572, 572, 1)),
    "resnext_blocks": (networks.ResNet50(32, 128, (1, 1)), (2, 64, 64, 3)),
}

TRAINED = {
    **NETWORKS,
    "resnet50": (networks.ResNet50(blocks=(1, 1, 1, 1)), (2, 64, 64, 3)),
}  # a block a stage


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


@pytest.mark.parametrize(
    ("module", "size", "gmacs", "parameters"),
    [  # torchvision's figures
        (networks.ResNet50(), 224, 4.09, 25_557_032),
        (networks.ResNet50(32, 128), 224, 4.23, 25_028_904),
        (networks.MobileNetV2(), 224, 0.30, 3_504_872),
        (networks.SqueezeNet(), 224, 0.82, 1_248_424),
    ],
)
def test_published_macs_and_parameters(module: Any, size: int, gmacs: float, parameters: int) -> None:
    workload = from_jax(module, (1, size, size, 3), padding="exact")
    assert workload.macs / 1e9 == pytest.approx(gmacs, abs=0.006)
    assert workload.parameters == parameters
    assert workload.layer_macs == workload.macs
    assert from_jax(module, (1, size, size, 3)).macs == workload.macs


def _sizes(layer: Layer) -> tuple[int, ...]:
    return (*(layer[name] for name in "KCRSYX"), layer.output_stride("Y"))


def test_squeezenet_is_that_of_the_public_model_file() -> None:
    layers = from_jax(networks.SqueezeNet(), (1, 224, 224, 3)).layers
    squeeze = [(16, 96, 54), (16, 128, 54), (32, 128, 54), (32, 256, 27), (48, 256, 27), (48, 384, 27)]
    squeeze += [(64, 384, 27), (64, 512, 13)]
    expected = [(96, 3, 7, 7, 224, 224, 2)]
    for out, inp, size in squeeze:
        expected.append((out, inp, 1, 1, size, size, 1))
        expected += [(4 * out, out, f, f, size, size, 1) for f in (1, 3)]
    expected.append((1000, 512, 1, 1, 13, 13, 1))
    assert [_sizes(layer) for layer in layers] == expected
    assert {layer.type.value for layer in layers} == {"CONV"}


def test_unet_is_that_of_the_public_model_file() -> None:
    layers = from_jax(networks.UNet(), (1, 572, 572, 1)).layers
    rows = [
        572,
        570,
        284,
        282,
        140,
        138,
        68,
        66,
        32,
        30,
        28,
        56,
        54,
        52,
        104,
        102,
        100,
        200,
        198,
        196,
        392,
        390,
        388,
    ]
    assert [layer["Y"] for layer in layers] == rows
    up = [layer for layer in layers if layer.type.value == "TRCONV"]
    # The file has K: 512 in the second one, whose output has 256 channels.
    assert [(layer["K"], layer["C"], layer["R"], layer["Y"]) for layer in up] == [
        (512, 1024, 2, 28),
        (256, 512, 2, 52),
        (128, 256, 2, 100),
        (64, 128, 2, 196),
    ]


def test_names_are_those_of_the_modules() -> None:
    names = [layer.name for layer in from_jax(networks.ResNet50(blocks=(2,)), (1, 32, 32, 3)).layers]
    block = ["reduce", "middle", "expand"]
    assert names[1:4] == [f"ResNet50/stage2_1/{part}" for part in block]
    assert names[0] == "ResNet50/conv1" and names[-1] == "ResNet50/fc"
    assert len(set(names)) == len(names)


def test_gradients_are_named_after_what_they_are_of() -> None:
    workload = from_jax(networks.ResNet50(blocks=(1,)), (1, 32, 32, 3), training=True)
    by_phase = {phase: [e for e in workload.entries if e.phase == phase] for phase in ("forward", "backward")}
    forward = [entry.layer.name for entry in by_phase["forward"]]
    backward = {entry.layer.name for entry in by_phase["backward"]}
    # The first convolution's input has no gradient.
    expected = {f"{name}.grad_weight" for name in forward} | {f"{name}.grad_input" for name in forward[1:]}
    assert backward == expected


def test_training_runs_the_layers_in_training_mode() -> None:
    workload = from_jax(networks.ResNet50(blocks=(1,)), (4, 32, 32, 3), training=True, static={"train": True})
    evaluated = from_jax(networks.ResNet50(blocks=(1,)), (4, 32, 32, 3), training=True)
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


@pytest.mark.parametrize("stacked", [True, False])
def test_llama_70b_needs_no_weights(stacked: bool) -> None:
    before = {id(array) for array in jax.live_arrays()}
    parameters = networks.llama_parameters(80, stacked)
    workload = from_jax(networks.llama, parameters, "int32[1,2048]", parameters=0)
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
