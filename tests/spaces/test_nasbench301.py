"""NAS-Bench-301: the seed's 10,000 genotypes, layers against a network played through, refusals.

The digests and sums are of the seed's published tables, not of what this code answers.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from jaxmaestro.description import DescriptionError
from jaxmaestro.spaces import NASBENCH301, OPERATIONS, Genotypes, NASBench301, space
from tests.spaces.figures import digest, plain
from tests.spaces.networks import Recorder, darts

OLD = NASBench301(input_size=16, auxiliary=True)


@pytest.fixture(scope="module")
def seed_genotypes() -> Genotypes:
    return NASBENCH301.fork_sample(10_000)


def cells(genotypes: Genotypes, index: int) -> list[list[tuple[str, int]]]:
    return [
        [
            (OPERATIONS[o], int(i))
            for o, i in zip(
                np.ravel(genotypes.operations[index][c]), np.ravel(genotypes.inputs[index][c]), strict=True
            )
        ]
        for c in range(2)
    ]


def played(network: NASBench301, rule: str, genotypes: Genotypes, index: int) -> Recorder:
    return darts(rule, cells(genotypes, index), network.input_size, network.auxiliary)


def test_seed_genotypes(seed_genotypes: Genotypes) -> None:
    """All 10,000 as drawn by the seed's script, and three of them in full."""
    codes = NASBENCH301.encode(seed_genotypes)
    assert digest(codes) == "0ae767f214b07829"
    normal, reduction = cells(seed_genotypes, 0)
    assert normal[:4] == [("sep_conv_5x5", 0), ("dil_conv_3x3", 1), ("avg_pool_3x3", 2), ("sep_conv_3x3", 1)]
    assert reduction[-2:] == [("avg_pool_3x3", 3), ("sep_conv_5x5", 1)]
    last = [6, 5, 6, 5, 2, 4, 6, 4, 6, 1, 4, 5, 0, 1, 3, 4, 0, 1, 2, 0, 0, 3, 1, 3, 0, 1, 1, 2, 3, 2, 0, 3]
    assert codes[9999].tolist() == last


def test_seed_flops(seed_genotypes: Genotypes) -> None:
    flops = NASBENCH301.flops(seed_genotypes)
    assert digest(flops) == "f2184260c7556b8e"
    assert flops.sum() == 4_586_981_455_872
    assert (flops.min(), np.median(flops), flops.max()) == (233_078_400, 456_999_552, 724_438_656)
    assert flops[[0, 1, 9999]].tolist() == [491_725_440, 538_948_224, 542_404_224]


def test_published_network() -> None:
    """DARTS (second order, V2): 3.349342 million parameters in the authors' code."""
    normal = "sep_conv_3x3 0 sep_conv_3x3 1 sep_conv_3x3 0 sep_conv_3x3 1 sep_conv_3x3 1 skip_connect 0"
    reduction = "max_pool_3x3 0 max_pool_3x3 1 skip_connect 2 max_pool_3x3 1 max_pool_3x3 0 skip_connect 2"
    texts = [normal + " skip_connect 0 dil_conv_3x3 2", reduction + " skip_connect 2 max_pool_3x3 1"]
    words = np.array([text.split() for text in texts])
    operations = np.vectorize(OPERATIONS.index)(words[:, ::2]).reshape(1, 2, 4, 2)
    found = Genotypes(operations, words[:, 1::2].astype(int).reshape(1, 2, 4, 2))
    assert NASBENCH301.parameters(found).tolist() == [3_349_342]
    assert NASBENCH301.flops(found).tolist() == [528_359_040]


@pytest.mark.parametrize("rule", ["fork", "exact"])
@pytest.mark.parametrize("network", [NASBENCH301, OLD], ids=["32", "16 with auxiliary head"])
def test_layers_in_order(network: NASBench301, rule: str, seed_genotypes: Genotypes) -> None:
    """Every layer in its place, and MACs and parameters, of networks played through module by module."""
    macs, parameters = network.flops(seed_genotypes), network.parameters(seed_genotypes)
    for index in (0, 1, 2, 3, 4, 5, 77, 4242, 9999):
        net = played(network, rule, seed_genotypes, index)
        layers = network.describe(seed_genotypes, index, rule)
        assert plain(layers) == net.layers
        assert len({layer.name for layer in layers}) == len(layers)
        assert parameters[index] == net.parameters
        if rule == "exact" and not network.auxiliary:
            assert macs[index] == net.macs == sum(layer.macs for layer in layers)


def test_flops_are_those_without_the_auxiliary_head(seed_genotypes: Genotypes) -> None:
    small = NASBench301(input_size=16)
    few = Genotypes(seed_genotypes.operations[:50], seed_genotypes.inputs[:50])
    assert (OLD.flops(few) == small.flops(few)).all()
    assert (OLD.layers(few).present.sum(1) == small.layers(few).present.sum(1) + 3).all()


def test_other_sizes() -> None:
    network = space("nasbench301", input_size=64, channels=16, depth=8, classes=100)
    assert isinstance(network, NASBench301)
    genotypes = network.sample(3, 4)
    for index in range(4):
        net = darts("exact", cells(genotypes, index), 64, False, 16, 8, 100)
        assert plain(network.describe(genotypes, index, "exact")) == net.layers
        assert network.parameters(genotypes)[index] == net.parameters


def test_sample() -> None:
    """Legal, every value of every choice equally often, and a beginning of a larger sample."""
    genotypes = NASBENCH301.sample(7, 6_000)
    codes = NASBENCH301.encode(genotypes)  # raises for what is not legal
    for column, values in enumerate(NASBENCH301.cardinalities):
        # Six standard deviations: a uniform sampler fails once in some millions of seeds.
        spread = 6 * np.sqrt(6_000 / values * (1 - 1 / values))
        assert (np.abs(np.bincount(codes[:, column], minlength=values) - 6_000 / values) < spread).all()
    assert (NASBENCH301.encode(NASBENCH301.sample(7, 10)) == codes[:10]).all()
    assert (NASBENCH301.encode(NASBENCH301.sample(8, 10)) != codes[:10]).any(1).all()
    back = NASBENCH301.decode(codes)
    assert (back.operations == genotypes.operations).all() and (back.inputs == genotypes.inputs).all()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("operations", 7, "choice 5 of architecture 1 is 7; it must be 0 to 6"),
        ("inputs", -1, "choice 21 of architecture 1 is -1; it must be 0 to 3"),
        ("inputs", 4, "choice 21 of architecture 1 is 4; it must be 0 to 3"),
    ],
)
def test_refused_genotypes(field: str, value: int, message: str) -> None:
    genotypes = NASBENCH301.fork_sample(3)
    array = getattr(genotypes, field).copy()
    array[1, 0, 2, 1] = value
    with pytest.raises(DescriptionError, match=message):
        NASBENCH301.workloads(dataclasses.replace(genotypes, **{field: array}))


def test_refused_inputs_and_sizes() -> None:
    genotypes = NASBENCH301.fork_sample(3)
    twice = genotypes.inputs.copy()
    twice[2, 1, 3] = 2
    with pytest.raises(DescriptionError, match="a node of architecture 2 has one input twice"):
        NASBENCH301.flops(Genotypes(genotypes.operations, twice))
    with pytest.raises(DescriptionError, match="genotypes have fields of shapes"):
        NASBENCH301.flops(Genotypes(genotypes.operations, genotypes.inputs[:2]))
    with pytest.raises(DescriptionError, match="input_size of NAS-Bench-301 is 30"):
        NASBench301(input_size=30)
    with pytest.raises(DescriptionError, match="auxiliary head does not fit an input of 32"):
        space("nasbench301", auxiliary=True)
    with pytest.raises(DescriptionError, match="channels of NAS-Bench-301 are 35"):
        NASBench301(channels=35)
    with pytest.raises(DescriptionError, match="too few"):
        NASBench301(depth=2)
    with pytest.raises(DescriptionError, match="0 architectures"):
        NASBENCH301.sample(0, 0)
    with pytest.raises(DescriptionError, match="rule of layers is 'padded'"):
        NASBENCH301.layers(genotypes, "padded")  # type: ignore[arg-type]
    with pytest.raises(DescriptionError, match="a layer has C 11520; it goes from 0 to 8191"):
        NASBench301(channels=720).layers(genotypes)
