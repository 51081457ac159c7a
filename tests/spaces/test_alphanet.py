"""AlphaNet: the seed's 9,999 configurations, published networks, layers against a network played through.

The digests and sums are of the seed's published tables, not of what this code answers.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from jaxmaestro.description import DescriptionError
from jaxmaestro.spaces import ALPHANET, ALPHANET_FORK, AlphaNet, Configurations
from tests.spaces.figures import digest, plain
from tests.spaces.networks import Recorder, alphanet

# AttentiveNAS A0 to A6: resolution, width, kernel, expansion, depth; MFLOPs as published.
PUBLISHED = [
    (192, "16 16 24 32 64 112 192 216 1792", "3333333", "1444466", "1333331", 203),
    (224, "16 16 24 32 64 112 192 216 1984", "3335353", "1444466", "1333331", 279),
    (224, "16 16 24 32 64 112 200 224 1984", "3333353", "1454466", "1333341", 317),
    (224, "16 16 24 32 64 112 208 224 1984", "3335333", "1444466", "2334351", 357),
    (256, "16 16 24 32 64 112 192 216 1984", "3335353", "1445466", "1334351", 444),
    (256, "16 16 24 32 72 112 192 216 1792", "3335333", "1454466", "1333461", 491),
    (288, "16 16 24 32 64 112 216 224 1984", "3333353", "1465466", "1334461", 709),
]


@pytest.fixture(scope="module")
def seed_configurations() -> Configurations:
    return ALPHANET_FORK.fork_sample(10_000)


def columns(c: Configurations) -> np.ndarray:
    return np.concatenate([c.resolution[:, None], c.width, c.kernel, c.expansion, c.depth], 1)


def played(rule: str, c: Configurations, index: int) -> Recorder:
    fields = (c.width, c.kernel, c.expansion, np.minimum(c.depth, [2, 5, 6, 6, 8, 8, 2]))
    return alphanet(rule, int(c.resolution[index]), *(field[index].tolist() for field in fields))


def test_seed_configurations(seed_configurations: Configurations) -> None:
    """All 9,999: of 10,000 draws one had been drawn before."""
    found = columns(seed_configurations)
    assert len(seed_configurations) == 9_999
    assert digest(found) == "76861f4f0b68db75"
    assert found[9998].tolist()[10:] == [3, 3, 3, 3, 3, 5, 3, 1, 4, 6, 6, 6, 5, 6, 1, 6, 6, 3, 3, 6, 1]


def test_seed_flops(seed_configurations: Configurations) -> None:
    """The seed's counter adds in float32, module after module, shortcuts at the end of a block.

    The same sum in float32 gives its figure for all 9,999. Ours are whole numbers: equal for
    7,338 of them, 16 or 32 MACs away for the others.
    """
    grid = ALPHANET_FORK.layers(seed_configurations, "exact")
    macs = grid.spread(grid.macs)
    order = np.arange(macs.shape[1])
    order[1:-3] = np.roll(order[1:-3].reshape(-1, 6), -1, 1).ravel()
    counter = np.cumsum(macs[:, order].astype(np.float32), 1, dtype=np.float32)[:, -1].astype(np.int64)
    assert digest(counter) == "028abcd519028c46"
    assert counter.sum() == 5_339_107_949_664
    assert (counter.min(), np.median(counter), counter.max()) == (211_160_576, 514_409_472, 1_128_104_448)
    flops = ALPHANET_FORK.flops(seed_configurations)
    assert np.array_equal(flops, macs.sum(1))
    away, often = np.unique(flops - counter, return_counts=True)
    assert dict(zip(away.tolist(), often.tolist(), strict=True)) == {-32: 207, -16: 1719, 0: 7338, 32: 735}
    assert counter[[0, 1, 9998]].tolist() == [658_957_824, 388_766_848, 324_409_024]


def test_seed_parameters(seed_configurations: Configurations) -> None:
    parameters = ALPHANET_FORK.parameters(seed_configurations)
    assert digest(parameters) == "dfcfb991a7b036ae"
    assert parameters.sum() == 105_331_343_040
    assert (parameters.min(), np.median(parameters), parameters.max()) == (7_883_888, 10_275_472, 14_915_536)
    assert parameters[[0, 1, 9998]].tolist() == [9_847_016, 9_140_544, 11_756_304]


def test_published_networks() -> None:
    numbers = [
        (r, *([int(x) for x in (f.split() if " " in f else f)] for f in fields))
        for r, *fields, _ in PUBLISHED
    ]
    found = Configurations(*(np.array(field) for field in zip(*numbers, strict=True)))
    published = [row[-1] for row in PUBLISHED]
    assert np.round(ALPHANET.flops(found) / 1e6).tolist() == published


@pytest.mark.parametrize("rule", ["fork", "exact"])
@pytest.mark.parametrize("network", [ALPHANET, ALPHANET_FORK], ids=["alphanet", "alphanet_fork"])
def test_layers_in_order(network: AlphaNet, rule: str) -> None:
    """Every layer in its place, and MACs and parameters, of networks played through module by module."""
    configurations = network.sample(5, 40)
    macs = network.flops(configurations)
    parameters = network.parameters(configurations, "exact")
    for index in range(40):
        net = played(rule, configurations, index)
        layers = network.describe(configurations, index, rule)
        assert plain(layers) == net.layers
        assert parameters[index] == net.parameters
        if rule == "exact":
            assert macs[index] == net.macs == sum(layer.macs for layer in layers)


def test_unused_shortcuts_are_what_the_counts_differ_by() -> None:
    """Widths rise at each of the seed variant's stages but the first, so its identities are easily told."""
    configurations = ALPHANET_FORK.sample(1, 200)
    width = configurations.width[:, 1:-1].astype(np.int64)
    depth = np.minimum(configurations.depth, [1, 5, 6, 6, 8, 8, 1])
    identities = (depth - 1) * width**2
    identities[:, 0] += 16 * 16
    differ = ALPHANET_FORK.parameters(configurations) - ALPHANET_FORK.parameters(configurations, "exact")
    assert np.array_equal(differ, identities.sum(1))


def test_depth_beyond_the_stage_is_its_most() -> None:
    """The second stage has five blocks, so a depth of 6 gives what 5 would."""
    six = ALPHANET_FORK.fork_sample(400)
    rows = np.flatnonzero(six.depth[:, 1] == 6)
    four = six.depth.copy()
    four[rows, 1] = 4
    layers = ALPHANET_FORK.layers(six).present.sum(1)
    fewer = ALPHANET_FORK.layers(dataclasses.replace(six, depth=four)).present.sum(1)
    # One block less: expansion, depthwise, projection (no squeeze there).
    assert len(rows) > 50 and (layers[rows] - fewer[rows] == 3).all()


@pytest.mark.parametrize("network", [ALPHANET, ALPHANET_FORK], ids=["alphanet", "alphanet_fork"])
def test_sample(network: AlphaNet) -> None:
    configurations = network.sample(11, 4_000)
    codes = network.encode(configurations)  # raises for what is not legal
    for column, values in enumerate(network.cardinalities):
        # Six standard deviations: a uniform sampler fails once in some millions of seeds.
        spread = 6 * np.sqrt(4_000 / values * (1 - 1 / values)) + 1
        assert (np.abs(np.bincount(codes[:, column], minlength=values) - 4_000 / values) < spread).all()
    assert np.array_equal(columns(network.decode(codes)), columns(configurations))
    assert np.array_equal(columns(network.sample(11, 9)), columns(configurations)[:9])


def test_sizes_of_the_spaces() -> None:
    """Architectures: those of the issue's table, and the seed's 4 * 3^15."""
    assert np.prod(ALPHANET_FORK.cardinalities.astype(object)) == 4 * 3**15
    widths, kernels, expansions = 2 * 2 * 2 * 2 * 2 * 3 * 4 * 2 * 2, 2**7, 3**4
    depths = 2 * 3 * 4 * 4 * 6 * 6 * 2
    assert np.prod(ALPHANET.cardinalities.astype(object)) == 4 * widths * kernels * expansions * depths


def test_refused_configurations() -> None:
    good = ALPHANET.sample(0, 3)
    kernel = good.kernel.copy()
    kernel[2, 3] = 7
    with pytest.raises(
        DescriptionError, match="the kernel of mb4 of architecture 2 is 7; it must be one of 3, 5"
    ):
        ALPHANET.layers(dataclasses.replace(good, kernel=kernel))
    with pytest.raises(DescriptionError, match="the resolution of architecture 0 is 200"):
        ALPHANET.flops(dataclasses.replace(good, resolution=np.array([200, 192, 192])))
    with pytest.raises(DescriptionError, match="fields of shapes"):
        ALPHANET.encode(dataclasses.replace(good, depth=good.depth[:, :6]))
    with pytest.raises(DescriptionError, match="choice 0 of architecture 1 is 4; it must be 0 to 3"):
        ALPHANET.decode(np.array([[0] * 31, [4, *[0] * 30]]))
    with pytest.raises(DescriptionError, match=r"give whole numbers \[n, 31\]"):
        ALPHANET.decode(np.zeros((2, 30), int))
