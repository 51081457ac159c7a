"""Whole PyTorch models: published figures, other counters, and the other frontends."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from jaxmaestro import zoo
from jaxmaestro.frontends.jax_tracing import from_jax
from tests.frontends import networks
from tests.frontends.agreement import layers_of

torch = pytest.importorskip("torch", reason="the extra [torch] is not installed")
models = pytest.importorskip("torchvision", reason="torchvision is not installed").models

from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from jaxmaestro.frontends.torch_tracing import from_torch  # noqa: E402

PLAIN = {"weights": None}
QUICK = {"weights": None, "init_weights": False}


def _model(name: str) -> Any:
    options = QUICK if name in ("googlenet", "inception_v3") else PLAIN
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return models.get_model(name, **options)


@pytest.mark.parametrize(
    ("name", "size", "gmacs"),
    [
        ("alexnet", 224, 0.714),
        ("vgg16", 224, 15.470),
        ("resnet18", 224, 1.814),
        ("resnet50", 224, 4.089),
        ("resnext50_32x4d", 224, 4.230),
        ("mobilenet_v2", 224, 0.301),
        ("mobilenet_v3_large", 224, 0.217),
        ("mnasnet1_0", 224, 0.314),
        ("efficientnet_b0", 224, 0.386),
        ("squeezenet1_0", 224, 0.819),
        ("googlenet", 224, 1.498),
        ("densenet121", 224, 2.834),
        ("inception_v3", 299, 5.713),
        ("vit_b_16", 224, 17.564),
        ("swin_t", 224, 4.491),
        ("convnext_tiny", 224, 4.456),
    ],
)
def test_published_macs_and_parameters(name: str, size: int, gmacs: float) -> None:
    module = _model(name)
    workload = from_torch(module, (1, 3, size, size), padding="exact")
    assert workload.macs / 1e9 == pytest.approx(gmacs, abs=0.0006)
    assert workload.layer_macs == workload.macs
    assert workload.parameters == sum(p.numel() for p in module.parameters())
    assert not [each for each in workload.unmapped if each.kind == "other"]


ZOO = {
    "alexnet": "alexnet",
    "vgg16": "vgg16",
    "resnet18": "resnet18",
    "resnet50": "resnet50",
    "resnext50_32x4d": "resnext50",
    "mobilenet_v2": "mobilenetv2",
    "mobilenet_v3_large": "mobilenetv3",
    "mnasnet1_0": "mnasnet",
    "efficientnet_b0": "efficientnet_b0",
    "squeezenet1_0": "squeezenet",
    "googlenet": "googlenet",
    "densenet121": "densenet121",
    "vit_b_16": "vit_b16",
}


@pytest.mark.parametrize("name", list(ZOO))
def test_the_layers_are_those_of_the_zoo(name: str) -> None:
    for padding in ("exact", "same-as-maestro"):
        module = _model(name)
        if name == "googlenet":
            module.aux1 = module.aux2 = None
        ours = from_torch(module, (2, 3, 224, 224), padding=padding)
        theirs = zoo.workload(ZOO[name], batch=2, padding=padding)
        assert layers_of(ours) == layers_of(theirs)
        assert ours.parameters == theirs.parameters


def test_training_has_the_layers_that_the_jax_frontend_finds() -> None:
    ours = from_torch(_model("resnet50"), (2, 3, 64, 64), training=True)
    theirs = from_jax(networks.of_zoo("resnet50"), (2, 64, 64, 3), training=True, static={"train": True})

    def convolutions(workload: Any) -> Any:
        found = layers_of(workload, "backward")
        return {key: count for key, count in found.items() if key[0].value != "GEMM"}  # type: ignore[index]

    assert convolutions(ours) == convolutions(theirs) != {}
    assert (ours.macs, ours.effective_macs) == (theirs.macs, theirs.effective_macs)
    names = {e.layer.name for e in ours.entries if e.phase == "backward"}
    forward = [e.layer.name for e in ours.entries if e.phase == "forward"]
    assert names == {f"{name}.grad_weight" for name in forward} | {f"{n}.grad_input" for n in forward[1:]}


# PyTorch's counter forgets the groups in gradients of grouped convolutions: none of these has groups.
@pytest.mark.parametrize("name", ["googlenet", "vit_b_16", "squeezenet1_1"])
def test_flops_of_training_are_those_that_pytorch_counts(name: str) -> None:
    module, size = _model(name), 224 if name == "vit_b_16" else 64
    module.aux_logits = False
    workload = from_torch(module, (2, 3, size, size), training=True, padding="exact")
    x = torch.empty(2, 3, size, size, device="meta")
    module.train()
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        out = module(x)
        torch.autograd.grad([out], list(module.parameters()), [torch.empty_like(out)], allow_unused=True)
    assert 2 * workload.macs == counter.get_total_flops()


def test_a_model_is_left_as_it_was() -> None:
    module = models.get_model("mobilenet_v3_small", **PLAIN)
    module.features.eval()
    state = {name: value.clone() for name, value in module.state_dict().items()}
    modes = [part.training for part in module.modules()]
    for training in (False, True):
        from_torch(module, (2, 3, 64, 64), training=training)
    assert [part.training for part in module.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
    assert all(p.grad is None for p in module.parameters())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())
    assert torch.backends.mha.get_fastpath_enabled()
    assert module(torch.zeros(2, 3, 64, 64)).shape == (2, 1000)


def test_exported_and_wrapped_models() -> None:
    module = models.get_model("squeezenet1_1", **PLAIN).eval()
    plain = from_torch(module, (1, 3, 64, 64))
    exported = from_torch(torch.export.export(module, (torch.zeros(1, 3, 64, 64),)), (1, 3, 64, 64))
    assert [e.layer.name for e in exported.entries] == [e.layer.name for e in plain.entries]
    assert layers_of(exported) == layers_of(plain)
    wrapped = from_torch(torch.nn.DataParallel(module), (1, 3, 64, 64))
    assert wrapped.entries == plain.entries and wrapped.name == "SqueezeNet"


def _exported(name: str) -> Any:
    if name == "transformer":
        return models.VisionTransformer(64, 16, 2, 4, 64, 128)
    if name == "recurrent":
        return torch.nn.Sequential(
            torch.nn.Flatten(1, 2), torch.nn.LSTM(64, 16, 2, batch_first=True, bidirectional=True)
        )
    return models.get_model(name, **(QUICK if name == "googlenet" else PLAIN))


@pytest.mark.parametrize(
    "name", ["squeezenet1_0", "mobilenet_v2", "mnasnet1_0", "googlenet", "transformer", "recurrent"]
)
def test_the_layers_are_those_of_the_onnx_export(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="the extra [onnx] is not installed")
    from jaxmaestro.frontends.onnx_models import from_onnx

    module, path = _exported(name).eval(), tmp_path / f"{name}.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (torch.zeros(1, 3, 64, 64),), path, dynamo=False)
    ours, theirs = from_torch(module, (1, 3, 64, 64)), from_onnx(path)
    assert layers_of(ours) == layers_of(theirs)
    assert (ours.macs, ours.effective_macs) == (theirs.macs, theirs.effective_macs)


def test_a_timm_model_without_weights() -> None:
    timm = pytest.importorskip("timm", reason="timm is not installed")
    with torch.device("meta"):
        module = timm.create_model("vit_tiny_patch16_224")
    workload = from_torch(module, (1, 3, 224, 224))
    assert workload.macs == 1_253_683_200 and workload.parameters == 5_717_416  # 1.26 GMACs by timm
    assert all(p.device.type == "meta" for p in module.parameters())
