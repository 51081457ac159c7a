"""Small layers whose costs are worked out here with pen and paper.

The layer has K = 2 filters over C = 2 channels, S = 2 columns wide; the picture
is one row of X = 3, so each filter gives 2 outputs. There is one PE a filter:

    SpatialMap(1,1) K; TemporalMap(1,1) C; TemporalMap(2,1) X; filter as a whole

Each loop is in its first tile or the one after it, so there are four iterations,
(c, x) = (0,0) (0,1) (1,0) (1,1), each occurring once (MICRO'19, section 4.2). A PE
holds 2 inputs, 2 weights, 1 output and does 2 MACs an iteration.

What comes in: (0,0) everything: 2 inputs, sent to both PEs at once (multicast),
and 2 weights for each PE, 6 elements. (0,1) X moved by one: 1 new input, the other
is still there (temporal reuse), the weights stay: 1 element. (1,0) another channel,
X starts over: 6 elements. (1,1): 1 element. What goes out: 1 partial sum a PE, 2
elements, every time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jaxmaestro import Costs, Dataflow, Hardware, Layer, SpatialMap, TemporalMap
from tests.equations.trials import ROWS, Trial, evaluate_trials

LAYER = Layer.of("hand", "CONV", {"K": 2, "C": 2, "R": 1, "S": 2, "Y": 1, "X": 3})
FLOW = Dataflow((SpatialMap(1, 1, "K"), TemporalMap(1, 1, "C"), TemporalMap(2, 1, "X"), *ROWS))
HARDWARE = Hardware(num_pes=2, noc_bandwidth=2, hop_latency=1)

# A delay on the NoC is the latency plus the sends (elements over bandwidth, rounded up) less one, as
# the first send is under way during the last cycle of the latency (section 4.3). The first iteration
# takes its ingress, then its computation; in every other the slowest of ingress, computation and
# egress counts. With 1 cycle of latency and 2 elements a cycle: ingress 3, 1, 3, 1; egress 1, 1, 1, 1;
# 2 MACs take 2 cycles: 3 + 2, then max(1, 2, 1), max(3, 2, 1), max(1, 2, 1).
RUNTIMES: dict[str, tuple[dict[str, Any], int]] = {
    "as drawn": ({}, 5 + 2 + 3 + 2),
    # ingress 6, 1, 6, 1; egress 2
    "half the NoC": ({"noc_bandwidth": 1}, (6 + 2) + 2 + 6 + 2),
    # ingress 5, 3, 5, 3; egress 3
    "three hops": ({"noc_hops": 3}, (5 + 2) + 3 + 5 + 3),
    # ingress 0 + ceil(6/2) - 1 = 2, 0, 2, 0
    "no latency": ({"hop_latency": 0}, (2 + 2) + 2 + 2 + 2),
    # computation 1, 1, 1, 1
    "two lanes": ({"simd_lanes": 2}, (3 + 1) + 1 + 3 + 1),
    # A third lane has nothing to do.
    "three lanes": ({"simd_lanes": 3}, (3 + 1) + 1 + 3 + 1),
    # PEs without a filter wait.
    "four PEs": ({"num_pes": 4}, 5 + 2 + 3 + 2),
    # The L2 is filled for the next iteration meanwhile: 2 x 6 elements in, half of 12 / 2 cycles, and
    # 2 x 2 out, half of 4 / 2: 3 cycles that the shorter iterations wait for.
    "off-chip of 2": ({"offchip_bandwidth": 2}, 5 + 3 + 3 + 3),
    # One filter after the other. In the steps of K the inputs count as still there: they do not depend
    # on it, and what moved decides (the reference's simplification). Ingress of 2 + 2, then 1, 4, 1
    # elements in 2, 1, 2, 1 cycles; of the second filter 2, 1, 4, 1 elements in 1, 1, 2, 1 cycles.
    "one PE": ({"num_pes": 1}, (2 + 2) + 2 + 2 + 2 + (2 + 2 + 2 + 2)),
}


@pytest.fixture(scope="module")
def costs() -> dict[str, Costs]:
    trials = [Trial(LAYER, FLOW, HARDWARE.replace(**changes)) for changes, _ in RUNTIMES.values()]
    found = evaluate_trials(trials)
    return {name: found[i] for i, name in enumerate(RUNTIMES)}


@pytest.mark.parametrize("name", RUNTIMES)
def test_the_runtime(name: str, costs: dict[str, Costs]) -> None:
    assert costs[name].runtime == RUNTIMES[name][1]
    assert costs[name].num_macs == costs[name].layer_macs == 2 * 2 * 2 * 2  # K C S X'
    assert costs[name].sound


def test_traffic_and_delays(costs: dict[str, Costs]) -> None:
    drawn = costs["as drawn"]
    assert drawn.throughput == 16 / 12
    assert drawn.iterations == 4
    assert drawn.average_active_pes == 2
    # Inputs 2 + 1 + 2 + 1, weights 4 + 0 + 4 + 0; each of the 2 x 2 outputs is read once to be stored.
    assert drawn.l2_reads.tolist() == [6, 8, 4]
    # From memory: 2 x 3 inputs, 2 x 2 x 2 weights. From the PEs: 2 partial sums in 4 iterations.
    assert drawn.l2_writes.tolist() == [6, 8, 8]
    # A MAC reads an input, a weight and a partial sum, and writes the partial sum.
    assert drawn.l1_reads.tolist() == [16, 16, 16]
    assert drawn.l1_writes.tolist() == [6, 8, 16]
    # Double buffers: of what a PE holds (of the output the reference takes as many columns as of the
    # input, 2 where 1 would do), of what one iteration sends.
    assert drawn.l1_sizes.tolist() == [2 * 2, 2 * 2, 2 * 2]
    assert drawn.l2_sizes.tolist() == [2 * 2, 2 * 4, 2 * 2]
    # Least, most, average.
    assert drawn.ingress_delay.tolist() == [1, 3, 2]
    assert drawn.egress_delay.tolist() == [1, 1, 1]
    assert drawn.compute_delay.tolist() == [2, 2, 2]
    # The busier direction over the cycles of computation: 6/2, 2/2, 6/2, 2/2.
    assert (drawn.noc_bandwidth_peak, drawn.noc_bandwidth_sum, drawn.noc_bandwidth_average) == (3, 8, 2)
    # 2 x 6 elements in 2 cycles; halved at each iteration: 6/2, then max(3, 6)/2 again and again.
    assert drawn.offchip_bandwidth == 3
    # Of the last iteration: 4 MACs on 1 element.
    assert drawn.arithmetic_intensity == 4


def test_energy_is_accesses_at_their_price(costs: dict[str, Costs]) -> None:
    mac, l1, l2 = 0.00023, 1.68, 18.61  # nJ; accesses in MACs
    drawn = costs["as drawn"]
    np.testing.assert_allclose(drawn.energy_l1, np.array([16 + 6, 16 + 8, 16 + 16]) * l1 * mac, rtol=1e-12)
    np.testing.assert_allclose(drawn.energy_l2, np.array([6 + 6, 8 + 8, 4 + 8]) * l2 * mac, rtol=1e-12)
    # The output's L2 reads are not part of the sum.
    np.testing.assert_allclose(drawn.energy, ((22 + 24 + 32) * l1 + (12 + 16 + 8) * l2) * mac, rtol=1e-12)
    np.testing.assert_allclose(drawn.energy_macs, 16 * mac, rtol=1e-12)


def test_area_and_power_are_units_at_their_price(costs: dict[str, Costs]) -> None:
    drawn = costs["as drawn"]
    pes, lanes, bandwidth, l1, l2 = 2, 1, 2, 12, 16
    assert (drawn.l1_size, drawn.l2_size) == (l1, l2)
    bus, arbiter = 14.662 * pes + 28.895, max(1.2886 * pes**2 + 5.5814 * pes - 23.711, 1)
    area = pes * (283.0 * lanes + 0.104 * l1) + 0.104 * l2 + 101.7938 * bus * bandwidth + 395.473 * arbiter
    np.testing.assert_allclose(drawn.area, area, rtol=1e-12)
    power = [pes * 1.2223 * lanes, pes * 0.00345 * l1, 0.00345 * l2]
    noc = 0.8 * bus / 1000 * bandwidth + max(0.34 * (1.2886 * pes**2 + 5.5814 * pes - 23.711) / 1000, 0.34)
    np.testing.assert_allclose([drawn.power_pe, drawn.power_l1, drawn.power_l2], power, rtol=1e-12)
    np.testing.assert_allclose(drawn.power_noc, noc, rtol=1e-12)
    np.testing.assert_allclose(drawn.power, sum(power) + noc, rtol=1e-12)
