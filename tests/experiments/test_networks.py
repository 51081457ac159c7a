"""The networks are those of the publications: MACs, layer counts, output sizes, parameters."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from omegaconf import DictConfig

from experiments.job import validated
from experiments.schema import NetworkConfig
from experiments.workloads import network_layers, network_macs
from jaxmaestro.description import LayerType

GetNetwork = Callable[[str], NetworkConfig]


@pytest.fixture
def network(configuration: Callable[..., DictConfig]) -> GetNetwork:
    return lambda name: validated(configuration(f"model={name}")).model.networks[name]


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
    assert network(name).published_gmacs == gmacs
    assert round(network_macs(network(name)) / 1e9, 2) == gmacs
    assert sum(repeat for _, repeat in found) == layers
    total = 0
    for layer, repeat in found:
        filters = 1 if layer.type is LayerType.DSCONV else layer["K"]
        total += repeat * filters * layer["C"] * layer["R"] * layer["S"]
    assert total == weights


def test_transformer_block(network: GetNetwork) -> None:
    tokens, hidden, inner = 512, 768, 3072
    attention = 4 * tokens * hidden**2 + 2 * tokens**2 * hidden
    assert network_macs(network("bert_block")) == attention + 2 * tokens * hidden * inner


@pytest.mark.parametrize("name", ["alexnet", "vgg16", "resnet50", "mobilenetv2"])
def test_inputs_are_what_the_filter_touches(network: GetNetwork, name: str) -> None:
    for layer, _ in network_layers(name, network(name)):
        for axis, window in (("Y", "R"), ("X", "S")):
            assert (layer[axis] - layer[window]) % layer.stride(axis) == 0, layer.name


@pytest.mark.parametrize("name", ["vgg16", "resnet50", "mobilenetv2"])
def test_channels_are_those_of_some_layer_before(network: GetNetwork, name: str) -> None:
    produced = {3}
    for layer, _ in network_layers(name, network(name)):
        if (layer["Y"], layer["X"]) != (1, 1):  # the first fully connected layer sees the flattened map
            assert layer["C"] in produced, layer.name
        produced.add(layer["C"] if layer.type is LayerType.DSCONV else layer["K"])
