"""Every configuration composes; a wrong key or value is refused by name."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import pytest
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from experiments import command
from experiments.job import CONF, validated
from experiments.run_folder import model_name
from experiments.workloads import build_space
from jaxmaestro.description import Cluster, DescriptionError, SpatialMap, Sz, TemporalMap
from jaxmaestro.formats.dataflows import parse_directives

GROUPS = ("dataflow", "hw", "model", "sweep")
OPTIONS = sorted(
    f"{path.parent.name}={path.stem}" for group in GROUPS for path in CONF.glob(f"{group}/*.yaml")
)


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_composes(configuration: Callable[..., DictConfig], option: str) -> None:
    group = option.split("=")[0]
    small = [o for o in ("model=alexnet", "dataflow=x_p") if not o.startswith(group)]
    config = validated(configuration(option, *small))
    space = build_space(config)
    assert len(space) == len(space.pairs) * len(space.hardware) > 0
    assert {row.pair for row in space.rows} == set(range(len(space.pairs)))


def test_all_holds_every_other_option(configuration: Callable[..., DictConfig]) -> None:
    config = configuration("model=all", "dataflow=all")
    for group, found in (("model", config.model.networks), ("dataflow", config.dataflow.dataflows)):
        names = {path.stem for path in (CONF / group).glob("*.yaml")} - {"all", "common"}
        assert len(found) == len(names)


def test_repeated_layers_are_one_pair(configuration: Callable[..., DictConfig]) -> None:
    space = build_space(validated(configuration("model=[resnet18,resnet50]", "dataflow=kc_p")))
    used = [row.pair for row in space.rows]
    assert len(space.pairs) == len(set(used)) < len(used) < sum(row.repeat for row in space.rows)


def test_strided_layers_take_the_strided_directives(configuration: Callable[..., DictConfig]) -> None:
    space = build_space(validated(configuration("model=mobilenetv2", "dataflow=yx_p")))
    for layer, dataflow in space.pairs:
        assert len(dataflow.levels) == (1 if layer.stride("Y") > 1 else 2), layer.name


def test_directives_are_read() -> None:
    texts = ["SpatialMap(Sz(R), 1) Y'", "Cluster(Sz(S),P)", "TemporalMap (64,64) C;"]
    read = parse_directives("", texts, "flow")
    assert read.directives == (SpatialMap(Sz("R"), 1, "Y'"), Cluster(Sz("S"), "P"), TemporalMap(64, 64, "C"))
    assert read.name == "flow"


TOY = {"name": "conv2", "type": "CONV", "K": 192, "C": 64, "R": 5, "S": 5, "Y": 31, "X": 31}


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("hw.base.num_pes=0", "hw.base.num_pes is 0"),
        ("hw.grid.num_pes=[8,-1]", "hw.grid.num_pes is -1"),
        ("sweep.chunk=0", "sweep.chunk is 0"),
        ("model.networks.toy.layers.0.stride=0", "model.networks.toy.layers: conv2: stride is 0"),
        ("model.networks.toy.layers.0.C=null", "conv2: CONV without C"),
        ("model.networks.toy.layers.0.M=3", "conv2: CONV has no dimension M"),
        ("model.networks.toy.layers.0.R=99", "conv2: the filter is larger than the input"),
        ("model.networks.toy.layers.0.stride_x=0", "conv2: stride_x is 0"),
        ("model.networks.toy.layers=[]", "model.networks.toy.layers is empty; give it layers or a spec"),
        ("dataflow.dataflows.KC-P.conv=['SpatialMap(1) K']", "cannot read the directive 'SpatialMap(1) K'"),
        ("dataflow.dataflows.KC-P.conv=null", "dataflow.dataflows.KC-P has no directives for CONV"),
    ],
)
def test_values_out_of_range_are_named(
    configuration: Callable[..., DictConfig], override: str, named: str
) -> None:
    with pytest.raises(DescriptionError) as caught:
        ConfigStore.instance().store(name="toy", group="model", node={"networks": {"toy": {"layers": [TOY]}}})
        build_space(validated(configuration("model=toy", override)))
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("hw=eyeris", "Could not find 'hw/eyeris'"),
        ("+sweep.threads=3", "Key 'threads' not in 'SweepConfig' (at sweep.threads)"),
        ("hw.base.num_pes=many", "Value 'many' of type 'str' could not be converted to Integer"),
        ("hw.base.num_pes=-4", "hw.base.num_pes is -4"),
        ("model=3", "'model=3' names no option; Available options in 'model': alexnet; all;"),
        ("hw=null", "'hw=null' names no option; Available options in 'hw': cloud; edge;"),
        ("=3", "no key in the override '=3'"),
        ("dataflow=[x_p,foo]", "Could not load 'dataflow/foo'; Available options in 'dataflow': all; kc_p;"),
        ("model=[alexnet,foo]", "there is no model foo; Available options in 'model': alexnet; all;"),
        ("model=resnet5", "there is no model resnet5; did you mean resnet50 or res"),
        ("model=zoo:resnet5", "the zoo has no network 'resnet5'; did you mean resnet50 or res"),
        ("model=torhc:a.b@1", "there is no model torhc:a.b@1; before the first colon stands torch"),
        ("model=jax:jax.numpy.dot@2xq", "'2xq' in 'jax:jax.numpy.dot@2xq' is no shape; write 1x3x224x224"),
        ("model=jax:jax.numpy.dot@2x3+4x5", "dot cannot be traced on (float32[2,3], float32[4,5])"),
        (
            "model=jax:jax.numpy.tanh@4",
            "model.networks.tanh: jax:jax.numpy.tanh@4 has no layers; jaxmaestro-",
        ),
        ("model.padding=none", "padding is 'none'; choose one of same-as-maestro, exact"),
        ("hydra.run.dir=file/run", "file/run: Not a directory"),
    ],
)
def test_the_command_refuses_in_one_line(tmp_path: Path, override: str, named: str) -> None:
    (tmp_path / "file").touch()
    done = subprocess.run(
        [sys.executable, "-m", "experiments.sweep", override],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(CONF.parent), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")
    assert named in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert not [path for path in tmp_path.glob("outputs/sweep/*")]


def test_a_multirun_lets_go_of_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only when they hold more than a share of the memory maps that Linux gives a process."""
    called: list[bool] = []
    monkeypatch.setattr(jax, "clear_caches", lambda: called.append(True))
    assert not command.release_programs(1.0) and not called
    linux = Path("/proc/self/maps").exists()
    assert command.release_programs(0.0) == linux == bool(called)


def test_the_folder_is_named_after_the_model(configuration: Callable[..., DictConfig]) -> None:
    for chosen, name in (
        ("model=alexnet", "alexnet"),
        ("model=[alexnet,vgg16]", "alexnet+vgg16"),
        ("model=all", "alexnet+bert_base+bert_block+densenet121+"),
    ):
        config = configuration(chosen)
        assert model_name(config).startswith(name) and len(model_name(config)) < 60
    OmegaConf.update(config, "hydra.runtime.choices.model", "all", force_add=True)
    assert model_name(config) == "all"
