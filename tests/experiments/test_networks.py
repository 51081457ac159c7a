"""The networks are those of the publications: MACs, layers, parameters; models become layers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from experiments.job import CONF, validated
from experiments.model_arguments import with_specs
from experiments.networks import (
    _traced,
    check_batches,
    network_layers,
    network_macs,
    networks_of,
    plain_model,
    resolved,
    told,
)
from experiments.run_folder import fingerprint, provenance
from experiments.schema import LayerRow, ModelConfig, NetworkConfig
from jaxmaestro import zoo
from jaxmaestro.description import DescriptionError, Layer, LayerType
from jaxmaestro.frontends import specs

Compose = Callable[..., DictConfig]
GetNetwork = Callable[[str], NetworkConfig]
TABLES = sorted(Path(__file__).with_name("tables").glob("*.yaml"))
SMALL = "tests.experiments.models.Blocks:(2,1)@1x16x16x3"


def test_layers_with_and_without_n_are_refused() -> None:
    sizes = {"K": 8, "C": 8, "R": 1, "S": 1, "Y": 8, "X": 8}
    one, other = Layer.of("one", "CONV", {**sizes, "N": 2}), Layer.of("other", "TRCONV", sizes)
    depthwise = Layer.of("depthwise", "DSCONV", {**sizes, "K": 1})
    check_batches({"net": [(one, 1), (depthwise, 1)], "next": [(other, 3)]})
    with pytest.raises(
        DescriptionError, match="other: it has no dimension N, unlike the first CONV layer of net"
    ):
        check_batches({"net": [(one, 1), (other, 1)]})
    with pytest.raises(DescriptionError, match="one: it has a dimension N, unlike the first"):
        check_batches({"net": [(other, 1), (one, 1)]})


def test_layers_of_a_file_that_rows_cannot_describe_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.m"
    layer = "Network net {{\n  Layer A {{ Type: CONV {} Dimensions {{ K: 8, C: 4, R: 3, S: 3, {} }} }}\n}}\n"
    config = ModelConfig({"net": NetworkConfig(spec=str(path))})
    for stride, sizes in (
        ("Stride { X: 2, Y: 2 }", "Y': 8, X': 8"),
        ("Stride { X': 2, Y': 2 }", "Y: 17, X: 17"),
    ):
        path.write_text(layer.format(stride, sizes))
        with pytest.raises(DescriptionError, match=r"net\.m:2: layer A: it states outputs .*; give Y and X"):
            networks_of(config)
        specs.workload_of(str(path))  # where they count
        _traced.cache_clear()
    path.write_text(layer.format("", "Y': 8, X': 8"))
    [(found, count)] = networks_of(config)["net"]
    assert (found["Y"], found["X"], found.macs, count) == (10, 10, 8 * 4 * 9 * 64, 1)
    _traced.cache_clear()
    path.write_text(layer.format("", "Y: 2, X: 8"))
    with pytest.raises(DescriptionError, match=r"net\.m:2: layer A: the filter is larger than the input"):
        networks_of(config)
    _traced.cache_clear()


@pytest.fixture
def network(configuration: Compose) -> GetNetwork:
    return lambda name: validated(configuration(f"model={name}")).model.networks[name]


def shapes(layers: list[tuple[Layer, int]]) -> Counter[object]:
    """How often each shape occurs; a depthwise layer may say K: 1 or leave it out."""
    found = Counter[object]()
    for layer, repeat in layers:
        filters = {"K"} if layer.type is LayerType.DSCONV else set()
        sizes = frozenset((name, size) for name, size in layer.dimensions if name not in filters)
        found[layer.type, sizes, layer.stride("Y"), layer.stride("X")] += repeat
    return found


@pytest.mark.parametrize(
    ("name", "gmacs", "layers", "weights"),
    [
        # Counts of convolutions and fully connected layers, and of their weights without biases
        # and batch norms, from torchvision's model definitions.
        ("alexnet", 0.71, 8, 61_090_496),
        ("vgg16", 15.47, 16, 138_344_128),
        ("resnet50", 4.09, 54, 25_502_912),
        ("mobilenetv2", 0.30, 53, 3_469_760),
    ],
)
def test_published_totals(network: GetNetwork, name: str, gmacs: float, layers: int, weights: int) -> None:
    found = network_layers(name, network(name))
    assert round(network_macs(network(name)) / 1e9, 2) == gmacs
    assert sum(repeat for _, repeat in found) == layers
    total = 0
    for layer, repeat in found:
        filters = 1 if layer.type is LayerType.DSCONV else layer["K"]
        total += repeat * filters * layer["C"] * layer["R"] * layer["S"]
    assert total == weights


@pytest.mark.parametrize("table", TABLES, ids=lambda path: path.stem)
def test_layers_are_those_that_were_written_by_hand(network: GetNetwork, table: Path) -> None:
    rows = OmegaConf.merge(OmegaConf.structured(NetworkConfig), OmegaConf.load(table).networks[table.stem])
    by_hand = OmegaConf.to_object(rows)
    assert isinstance(by_hand, NetworkConfig) and not by_hand.spec
    traced = network_layers(table.stem, network(table.stem))
    assert shapes(traced) == shapes(network_layers(table.stem, by_hand))
    assert by_hand.published_gmacs == pytest.approx(zoo.entry(table.stem).published_gmacs, abs=0.006)


def test_every_network_of_the_zoo_has_a_file_with_its_options() -> None:
    for name in zoo.NAMES:
        networks = OmegaConf.load(CONF / f"model/{name}.yaml").networks
        options = dict(zoo.entry(name).options)
        assert networks == {name: {"spec": f"zoo:{name}", "options": options}}


def test_transformer_block(network: GetNetwork) -> None:
    tokens, hidden, inner = 512, 768, 3072
    attention = 4 * tokens * hidden**2 + 2 * tokens**2 * hidden
    assert network_macs(network("bert_block")) == attention + 2 * tokens * hidden * inner


@pytest.mark.parametrize("name", ["alexnet", "vgg16", "resnet50", "mobilenetv2"])
def test_inputs_are_what_the_filter_touches(network: GetNetwork, name: str) -> None:
    for layer, _ in network_layers(name, network(name)):
        for axis, window in (("Y", "R"), ("X", "S")):
            assert (layer[axis] - layer[window]) % layer.stride(axis) == 0, layer.name


def test_options_are_set_on_the_command_line(configuration: Compose) -> None:
    def macs(*overrides: str) -> dict[str, int]:
        model = validated(configuration(*overrides)).model
        found = networks_of(model).items()
        return {name: sum(layer.macs * n for layer, n in layers) for name, layers in found}

    plain = macs("model=[alexnet,llama_decode]")
    assert macs("model=[alexnet,llama_decode]", "model.batch=2") == {n: 2 * m for n, m in plain.items()}
    # Padding left out, and another size of the input; the decoder has no images.
    assert macs("model=alexnet", "model.padding=same-as-maestro")["alexnet"] < plain["alexnet"]
    smaller = macs("model=[alexnet,llama_decode]", "model.image=63")
    assert smaller["alexnet"] < plain["alexnet"] and smaller["llama_decode"] == plain["llama_decode"]
    assert macs("model=alexnet", "model.networks.alexnet.options.image=63")["alexnet"] == smaller["alexnet"]
    assert 2 < macs("model=alexnet", "model.training=true")["alexnet"] / plain["alexnet"] < 3.1


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (ModelConfig(), "model.networks is empty; choose a model"),
        (ModelConfig({"a": NetworkConfig()}, batch=2), "no network takes model.batch"),
        (ModelConfig({"a": NetworkConfig(spec="zoo:ncf")}, image=2), "no network takes model.image"),
        (ModelConfig({"a": NetworkConfig(spec="zoo:nfc")}), "no network 'nfc'; did you mean ncf"),
        (ModelConfig({"a": NetworkConfig(spec="zoo:ncf", options={"x": 1})}), "ncf has no option x"),
        (
            ModelConfig({"a": NetworkConfig(spec=f"jax:{SMALL}", options={"x": 1})}),
            "from_jax has no option x; its options are parameters",
        ),
        (ModelConfig({"a": NetworkConfig(spec="nothing")}), "'nothing' names no model"),
    ],
)
def test_what_is_no_network_is_refused(model: ModelConfig, message: str) -> None:
    with pytest.raises(DescriptionError, match=message) as error:
        networks_of(model)
    assert "\n" not in str(error.value)


def test_layers_beside_a_spec_are_in_its_place() -> None:
    row = LayerRow("conv", LayerType.CONV, K=8, C=4, R=3, S=1, Y=9, X=9, stride=2, stride_x=1, repeat=3)
    both = NetworkConfig(spec="torch:no.such.model", layers=[row])
    ((layer, repeat),) = network_layers("net", both)
    assert (repeat, layer.stride("Y"), layer.stride("X"), layer["R"]) == (3, 2, 1, 3)


def test_strides_of_both_axes_are_kept() -> None:
    spec = "jax:tests.experiments.models.uneven@1x9x9x4+3x1x4x8"
    ((layer, repeat),) = networks_of(ModelConfig({"net": NetworkConfig(spec=spec)}))["net"]
    assert (repeat, layer.stride("Y"), layer.stride("X")) == (1, 2, 1)


def test_a_run_knows_the_layers_of_its_models(configuration: Compose) -> None:
    settings = configuration(*with_specs([f"model=[gemms,jax:{SMALL}]"], CONF))
    (line,) = told(validated(settings).model)
    assert line.startswith(f"Blocks (jax:{SMALL}): 5 layers of 4 shapes, 0.00 GMACs; ")
    assert "are no layers (" in line
    model = plain_model(settings)
    rows = model["networks"]["Blocks"]["layers"]
    assert [row["repeat"] for row in rows] == [1, 2, 1, 1]
    assert model["networks"]["Blocks"]["spec"] == f"jax:{SMALL}"
    assert provenance(settings, "", "")["config"]["model"] == json.loads(json.dumps(model)) == model
    # What is saved is a configuration of the same run; with other layers it is another run.
    mark = fingerprint(settings)
    settings = resolved(settings)
    assert plain_model(settings) == model and fingerprint(settings) == mark
    settings.model.networks.Blocks.layers[0].K += 1
    assert fingerprint(settings) != mark
