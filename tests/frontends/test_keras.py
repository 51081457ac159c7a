"""Keras models through their JAX backend."""

from __future__ import annotations

import os
from typing import Any

import pytest

from jaxmaestro.description import DescriptionError
from jaxmaestro.frontends.jax_tracing import from_jax
from tests.frontends import networks
from tests.frontends.agreement import layers_of

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras", reason="the extra [keras] is not installed")
if keras.backend.backend() != "jax":
    pytest.skip("Keras does not run on JAX here", allow_module_level=True)

from jaxmaestro.frontends.keras_models import from_keras  # noqa: E402


def test_mobilenet_v2_is_that_of_flax() -> None:
    model = keras.applications.MobileNetV2(weights=None)
    workload = from_keras(model, padding="exact")
    assert layers_of(workload) == layers_of(
        from_jax(networks.of_zoo("mobilenetv2"), (1, 224, 224, 3), padding="exact")
    )
    assert workload.macs == 300_774_272 and workload.parameters == 3_504_872
    names = [layer.name for layer in workload.layers]
    assert names[:3] == ["Conv1", "expanded_conv_depthwise", "expanded_conv_project"]
    assert names[-1] == "predictions" and workload.name == model.name


def _small() -> Any:
    return keras.Sequential(
        [
            keras.layers.Embedding(100, 16),
            keras.layers.Bidirectional(keras.layers.LSTM(8, return_sequences=True)),
            keras.layers.GRU(12),
            keras.layers.Dense(3),
        ]
    )


def test_a_model_that_is_not_built_is_built() -> None:
    workload = from_keras(_small(), "int32[2,10]")
    cells = 2 * 10 * 2 * (32 * 16 + 32 * 8)
    assert workload.macs == cells + 10 * 2 * 36 * (16 + 12) + 2 * 12 * 3
    assert workload.layers[-1].name == "dense"


def test_attention_takes_two_arguments() -> None:
    workload = from_keras(keras.layers.MultiHeadAttention(4, 8), (2, 5, 32), (2, 6, 32))
    assert workload.macs == 2 * (5 * 32 * 32 * 2 + 6 * 32 * 32 * 2 + 2 * 5 * 6 * 32)
    assert {"query", "key", "value", "attention_output"} <= {layer.name for layer in workload.layers}


def test_training_and_several_inputs() -> None:
    a, b = keras.Input((8, 8, 4), name="a"), keras.Input((8, 8, 4), name="b")
    x = keras.layers.Conv2DTranspose(8, 3, 2, padding="same", name="up")(keras.layers.Add()([a, b]))
    x = keras.layers.Dropout(0.5)(keras.layers.BatchNormalization()(x))
    x = keras.layers.Conv2D(6, 3, groups=2, name="grouped")(keras.layers.DepthwiseConv2D(3, name="deep")(x))
    model = keras.Model([a, b], keras.layers.Dense(2, name="out")(keras.layers.Flatten()(x)))
    workload = from_keras(model, training=True)
    forward = [e.layer.name for e in workload.entries if e.phase == "forward"]
    assert forward == ["up", "deep", "grouped", "out"]
    backward = {e.layer.name for e in workload.entries if e.phase == "backward"}
    weights = {f"{name}.grad_weight" for name in forward}
    assert backward == weights | {f"{name}.grad_input" for name in forward[1:]}
    kinds = {e.layer.name: e.layer.type.value for e in workload.entries}
    assert [kinds[name] for name in forward] == ["TRCONV", "DSCONV", "NGCONV", "CONV"]
    assert workload.parameters == sum(variable.value.size for variable in model.trainable_variables)
    assert from_keras(model, (2, 8, 8, 4), (2, 8, 8, 4)).macs == 2 * from_keras(model).macs


def test_bad_input_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    cases: list[tuple[Any, tuple[Any, ...], str]] = [
        (3, (), "int is no Keras model; give a keras.Model"),
        (_small(), (), "does not say the shapes of its inputs; give one for each input"),
        (_small(), ((2, -1),), "has a length of -1"),
        (keras.layers.Dense(3), ((2, 8), (2, 8), (1,)), "cannot be"),
        (keras.applications.MobileNetV2(weights=None, include_top=False), (), "with open sizes"),
    ]
    for model, shapes, message in cases:
        with pytest.raises(DescriptionError, match=message) as error:
            from_keras(model, *shapes)
        assert "\n" not in str(error.value)
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(DescriptionError, match="set the environment variable KERAS_BACKEND=jax"):
        from_keras(_small(), (2, 8))
