"""``model=`` on the command line: names, specs, lists and multiruns."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from experiments.command import CONF
from experiments.model_arguments import split, with_specs
from experiments.run_folder import register_resolver
from experiments.schema import register
from jaxmaestro.description import DescriptionError

NET = "jax:tests.experiments.models.Blocks"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        ("[a,b],c", ["[a,b]", "c"]),
        ("jax:m.f:(1,2)@3,b", ["jax:m.f:(1,2)@3", "b"]),
        ("'a,b',\"c,]\"", ["'a,b'", '"c,]"']),
        ("torch:m.f('x(', n={1: 2, 3: 4}),b", ["torch:m.f('x(', n={1: 2, 3: 4})", "b"]),
    ],
)
def test_commas_inside_a_spec_do_not_part_it(text: str, parts: list[str]) -> None:
    assert split(text) == parts


def networks(*words: str) -> dict[str, str]:
    """Specs of the networks that a command line gives."""
    register()
    register_resolver()
    overrides = with_specs(words, CONF)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides)
    return {str(name): net.spec for name, net in config.model.networks.items()}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("zoo:resnet50", {"resnet50": "zoo:resnet50"}),
        ("zoo:resnet50:image=160:batch=2", {"resnet50": "zoo:resnet50:image=160:batch=2"}),
        (
            "torch:timm.create_model:resnet50@1x3x8x8",
            {"resnet50": "torch:timm.create_model:resnet50@1x3x8x8"},
        ),
        ("a-b/net.v2.onnx@1x3x8x8", {"net_v2": "a-b/net.v2.onnx@1x3x8x8"}),
        ("/a/net.onnx", {"net": "/a/net.onnx"}),
        ("[a-b/net.v2.m,/a/net.m]", {"net_v2": "a-b/net.v2.m", "net": "/a/net.m"}),
        ("größe@2.m", {"gr_e_2": "größe@2.m"}),
        (f"'{NET}:blocks=(1,2)@1x8x8x3'", {"Blocks": f"{NET}:blocks=(1,2)@1x8x8x3"}),
        ("torch:a.make('net, 1', n=(1, 2))@4", {"net_1": "torch:a.make('net, 1', n=(1, 2))@4"}),
        ("[gemms, zoo:gnmt]", {"gemms": "", "gnmt": "zoo:gnmt"}),
        (
            "[ncf,zoo:ncf:batch=2,zoo:ncf:batch=4]",
            {"ncf": "zoo:ncf", "ncf_2": "zoo:ncf:batch=2", "ncf_3": "zoo:ncf:batch=4"},
        ),
        (f"[{NET}:blocks=(1,2)@1x8x8x3,ncf]", {"Blocks": f"{NET}:blocks=(1,2)@1x8x8x3", "ncf": "zoo:ncf"}),
    ],
)
def test_what_a_value_gives(value: str, found: dict[str, str]) -> None:
    assert networks(f"model={value}") == found


def test_a_multirun_has_a_choice_for_each() -> None:
    (word,) = with_specs([f"model=ncf,{NET}:blocks=(1,)@1x8x8x3,[ncf,zoo:dlrm]"], CONF)
    assert word == "model=ncf,jax-tests-experiments-models-Blocks-blocks-1-1x8x8x3,[ncf,zoo-dlrm]"


def test_specs_that_look_alike_are_two_options() -> None:
    (word,) = with_specs(["model=jax:a.b:(1,2)@3,jax:a.b:(1,2)+3,jax:a.b:1:2@3,jax:a.b:(1,2)@3"], CONF)
    assert word == "model=jax-a-b-1-2-3,jax-a-b-1-2-3-2,jax-a-b-1-2-3-3,jax-a-b-1-2-3"
    (word,) = with_specs([f"model=jax:{'a' * 300}.b@3"], CONF)
    assert len(word) < 100


@pytest.mark.parametrize(
    "word", ["hw=edge", "-m", "model=ncf", "model=null", "model.batch=2", "model=glob(*)", "model=3", "=3"]
)
def test_other_words_stay_as_they_are(word: str) -> None:
    assert with_specs([word], CONF) == [word]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("model=resnet5", "there is no model resnet5; did you mean resnet50"),
        ("model=[ncf,nfc]", "there is no model nfc; did you mean ncf"),
        ("model=net.pt", "there is no model net.pt; did you mean unet"),
        ("model=keas:a.b", "before the first colon stands keras"),
        ("model=torch:resnet", "'resnet' in 'torch:resnet' is no MODULE.NAME"),
    ],
)
def test_what_is_no_model_is_refused(word: str, message: str) -> None:
    with pytest.raises(DescriptionError, match=re.escape(message)):
        with_specs([word], CONF)


def test_a_sweep_of_models_from_the_command_line(tmp_path: Path) -> None:
    small = f"{NET}:(2,1)@1x16x16x3"
    grid = ["hw.grid.num_pes=[]", "hw.grid.noc_bandwidth=[]", "hw.grid.offchip_bandwidth=[]"]
    words = ["-m", "dataflow=x_p", *grid, "sweep.pictures=false", f"model=zoo:ncf:batch=2,[gemms,{small}]"]
    done = subprocess.run(
        [sys.executable, "-m", "experiments.sweep", *words],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(CONF.parent), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert f"Blocks ({small}): 5 layers" in done.stdout
    manifests = [json.loads(path.read_text()) for path in tmp_path.glob("outputs/sweep/*/run.json")]
    first, second = sorted((each["config"]["model"]["networks"] for each in manifests), key=len)
    assert first["ncf"]["spec"] == "zoo:ncf:batch=2" and len(first["ncf"]["layers"]) == 4
    assert second["Blocks"]["spec"] == small and second["gemms"]["spec"] == ""
    assert [row["repeat"] for row in second["Blocks"]["layers"]] == [1, 2, 1, 1]
    assert all(each["command"][3:] == words for each in manifests)


def test_a_model_of_a_file(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="the extra [onnx] is not installed")
    from experiments.networks import networks_of
    from experiments.schema import ModelConfig, NetworkConfig
    from tests.frontends.onnx_networks import squeezenet

    path = tmp_path / "net.onnx"
    path.write_bytes(squeezenet().SerializeToString())
    model = ModelConfig({"net": NetworkConfig(spec=f"{path}@1x3x224x224")})
    assert sum(repeat for _, repeat in networks_of(model)["net"]) == 26
