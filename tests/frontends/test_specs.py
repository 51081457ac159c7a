"""Models named by a text."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

import jaxmaestro as jm
from jaxmaestro import zoo
from jaxmaestro.description import DescriptionError
from jaxmaestro.frontends.specs import Spec, is_spec, parse_spec, workload_of, write_described


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("torch:a.b", Spec("torch", "a.b")),
        ("torch:a.b.c@1x3x8x8", Spec("torch", "a.b.c", shapes=("float32[1,3,8,8]",))),
        ("torch:a.b@2x3+int64:1x128", Spec("torch", "a.b", shapes=("float32[2,3]", "int64[1,128]"))),
        ("torch:a.make:net:7:True:x=1.5", Spec("torch", "a.make", ("net", 7, True), (("x", 1.5),))),
        ("torch:a.make('net', n=(1, 2))", Spec("torch", "a.make", ("net",), (("n", (1, 2)),))),
        (
            "torch:a.make(net, kind=big)@4",
            Spec("torch", "a.make", ("net",), (("kind", "big"),), ("float32[4]",)),
        ),
        ("some/folder-1/net.onnx@1x3", Spec("onnx", "some/folder-1/net.onnx", shapes=("float32[1,3]",))),
        ("onnx:net.onnx", Spec("onnx", "net.onnx")),
        ("onnx:net.bin", Spec("onnx", "net.bin")),
        ("folder/net.v2.m", Spec("maestro", "folder/net.v2.m")),
        ("a@1/net@2.onnx@1x3", Spec("onnx", "a@1/net@2.onnx", shapes=("float32[1,3]",))),
        ("a@1/net@2.m", Spec("maestro", "a@1/net@2.m")),
        ("maestro:net.txt", Spec("maestro", "net.txt")),
        ("jax:folder.m@4", Spec("jax", "folder.m", shapes=("float32[4]",))),
        ("zoo:resnet18", Spec("zoo", "resnet18")),
        (
            "zoo:llama_decode:size=13b:cache=7",
            Spec("zoo", "llama_decode", (), (("size", "13b"), ("cache", 7))),
        ),
        ("zoo:resnet18(image=160)", Spec("zoo", "resnet18", (), (("image", 160),))),
    ],
)
def test_the_parts_of_a_spec(text: str, spec: Spec) -> None:
    assert parse_spec(text) == spec
    assert is_spec(text)


@pytest.mark.parametrize("text", ["resnet50", "net.mm", "tensorflow:a.b", "models/resnet"])
def test_other_texts_are_no_specs(text: str) -> None:
    assert not is_spec(text)


@pytest.mark.parametrize(
    "text", ["torch:a.make:net:7@1x3x8x8", "torch:a.b@2x3+int64:1x128", "folder-1/net_2.onnx@1x3"]
)
def test_specs_need_no_quotes_in_hydra(text: str) -> None:
    assert OverridesParser.create().parse_override(f"model={text}").value() == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("torch:", "'torch:' names no model; write FRAMEWORK:MODULE.NAME"),
        ("tensorflow:a.b@1", "names no model"),
        ("torch:resnet@1x3", "'resnet' in 'torch:resnet@1x3' is no MODULE.NAME"),
        ("torch:a.b@1x3xq", "'1x3xq' in 'torch:a.b@1x3xq' is no shape; write 1x3x224x224"),
        ("torch:a.b(open('x'))@1", "cannot read the call"),
        ("jax:jax.numpy.dot", "has no shapes; add them, such as jax:jax.numpy.dot@1x3x224x224"),
        ("jax:jax.numpy.dott@1x2", "jax.numpy has no dott; did you mean dot"),
        ("jax:jaxx.numpy.dot@1x2", "there is no module jaxx; check the name"),
        ("jax:jaxmaestro.zoo.transformers.Block:no=3@1x2", "cannot be made: TypeError"),
        (
            "zoo:",
            "'zoo:' is no network of the zoo with options; give its options, such as zoo:resnet18:image",
        ),
        ("zoo:ncf@1x3", "'zoo:ncf@1x3' is no network of the zoo with options"),
        ("zoo:ncf:2", "'zoo:ncf:2' is no network of the zoo with options"),
        ("zoo:nfc", "the zoo has no network 'nfc'; did you mean ncf"),
        ("zoo:ncf:size=2", "ncf has no option size"),
        ("missing.m", "missing.m: cannot be read"),
        ("net.m@1x3", "'net.m@1x3' takes no shapes; the file has the sizes of its layers"),
        ("missing.onnx", "missing.onnx: cannot be read|onnx is not installed"),
    ],
)
def test_bad_specs_are_one_line(text: str, message: str) -> None:
    with pytest.raises(DescriptionError, match=message) as error:
        workload_of(text)
    assert "\n" not in str(error.value)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    from jaxmaestro.frontends import extras

    def missing(name: str) -> Any:
        if name in ("torch", "keras", "onnx"):
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        return importlib.import_module(name)

    monkeypatch.setattr(extras, "import_module", missing)
    for text, extra in (("torch:a.b@1x3", "torch"), ("keras:a.b", "keras"), ("a.onnx", "onnx")):
        fix = rf"{extra} is not installed; install it with pip install 'jaxmaestro\[{extra}\]'"
        with pytest.raises(DescriptionError, match=fix):
            workload_of(text)


def test_a_jax_module_and_its_files(tmp_path: Path) -> None:
    workload = workload_of("jax:jaxmaestro.zoo.residual.ResNet:blocks=(1,)@1x32x32x3", padding="exact")
    assert workload.name == "ResNet" and len(workload) == 6
    model, mapping = tmp_path / "net.m", tmp_path / "mapped.m"
    write_described(workload, model)
    assert jm.read_model(model).layers == workload.network().layers
    dataflow = jm.Dataflow([jm.TemporalMap(1, 1, "K"), jm.SpatialMap(1, 1, "C")])
    write_described(workload, mapping, dataflow)
    assert [each.dataflow for each in jm.read_mapping(mapping, check=False).layers] == [dataflow] * 6
    empty = workload_of("jax:jax.numpy.tanh@4")
    with pytest.raises(DescriptionError, match="tanh has no layers to write"):
        write_described(empty, model)


def test_a_file_of_maestro(tmp_path: Path) -> None:
    path = tmp_path / "my-net.m"
    path.write_text(
        "Network net {\n"
        "  Layer A { Type: CONV Stride { X: 2, Y: 2 } Dimensions { K: 8, C: 3, R: 3, S: 3, Y: 9, X: 9 } }\n"
        "  Layer B { Type: GEMM Dimensions { M: 4, N: 5, K: 6 } Dataflow { SpatialMap(1,1) K; } }\n"
        "  Layer A { Type: CONV Dimensions { K: 8, C: 8, R: 1, S: 1, Y: 4, X: 4 } }\n"
        "}\n"
    )
    workload = workload_of(str(path), padding="exact")
    assert workload.name == "my_net" and workload.counts.tolist() == [1, 1, 1]
    assert [layer.name for layer in workload.layers] == ["A", "B", "A_2"]
    read = [each.layer for each in jm.read_model(path)]
    assert [layer.shape for layer in workload.layers] == [layer.shape for layer in read]
    assert workload.macs == workload.layer_macs == 8 * 3 * 9 * 16 + 4 * 5 * 6 + 64 * 16
    with pytest.raises(DescriptionError, match="padding is 'none'"):
        workload_of(str(path), padding="none")
    with pytest.raises(DescriptionError, match=r"my-net\.m has no backward pass"):
        workload_of(str(path), training=True)
    write_described(workload, tmp_path / "again.m")
    again = workload_of(str(tmp_path / "again.m"))
    assert again.layers == workload.layers
    path.write_text("Network net {\n  Layer A { Type: CONV Dimensions { K: 8 } }\n}\n")
    with pytest.raises(DescriptionError, match=r"net\.m:2:\d+: layer A"):
        workload_of(str(path))


def test_a_network_of_the_zoo() -> None:
    workload = workload_of("zoo:ncf:batch=4")
    assert workload.name == "ncf" and workload.layers == zoo.workload("ncf", batch=4).layers
    # What is given beside the spec counts; padding is as for other models.
    assert workload_of("zoo:ncf:batch=4", batch=2).macs == workload.macs // 2
    assert workload.style.padding == "same-as-maestro"
    assert workload_of("zoo:ncf", padding="exact").style.padding == "exact"
    with pytest.raises(DescriptionError, match="'zoo:ncf' takes no shapes"):
        workload_of("zoo:ncf", (1, 2))


def test_options_that_a_frontend_does_not_have() -> None:
    with pytest.raises(DescriptionError, match="from_jax has no option image; its options are parameters, "):
        workload_of("jax:jax.numpy.dot@2x3+3x4", image=2)
    with pytest.raises(DescriptionError, match=r"a\.onnx has no backward pass"):
        workload_of("a.onnx", training=True)


def test_a_torch_model_has_no_weights() -> None:
    pytest.importorskip("torch", reason="the extra [torch] is not installed")
    workload = workload_of("torch:torch.nn.Linear:1000000:1000000:bias=False@2x1000000")
    assert workload.parameters == 10**12 and workload.macs == 2 * 10**12 and workload.name == "Linear"
    with pytest.raises(DescriptionError, match=r"torch\.nn\.Linear cannot be made: TypeError"):
        workload_of("torch:torch.nn.Linear@2x3")


class _Trained(Enum):
    BEST = "best"


def trained(width: int = 2, weights: str | None = "imagenet", weights_backbone: Any = _Trained.BEST) -> Any:
    """Stands for a model that would download its weights if nothing is said of them."""
    if weights is not None or weights_backbone is not None:
        raise OSError(f"downloads {weights} {weights_backbone}")
    return lambda x: x @ np.ones((3, width), np.float32)


def test_trained_weights_are_not_downloaded() -> None:
    target = f"jax:{__name__}.trained"
    assert workload_of(f"{target}:5@4x3").macs == workload_of(f"{target}:width=5@4x3").macs == 4 * 3 * 5
    for asked in ("5:mine", "5:weights=mine"):  # what is asked for is not taken away
        with pytest.raises(DescriptionError, match="cannot be made: OSError: downloads mine None"):
            workload_of(f"{target}:{asked}@4x3")


def test_a_keras_application_needs_no_shapes_and_no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("keras", reason="the extra [keras] is not installed")
    import keras

    if keras.backend.backend() != "jax":
        pytest.skip("Keras does not run on JAX here")

    def refuse(*arguments: Any, **keywords: Any) -> None:
        raise AssertionError("downloads")

    monkeypatch.setattr(keras.utils, "get_file", refuse)
    assert workload_of("keras:keras.applications.MobileNetV2", padding="exact").macs == 300_774_272


def test_an_onnx_file(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="the extra [onnx] is not installed")
    from tests.frontends.onnx_networks import squeezenet

    path = tmp_path / "squeeze.onnx"
    path.write_bytes(squeezenet().SerializeToString())
    workload = workload_of(f"{path}@1x3x224x224")
    assert workload.name == "squeeze" and len(workload) == 26
