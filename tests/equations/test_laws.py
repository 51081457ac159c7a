"""Laws that hold between the costs of related tuples, whatever the figures are.

Each test draws seeds; a seed makes hundreds of random trials, and the trials and
their changed copies are one batch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from math import prod
from random import Random
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from jaxmaestro import (
    Cluster,
    Costs,
    Dataflow,
    Hardware,
    Layer,
    LayerType,
    Reason,
    SpatialMap,
    Sz,
    TemporalMap,
)
from jaxmaestro.equations import pricing
from tests.equations.trials import (
    ROWS,
    Trial,
    differing_fields,
    evaluate_trials,
    has_figures,
    random_trials,
)

COUNT = 300

LIMITS = ("reasons", "fits")
"""What limits may change; ``sound`` is not among them."""
DELAYS = ("runtime", "throughput", "ingress_delay", "egress_delay", "compute_delay")
"""What bandwidths and latencies may change, beside the bandwidths that are asked for."""
ASKED = ("noc_bandwidth_peak", "noc_bandwidth_average", "noc_bandwidth_sum", "offchip_bandwidth")
PRICED = ("area", "power", "power_pe", "power_l1", "power_l2", "power_noc")

seeds = st.integers(0, 2**32)
law = settings(
    max_examples=3,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a smaller seed is no simpler example
    suppress_health_check=[HealthCheck.too_slow],
)


@dataclasses.dataclass(frozen=True)
class Pair:
    """Trials, their costs, and the costs of their changed copies; only those with figures in both."""

    trials: list[Trial]
    before: Costs
    after: Costs

    def require(self, holds: Any) -> None:
        """``holds`` is bool ``[b]`` or ``[b, ...]``; the first trial for which it is false is shown."""
        holds = np.asarray(holds).reshape(len(self.trials), -1).all(1)
        if not holds.all():
            worst = int(np.argmin(holds))
            count = len(holds) - int(holds.sum())
            pytest.fail(
                f"{count} of {len(holds)} trials, such as\n{self.trials[worst]}\n"
                f"runtime {self.before.runtime[worst]} became {self.after.runtime[worst]}, "
                f"{Reason.decode(int(self.before.reasons[worst]))} "
                f"became {Reason.decode(int(self.after.reasons[worst]))}"
            )

    def require_equal(self, but: tuple[str, ...] = ()) -> None:
        names = differing_fields(self.before, self.after, but)
        assert not names
        assert len(self.trials) > 0


def changed(
    seed: int,
    change: Callable[[Trial], Trial],
    keep: Callable[[Trial], bool] = lambda trial: True,
    *,
    only_sound: bool = False,
) -> Pair:
    """Random trials before and after a change."""
    trials = random_trials(seed, COUNT, keep)
    costs = evaluate_trials(trials + [change(t) for t in trials])
    before, after = costs[:COUNT], costs[COUNT:]
    rows = has_figures(before) & has_figures(after)
    if only_sound:
        rows &= before.sound & after.sound
    assert rows.sum() > COUNT // 4
    return Pair([t for t, kept in zip(trials, rows, strict=True) if kept], before[rows], after[rows])


# Monotonicity


@law
@given(seeds, st.integers(2, 50))
def test_a_wider_noc_never_slows(seed: int, factor: int) -> None:
    pair = changed(seed, lambda t: t.with_hardware(noc_bandwidth=_number(t.hardware.noc_bandwidth) * factor))
    pair.require(pair.after.runtime <= pair.before.runtime)
    # Where work is missing, ragged tiles can have less than no outputs: such a delay is cut off upwards.
    sound = pair.before.sound & pair.after.sound
    for delay in ("ingress_delay", "egress_delay"):
        before, after = getattr(pair.before, delay), getattr(pair.after, delay)
        pair.require((after <= before).all(1) | ~sound)  # least, most, average


@law
@given(seeds, st.integers(2, 50))
def test_more_offchip_bandwidth_never_slows(seed: int, factor: int) -> None:
    pair = changed(seed, lambda t: t.with_hardware(offchip_bandwidth=t.hardware.offchip_bandwidth * factor))
    pair.require(pair.after.runtime <= pair.before.runtime)


@law
@given(seeds, st.integers(1, 20))
def test_longer_hops_never_speed_up(seed: int, more: int) -> None:
    pair = changed(seed, lambda t: t.with_hardware(hop_latency=t.hardware.hop_latency + more))
    pair.require(pair.after.runtime >= pair.before.runtime)


@law
@given(seeds, st.integers(1, 20))
def test_more_lanes_never_slow(seed: int, more: int) -> None:
    pair = changed(seed, lambda t: t.with_hardware(simd_lanes=t.hardware.simd_lanes + more))
    pair.require(pair.after.runtime <= pair.before.runtime)
    pair.require(pair.after.area > pair.before.area)
    pair.require(pair.after.power > pair.before.power)


@law
@given(seeds, st.integers(1, 500))
def test_a_wider_noc_costs_area_and_power(seed: int, more: int) -> None:
    pair = changed(seed, lambda t: t.with_hardware(noc_bandwidth=_number(t.hardware.noc_bandwidth) + more))
    pair.require(pair.after.area > pair.before.area)
    pair.require(pair.after.power > pair.before.power)
    pair.require(pair.after.power_noc > pair.before.power_noc)


@law
@given(seeds, st.integers(1, 500))
def test_more_pes_cost_area_and_power(seed: int, more: int) -> None:
    pair = changed(seed, lambda t: t.with_hardware(num_pes=t.hardware.num_pes + more))
    # The memories are priced at what the mapping asks for, which PEs can also lessen.
    smaller = (pair.after.l1_sizes < pair.before.l1_sizes) | (pair.after.l2_sizes < pair.before.l2_sizes)
    lessened = smaller.any(1)
    assert (~lessened).sum() > 50
    pair.require((pair.after.area > pair.before.area) | lessened)
    pair.require((pair.after.power > pair.before.power) | lessened)
    pair.require(pair.after.power_pe > pair.before.power_pe)
    pair.require(pair.after.power_noc > pair.before.power_noc)


MOST = {"num_pes": 4096, "lanes": 64, "noc_bandwidth": 1000, "l1": 10**6, "l2": 10**8}
LEAST = {"num_pes": 1, "lanes": 1, "noc_bandwidth": 1, "l1": 1, "l2": 1}
points = st.fixed_dictionaries({name: st.integers(LEAST[name], MOST[name]) for name in MOST})


@settings(max_examples=60, deadline=None)
@given(points, st.sampled_from(sorted(MOST)), st.integers(1, 100))
def test_whatever_grows_the_area_and_power_grow(point: dict[str, int], grown: str, more: int) -> None:
    small = {name: np.float64(value) for name, value in point.items()}
    large = {**small, grown: small[grown] + more}
    with jax.enable_x64(True):
        assert pricing.area_of(**large) > pricing.area_of(**small)
        assert sum(pricing.powers_of(**large)) > sum(pricing.powers_of(**small))


def test_an_empty_memory_is_priced_as_one_byte() -> None:
    assert pricing.area_of(4, 1, 1, 0, 0) == pricing.area_of(4, 1, 1, 1, 1)
    assert sum(pricing.powers_of(4, 1, 1, 0, 0)) == sum(pricing.powers_of(4, 1, 1, 1, 1))


# What must not matter


@law
@given(seeds)
def test_names_do_not_matter(seed: int) -> None:
    changed(seed, lambda t: t.with_layer(name="another")).require_equal()


@law
@given(seeds, st.integers(1, 10**6), st.integers(1, 10**6))
def test_memory_limits_change_flags_alone(seed: int, l1: int, l2: int) -> None:
    pair = changed(seed, lambda t: t.with_hardware(l1_size=l1, l2_size=l2))
    pair.require_equal(but=LIMITS)
    sizes = Reason.L1_SIZE | Reason.L2_SIZE
    pair.require(((pair.before.reasons ^ pair.after.reasons) & ~np.uint32(sizes)) == 0)
    pair.require(((pair.after.reasons & int(Reason.L1_SIZE)) != 0) == (pair.after.l1_size > l1))
    pair.require(((pair.after.reasons & int(Reason.L2_SIZE)) != 0) == (pair.after.l2_size > l2))


@law
@given(seeds, st.integers(1, 1000), st.integers(1, 1000), st.integers(0, 20))
def test_bandwidths_change_neither_traffic_nor_sizes(seed: int, noc: int, offchip: int, hop: int) -> None:
    pair = changed(
        seed, lambda t: t.with_hardware(noc_bandwidth=noc, offchip_bandwidth=offchip, hop_latency=hop)
    )
    pair.require_equal(but=(*DELAYS, *ASKED, *PRICED, *LIMITS, "sound", "noc_bandwidth"))


@law
@given(seeds)
def test_a_transposed_convolution_is_priced_as_a_convolution(seed: int) -> None:
    pair = changed(
        seed,
        lambda t: t.with_layer(type=LayerType.TRCONV),
        lambda t: t.layer.type is LayerType.CONV,
    )
    pair.require_equal()


@law
@given(seeds)
def test_sz_is_the_size(seed: int) -> None:
    pair = changed(seed, _spelled_out, lambda t: "Sz" in str(t.dataflow))
    pair.require_equal()


@law
@given(seeds, seeds)
def test_equal_tuples_have_equal_rows_wherever_they_stand(seed: int, order: int) -> None:
    trials = random_trials(seed, COUNT)
    shuffled = Random(order).sample(range(COUNT), COUNT)
    costs = evaluate_trials(trials + [trials[i] for i in shuffled])
    assert not differing_fields(costs[:COUNT][np.array(shuffled)], costs[COUNT:])


# Exactness


@law
@given(seeds)
def test_tilings_by_divisors_do_the_layers_work(seed: int) -> None:
    rng = Random(seed)
    trials = [_exact_tiling(rng) for _ in range(2 * COUNT)]
    costs = evaluate_trials(trials)
    pair = Pair(trials, costs, costs)
    # The reference prices a sub-cluster of Y or X that is left alone in the last iteration by the
    # rows of its input, of which there are more than outputs; that is the one exception.
    alone = np.array([_leaves_one(t) for t in trials])
    assert 0 < alone.sum() < COUNT
    pair.require((costs.num_macs == costs.layer_macs) | alone)
    pair.require(costs.sound | alone)
    pair.require((costs.reasons == int(Reason.MORE_MACS)) | ~alone)


def test_the_layers_macs_are_the_descriptions() -> None:
    trials = random_trials(0, 2 * COUNT)
    assert evaluate_trials(trials).layer_macs.tolist() == [t.layer.macs for t in trials]


def test_one_mac() -> None:
    layer = Layer.of("one", "CONV", dict.fromkeys("KCRSYX", 1))
    flow = Dataflow((SpatialMap(1, 1, "K"), TemporalMap(1, 1, "C"), *ROWS))
    costs = evaluate_trials([Trial(layer, flow, Hardware(num_pes=1))])[0]
    # No latency: input and weight arrive in cycle 0, the MAC takes 1 cycle, the output leaves at once.
    assert (costs.runtime, costs.num_macs, costs.layer_macs, costs.iterations) == (1, 1, 1, 1)
    assert costs.throughput == 1
    for figures in (costs.l1_reads, costs.l1_writes, costs.l2_reads, costs.l2_writes):
        assert figures.tolist() == [1, 1, 1]
    assert costs.l1_sizes.tolist() == costs.l2_sizes.tolist() == [2, 2, 2]  # double buffered
    assert (costs.ingress_delay.tolist(), costs.egress_delay.tolist()) == ([0, 0, 0], [0, 0, 0])
    assert costs.compute_delay.tolist() == [1, 1, 1]
    assert (costs.noc_bandwidth_peak, costs.average_active_pes, costs.arithmetic_intensity) == (2, 1, 0.5)
    assert costs.valid


def _number(value: Any) -> int:
    assert isinstance(value, int)
    return value


def _spelled_out(trial: Trial) -> Trial:
    """The trial with a number for each ``Sz``."""
    sizes = dict(trial.layer.dimensions)

    def number(size: int | Sz) -> int:
        return sizes[size.dimension] if isinstance(size, Sz) else size

    directives: list[Any] = []
    for d in trial.dataflow:
        if isinstance(d, Cluster):
            directives.append(dataclasses.replace(d, size=number(d.size)))
        else:
            directives.append(dataclasses.replace(d, size=number(d.size), offset=number(d.offset)))
    return dataclasses.replace(trial, dataflow=Dataflow(tuple(directives)))


def _divisor(rng: Random, n: int) -> int:
    return rng.choice([d for d in range(1, n + 1) if n % d == 0])


def _exact_tiling(rng: Random) -> Trial:
    """A stride-1 convolution whose tiles divide their dimensions, on one or two levels."""
    sizes = {"K": rng.randint(1, 48), "C": rng.randint(1, 48), "R": rng.randint(1, 5), "S": rng.randint(1, 5)}
    outputs = {"Y": rng.randint(1, 32), "X": rng.randint(1, 32)}
    sizes |= {"Y": outputs["Y"] + sizes["R"] - 1, "X": outputs["X"] + sizes["S"] - 1}
    left = {"K": sizes["K"], "C": sizes["C"], **outputs}
    levels = rng.randint(1, 2)
    directives: list[Any] = []
    pes = 1
    for level in range(levels):
        over_pes = rng.choice("KCYX")
        maps = []
        for d in rng.sample("KCYX", 4):
            count = _divisor(rng, left[d])
            name = f"{d}'" if d in outputs else d
            maps.append((SpatialMap if d == over_pes else TemporalMap)(count, count, name))
            left[d] = count
        directives += [*maps, *ROWS]
        if level < levels - 1:
            pes = rng.randint(1, 16)
            directives.append(Cluster(pes))
    layer = Layer.of("exact", "CONV", sizes)
    assert layer.macs == prod([sizes["K"], sizes["C"], sizes["R"], sizes["S"], *outputs.values()])
    return Trial(layer, Dataflow(tuple(directives)), Hardware(num_pes=pes * rng.randint(1, 40)))


def _leaves_one(trial: Trial) -> bool:
    """Whether the last of several spatial iterations over Y' or X' has a single tile of a wide filter."""
    (over_pes,) = (d for d in trial.dataflow.levels[0] if isinstance(d, SpatialMap))
    sizes = trial.layer.input_sizes
    window = {"Y'": "R", "X'": "S"}.get(over_pes.dimension)
    if window is None or sizes[window] == 1:
        return False
    assert isinstance(over_pes.size, int)
    tiles = (sizes[over_pes.dimension[0]] - sizes[window] + 1) // over_pes.size
    clusters = trial.hardware.num_pes // prod(_number(c.size) for c in trial.dataflow.clusters)
    return tiles > clusters > 1 and tiles % clusters == 1
