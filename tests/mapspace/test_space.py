"""Mapping spaces: what is drawn is legal, means the same in words, and is all there is."""

from __future__ import annotations

import dataclasses
import itertools

import jax
import numpy as np
import pytest

import jaxmaestro as jm
from jaxmaestro.description import DescriptionError, Hardware, Layer, MappedLayer, Network
from jaxmaestro.description.reasons import ILLEGAL, Reason
from jaxmaestro.encoding.encode import encode_hardware
from jaxmaestro.formats import format_mapping, parse_dataflow, parse_mapping
from jaxmaestro.mapspace import Genes, MappingOptions, MappingSpace

HARDWARE = Hardware(num_pes=64, noc_bandwidth=32, hop_latency=1, offchip_bandwidth=16)


def conv(k: int, c: int, y: int, x: int, r: int, stride: int = 1, kind: str = "CONV") -> Layer:
    sizes = {"K": k, "C": c, "Y": y, "X": x, "R": r, "S": r}
    if kind == "DSCONV":
        sizes.pop("K")
    return Layer.of(f"{kind} {k}", kind, sizes, {"Y": stride, "X": stride})


LAYERS = (
    conv(24, 16, 14, 10, 3),
    conv(16, 3, 15, 15, 3, stride=2),
    conv(16, 8, 11, 12, 1, stride=2),
    conv(0, 32, 12, 12, 3, kind="DSCONV"),
    Layer.of("groups", "NGCONV", {"G": 4, "K": 8, "C": 6, "R": 3, "S": 3, "Y": 9, "X": 9}),
    Layer.of("product", "GEMM", {"M": 12, "N": 30, "K": 8}),
    Layer.of("batched", "CONV", {"N": 4, "K": 8, "C": 6, "R": 3, "S": 3, "Y": 9, "X": 9}),
)
NUMPY = np.asarray


def numpy(tree: Genes) -> Genes:
    return jax.tree.map(NUMPY, tree)


def same(one: object, other: object) -> bool:
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.array_equal(NUMPY(a), NUMPY(b)) for a, b in pairs)


def costs_of(space: MappingSpace, genes: Genes, hardware: Hardware = HARDWARE) -> jm.Costs:
    return jm.evaluate_batch(jax.tree.map(NUMPY, space.batch(genes, encode_hardware([hardware]))))


@pytest.mark.parametrize("tiles", ["divisors", "ragged"])
@pytest.mark.parametrize("most", [1, 2, 3])
def test_what_is_drawn_needs_no_repair(tiles: str, most: int) -> None:
    options = MappingOptions(1, most, tiles)  # type: ignore[arg-type]
    space = MappingSpace.of(LAYERS, 64, options)
    genes = space.sample(jax.random.key(most), 60)
    assert genes.shape == (len(LAYERS), 60)
    assert same(genes, space.repair(genes))
    tile, cluster = NUMPY(genes.tile), NUMPY(genes.cluster)
    above = np.concatenate([np.broadcast_to(space.largest[:, None, None], tile[:, :, :1].shape), tile], 2)
    assert ((tile >= 1) & (tile <= above[:, :, :-1])).all()
    if tiles == "divisors":
        assert (above[:, :, :-1] % tile == 0).all()
    assert (cluster.prod(-1) <= 64).all()
    assert {*np.unique(genes.levels).tolist()} == set(range(1, most + 1))


def test_repair_brings_any_numbers_into_the_space() -> None:
    space = MappingSpace.of(LAYERS, 64, MappingOptions(1, 2, "divisors", clusters="powers"))
    wild = jax.tree.map(
        lambda a: jax.random.randint(jax.random.key(a.size), a.shape, -50, 500),
        space.sample(jax.random.key(0), 40),
    )
    genes = space.repair(wild)
    assert same(genes, space.repair(genes))
    assert set(np.unique(genes.cluster).tolist()) <= {1, 2, 4, 8, 16, 32, 64}
    assert (np.sort(NUMPY(genes.order), -1) == np.arange(8)).all()
    assert NUMPY(space.spatial)[np.arange(len(LAYERS))[:, None, None], NUMPY(genes.spatial)].all()
    assert not (costs_of(space, genes).reasons & int(ILLEGAL & ~Reason.TERMINATES)).any()


def test_layers_side_by_side_are_as_each_alone() -> None:
    options = MappingOptions(tiles="divisors")
    both, key = MappingSpace.of(LAYERS[:2], 64, options), jax.random.key(3)
    alone = [MappingSpace.of(layer, 64, options) for layer in LAYERS[:2]]
    keys = jax.random.split(key, 2)
    genes = both.sample(key, 20)
    for row, space in enumerate(alone):
        assert same(genes[row], space.sample(keys[row], 20))
        assert same(costs_of(space, genes[row]), costs_of(both, genes)[20 * row : 20 * row + 20])


def test_64_bit_types_change_nothing() -> None:
    space = MappingSpace.of(LAYERS[0], 64)
    narrow = space.sample(jax.random.key(1), 50)
    with jax.enable_x64(True):
        wide = space.sample(jax.random.key(1), 50)
        assert same(space.repair(wide), narrow)
        assert all(leaf.dtype == np.int32 for leaf in jax.tree.leaves((wide, space.repair(wide))))


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_words_mean_what_the_arrays_mean(layer: Layer) -> None:
    """Directives, also written to a file and read back, have the figures of the table."""
    space = MappingSpace.of(layer, 64, MappingOptions(spatial=("N", "G", "K", "C", "Y", "X", "M", "R")))
    genes = numpy(space.sample(jax.random.key(5), 24))
    costs = costs_of(space, genes)
    flows = [space.dataflow(genes, i) for i in range(24)]
    assert same(costs, jm.evaluate_batch(jm.encode([layer] * 24, flows, [HARDWARE])))
    legal = [i for i in range(24) if not costs.reasons[i] & int(ILLEGAL | Reason.ILLEGAL_FILTER_TILE)]
    network = Network(
        "all", tuple(MappedLayer(dataclasses.replace(layer, name="l"), flows[i]) for i in legal)
    )
    again = jm.evaluate(parse_mapping(format_mapping(network)), HARDWARE).costs
    for field in ("runtime", "energy", "l1_sizes", "l2_sizes", "reasons"):
        assert np.array_equal(getattr(again, field), getattr(costs, field)[legal]), field


def test_most_mappings_are_sound() -> None:
    space = MappingSpace.of(LAYERS, 64, MappingOptions(tiles="divisors"))
    sound = costs_of(space, space.sample(jax.random.key(2), 150)).sound.reshape(len(LAYERS), 150)
    assert (sound.mean(1) > 0.6).all()


@pytest.mark.parametrize(("size", "filter_size"), [(15, 3), (16, 3), (14, 2)])
def test_tiles_that_are_left_out_along_strides_are_unsound(size: int, filter_size: int) -> None:
    """Several outputs of a strided window in a tile: the reference counts those in between, too."""
    layer = conv(4, 4, size, size, filter_size, stride=2)
    flow = "SpatialMap(1,1) K; TemporalMap(1,1) C; TemporalMap({r},{r}) R; TemporalMap({r},{r}) S; "
    flow += "TemporalMap({y},{o}) Y; TemporalMap({x},{p}) X;"
    outputs = (size - filter_size) // 2 + 1
    flows, single = [], []
    for y, x in itertools.product(range(1, outputs + 1), repeat=2):
        text = flow.format(
            r=filter_size, y=2 * y - 2 + filter_size, o=2 * y, x=2 * x - 2 + filter_size, p=2 * x
        )
        flows.append(parse_dataflow(f"Dataflow {{ {text} }}"))
        single.append(y == x == 1)
    sound = jm.evaluate_batch(jm.encode([layer] * len(flows), flows, [HARDWARE])).sound
    assert not (sound & ~np.array(single)).any()


SMALL = (
    (conv(4, 3, 4, 3, 3), MappingOptions(1, 2, "divisors", ("K", "C"), "powers")),
    (conv(3, 1, 5, 3, 3), MappingOptions(1, 2, "ragged", ("K", "Y"), (2, 3))),
    (Layer.of("product", "GEMM", {"M": 2, "N": 3, "K": 2}), MappingOptions(2, 2, "ragged", clusters=(2,))),
    (conv(2, 2, 5, 5, 3, stride=2), MappingOptions(1, 2, "divisors", ("K", "C"), (2,))),
    (conv(2, 1, 4, 3, 3), MappingOptions(1, 2, "ragged", ("K", "R"), (2,))),
)


@pytest.mark.parametrize(("layer", "options"), SMALL)
def test_all_is_the_space(layer: Layer, options: MappingOptions) -> None:
    space = MappingSpace.of(layer, 8, options)
    genes = space.all()
    assert len(genes.levels) == space.size > 50
    assert same(genes, space.repair(genes))
    rows = np.concatenate([leaf.reshape(space.size, -1) for leaf in jax.tree.leaves(genes)], 1)
    assert len(np.unique(rows, axis=0)) == space.size
    # Whatever is drawn costs what one of them costs.
    table = costs_of(space, genes)
    drawn = costs_of(space, space.sample(jax.random.key(0), 300))
    known = {*zip(*(getattr(table, name).tolist() for name in ("runtime", "energy", "reasons")), strict=True)}
    for figures in zip(
        *(getattr(drawn, name).tolist() for name in ("runtime", "energy", "reasons")), strict=True
    ):
        assert figures in known


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"least_levels": 0}, "0 to 2 cluster levels"),
        ({"least_levels": 3}, "3 to 2 cluster levels"),
        ({"most_levels": 4}, "1 to 4 cluster levels"),
        ({"tiles": "odd"}, "'odd'"),
        ({"spatial": ("Q",)}, "'Q'"),
        ({"spatial": ()}, "spatial"),
        ({"clusters": (0,)}, "(0,)"),
        ({"clusters": "odd"}, "'odd'"),
    ],
)
def test_options_that_cannot_be(change: dict[str, object], message: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        MappingOptions(**change)  # type: ignore[arg-type]
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("layer", "pes", "options", "message"),
    [
        (LAYERS[0], 4, MappingOptions(clusters=(8, 16)), "no cluster of"),
        (LAYERS[0], 0, None, "0 PEs"),
        (LAYERS[3], 64, MappingOptions(spatial=("K",)), "none of the dimensions K"),
        (conv(4, 4, 2, 2, 3), 64, None, "empty"),
        ([], 64, None, "no layers"),
    ],
)
def test_empty_spaces(
    layer: Layer | list[Layer], pes: int, options: MappingOptions | None, message: str
) -> None:
    with pytest.raises(DescriptionError) as caught:
        MappingSpace.of(layer, pes, options)
    assert message in str(caught.value)


def test_large_spaces_are_not_listed() -> None:
    with pytest.raises(DescriptionError, match="too many to be listed"):
        MappingSpace.of(LAYERS[0], 64).all()
