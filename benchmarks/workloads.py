"""What the benchmarks evaluate: named dataflows on public networks, random mappings, many accelerators."""

from __future__ import annotations

import itertools
from random import Random

import numpy as np
from hydra import compose, initialize_config_dir

import jaxmaestro as jm
from experiments.job import CONF, validated
from experiments.run_folder import register_resolver
from experiments.schema import register
from experiments.workloads import build_space
from jaxmaestro.description.reasons import ILLEGAL, Reason

DATAFLOWS = ("kc_p", "yr_p", "yx_p", "x_p")
"""KC-P, YR-P, YX-P and X-P on the layers of ResNet50, VGG16 and MobileNetV2."""

POINTS = [
    jm.Hardware(num_pes=pes, noc_bandwidth=noc, hop_latency=1, offchip_bandwidth=off)
    for pes, noc, off in itertools.product(range(64, 1088, 4), (16, 64, 300, 1000), (8, 50, 200))
]
"""3,072 accelerators, 12 of each number of PEs."""

MANY_POINTS = [
    jm.Hardware(num_pes=pes, noc_bandwidth=noc, hop_latency=1, offchip_bandwidth=off)
    for pes, noc, off in itertools.product(
        (16, 32, 64, 128, 168, 256, 384, 512, 768, 1024),
        (8, 16, 32, 64, 128, 256, 300, 512, 768, 1000),
        (8, 25, 50, 100, 150, 200, 250, 300, 325, 350),
    )
]
"""1,000 accelerators, 100 of each number of PEs."""

ONE_POINT = [jm.Hardware(num_pes=256, noc_bandwidth=300, hop_latency=1, offchip_bandwidth=50)]

Pairs = list[tuple[jm.Layer, jm.Dataflow]]


def named_pairs(dataflow: str) -> Pairs:
    """The distinct layers of the networks under a dataflow of conf/."""
    register()
    register_resolver()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", [f"dataflow={dataflow}", "model=[resnet50,vgg16,mobilenetv2]"])
    return list(dict.fromkeys(build_space(validated(config)).pairs))


def gamma_pairs(count: int, seed: int = 0) -> Pairs:
    """Random two-level mappings as GAMMA encodes them, on the convolutions of the networks.

    At each level any order, any spatial dimension and any tile sizes (those of the
    second level within the first's), filters whole. Only mappings that have figures:
    the binary ends at the first one that has none.
    """
    rng = Random(seed)
    layers = [layer for layer, _ in named_pairs("kc_p") if layer.type.value == "CONV"]
    found: Pairs = []
    while len(found) < count:
        pairs = [_gamma_pair(rng, rng.choice(layers)) for _ in range(2 * count)]
        costs = jm.evaluate_batch(jm.encode_pairs(*zip(*pairs, strict=True), ONE_POINT))
        good = (np.asarray(costs.reasons) & int(ILLEGAL | Reason.UNDEFINED)) == 0
        found += [pair for pair, fine in zip(pairs, good, strict=True) if fine]
    return found[:count]


def _gamma_pair(rng: Random, layer: jm.Layer) -> tuple[jm.Layer, jm.Dataflow]:
    sizes = layer.input_sizes
    limits = {"K": sizes["K"], "C": sizes["C"]}
    for axis, window in (("Y", "R"), ("X", "S")):
        limits[f"{axis}'"] = (sizes[axis] - sizes[window]) // layer.stride(axis) + 1
    directives: list[jm.Directive] = []
    for level in range(2):
        if level:
            directives.append(jm.Cluster(rng.choice((2, 4, 8, 16, 32))))
        order = [*limits, "R", "S"]
        rng.shuffle(order)
        spatial = rng.choice(list(limits))
        for name in order:
            if name in "RS":
                directives.append(jm.TemporalMap(sizes[name], sizes[name], name))
                continue
            size = rng.randint(1, limits[name])
            kind = jm.SpatialMap if name == spatial else jm.TemporalMap
            directives.append(kind(size, size, name))
            limits[name] = size
    return layer, jm.Dataflow(tuple(directives))
