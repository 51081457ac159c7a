"""Whole ONNX models: the same layers as the JAX frontend finds in the same networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jaxmaestro.frontends.jax_tracing import from_jax
from jaxmaestro.zoo.transformers import Block
from tests.frontends import networks
from tests.frontends.agreement import layers_of

onnx = pytest.importorskip("onnx", reason="the extra [onnx] is not installed")

from jaxmaestro.frontends.onnx_models import from_onnx  # noqa: E402
from tests.frontends import onnx_networks  # noqa: E402

NETWORKS = {
    "resnet50": (networks.of_zoo("resnet50"), (2, 224, 224, 3), onnx_networks.resnet50, {"batch": 2}),
    "resnext50": (
        networks.of_zoo("resnext50"),
        (1, 224, 224, 3),
        lambda: onnx_networks.resnet50(32, 128),
        {"batch": 1},
    ),
    "mobilenet_v2": (
        networks.of_zoo("mobilenetv2"),
        (1, 224, 224, 3),
        onnx_networks.mobilenet_v2,
        {"batch": 1},
    ),
    "squeezenet": (networks.of_zoo("squeezenet"), (1, 224, 224, 3), onnx_networks.squeezenet, {"batch": 1}),
    "unet": (networks.of_zoo("unet"), (1, 572, 572, 1), onnx_networks.unet, {"batch": 1}),
    "encoder": (Block(), (2, 384, 768), onnx_networks.encoder, {"batch": 2, "tokens": 384}),
}


@pytest.mark.parametrize("name", list(NETWORKS))
def test_the_layers_are_those_that_the_jax_frontend_finds(name: str) -> None:
    module, shape, make, sizes = NETWORKS[name]
    for padding in ("exact", "same-as-maestro"):
        ours = from_onnx(make(), sizes=sizes, padding=padding)
        theirs = from_jax(module, shape, padding=padding)
        assert layers_of(ours) == layers_of(theirs)
        assert (ours.macs, ours.effective_macs) == (theirs.macs, theirs.effective_macs)
        assert not any("shape" in note for note in ours.notes)


@pytest.mark.parametrize(
    ("make", "gmacs", "parameters"),
    [  # torchvision's MACs; biases of convolutions stand where it has scales and shifts
        (onnx_networks.resnet50, 4.09, 25_557_032 - 26_560),
        (onnx_networks.mobilenet_v2, 0.30, 3_504_872 - 17_056),
        (onnx_networks.squeezenet, 0.82, 1_248_424),
    ],
)
def test_published_macs_and_parameters(make: Any, gmacs: float, parameters: int) -> None:
    workload = from_onnx(make(), (1, 3, 224, 224), padding="exact")
    assert workload.macs / 1e9 == pytest.approx(gmacs, abs=0.006)
    assert workload.parameters == parameters
    assert workload.layer_macs == workload.macs


def test_a_file_its_bytes_and_the_model_are_the_same(tmp_path: Path) -> None:
    model = onnx_networks.squeezenet()
    path = tmp_path / "squeeze.onnx"
    path.write_bytes(model.SerializeToString())
    before = model.SerializeToString()
    read = from_onnx(path, (1, 3, 224, 224))
    assert read.name == "squeeze"
    assert read.entries == from_onnx(str(path), sizes={"batch": 1}).entries
    assert read.entries == from_onnx(model.SerializeToString(), (1, 3, 224, 224)).entries
    assert read.entries == from_onnx(model, (1, 3, 224, 224)).entries
    assert model.SerializeToString() == before


def test_external_weights_may_be_missing(tmp_path: Path) -> None:
    model = onnx_networks.squeezenet()
    for weight in model.graph.initializer:
        weight.data_location = onnx.TensorProto.EXTERNAL
        weight.external_data.add(key="location", value="weights.bin")
    path = tmp_path / "squeeze.onnx"
    path.write_bytes(model.SerializeToString())
    assert from_onnx(path, (1, 3, 224, 224)).macs == from_onnx(model, (1, 3, 224, 224)).macs > 8e8


def test_what_is_no_layer_is_listed() -> None:
    workload = from_onnx(onnx_networks.resnet50(), (1, 3, 224, 224))
    listed = {each.name: each for each in workload.unmapped}
    assert listed["Relu"].calls == 49 and listed["Relu"].operations == 9_608_704
    assert listed["MaxPool"].operations == 9 * 64 * 56 * 56
    assert listed["Add"].calls == 16
    assert listed["bias"].calls == 54 and listed["bias"].kind == "elementwise"
    assert listed["Flatten"].operations == 0 and listed["Flatten"].kind == "movement"
    assert listed["GlobalAveragePool"].operations == 2048 * 49
    # Shapes that a graph computes are constants once its inputs are known.
    unet = from_onnx(onnx_networks.unet(), sizes={"batch": 1})
    assert not {"Shape", "Sub", "Div"} & {each.name for each in unet.unmapped}
