"""The CSV against rows that the reference printed: every float is recomputed from the row's integers."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jaxmaestro.description import Hardware
from jaxmaestro.equations.costs import TENSORS, Costs
from jaxmaestro.results import decimals
from jaxmaestro.results.csv import HEADER, csv_rows, maestro_energy, write_csv
from jaxmaestro.results.frame import to_table
from jaxmaestro.results.network import NetworkCosts
from jaxmaestro.results.screen import bandwidth_analysis, buffer_analysis

# One network on 1337 PEs, NoC bandwidth 639: ordinary layers, no work at all, negative counts.
LAST_LONG = "-9223372036854775808"
ROWS = f"""\
net,L000,1337,1446,13.0121,0,0,2.1915e+09,20436.7,1,1,1,1,1,2976,1728,1,1,256,1296,0,0,1634.22,7970.66,10.2672,\
10821.6,0, 192, 192, 256, 0, 0, 1296, 1296, 1296, 0, 0, 0, 432, 0, -nan, 4, 4, 4, 1, 1, 1, 1442, 1442, 1442, \
2, 0
net,L001,1337,0,-1.60912,-nan,-nan,2.19157e+09,22494.3,0,-nan,0,1,0,402,2176,-nan,-nan,336,1728,-0,0,1634.22,\
10037.1,1.3869,10821.6,0, 0, 0, 336, -nan, 0, 0, 0, 1728, -nan, -8640, -8640, 960, -880, 1, {LAST_LONG}, 0, \
{LAST_LONG}, {LAST_LONG}, 0, {LAST_LONG}, {LAST_LONG}, 0, {LAST_LONG}, 0, 0
net,L002,1337,110,2.83497,2.94545,1.03897e+09,2.19129e+09,13204.4,5,2.33333,5,1,5,402,162,1,1,208,108,\
1.14287e+11,324,1634.22,747.249,1.3869,10821.6,324, 156, 156, 208, 2.07692, 324, 108, 108, 108, 3, 0, 0, 66, \
0, -nan, 2, 2, 2, 2, 2, 2, 36, 36, 36, 5, 3
"""
HARDWARE = Hardware(num_pes=1337, noc_bandwidth=639)
LEVELS_REACHED = (True, False, False)  # the second has levels, but every case was skipped
AVERAGE_BANDWIDTHS = ((1, 1), (0, 0), (7, 3))
INTENSITIES = ((0, 1), (0, 1), (3, 1))


def costs_of(text: str) -> NetworkCosts:
    """The integers of CSV rows as costs; floats are left out, but for the ratios stated above."""
    rows = [[field.strip() for field in line.split(",")] for line in text.splitlines()]

    def ints(*columns: int) -> Any:
        found = np.array([[int(row[c]) for c in columns] for row in rows], np.int64)
        return found[:, 0] if len(columns) == 1 else found

    def by_tensor(first: int) -> Any:
        return ints(first, first + 5, first + 10)

    zeros = np.zeros(len(rows))
    values: dict[str, Any] = dict.fromkeys((field.name for field in dataclasses.fields(Costs)), zeros)
    values |= dict.fromkeys(("energy_l1", "energy_l2"), np.zeros((len(rows), 3)))
    for offset, name in enumerate(("l1_reads", "l1_writes", "l2_reads", "l2_writes")):
        values[name] = by_tensor(26 + offset)
    for first, name in ((41, "ingress_delay"), (44, "egress_delay"), (47, "compute_delay")):
        values[name] = ints(first, first + 1, first + 2)
    values |= {
        "runtime": ints(3),
        "num_macs": ints(21),
        "l1_sizes": ints(15)[:, None] * np.array([1, 0, 0]),
        "l2_sizes": ints(14)[:, None] * np.array([0, 1, 0]),
        "noc_bandwidth_peak": ints(9),
        "offchip_bandwidth": ints(13),
        "noc_bandwidth_sum": np.array([a for a, _ in AVERAGE_BANDWIDTHS]),
        "iterations": np.array([b for _, b in AVERAGE_BANDWIDTHS]),
        "intensity_macs": np.array([a for a, _ in INTENSITIES]),
        "intensity_traffic": np.array([b for _, b in INTENSITIES]),
        "input_elements": ints(18),
        "filter_elements": ints(19),
        "average_active_pes": np.array([float(row[50]) for row in rows]),
        "levels_reached": np.array(LEVELS_REACHED),
        "reasons": np.array([0, 1 | 1 << 11, 1 << 16], np.uint32),
        "sound": np.array([True, False, True]),
        "fits": np.array([True, True, False]),
    }
    return NetworkCosts(rows[0][0], tuple(row[1] for row in rows), HARDWARE, Costs(**values))


@pytest.fixture(scope="module")
def network() -> NetworkCosts:
    return costs_of(ROWS)


def test_rows_are_the_references(network: NetworkCosts) -> None:
    assert csv_rows(network) == ROWS.splitlines(keepends=True)


def test_header_has_one_name_a_field() -> None:
    assert len(HEADER.split(",")) == 52
    assert "  L2 SRAM Size Req (Bytes)" in HEADER.split(",")


def test_append_writes_the_header_once(network: NetworkCosts, tmp_path: Path) -> None:
    path = tmp_path / "net.csv"
    write_csv(network, path)
    write_csv(network, path)
    assert path.read_bytes().decode() == HEADER + ROWS + ROWS
    write_csv(network, path, append=False)
    assert path.read_bytes().decode() == HEADER + ROWS


def test_energy_of_several_levels_takes_the_layer_before(network: NetworkCosts) -> None:
    several = dataclasses.replace(network.costs, levels_reached=np.array([True, True, True]))
    alone = dataclasses.replace(network, layers=network.layers[2:], costs=several[slice(2, 3)])
    l2 = (156 + 208 + 108 + 108 + 0) * 18.61
    before = (0 + 0 + 0 + 0 - 8640 - 8640) * 1.68
    assert maestro_energy(alone)[0] == pytest.approx(l2 * 0.00023)
    after = maestro_energy(dataclasses.replace(network, costs=several))[2]
    assert after == pytest.approx((l2 + before) * 0.00023)


def test_buffer_sizes_wrap_to_32_bits(network: NetworkCosts) -> None:
    large = dataclasses.replace(network.costs, l2_sizes=np.full((3, 3), 2**31, np.int64))
    row = csv_rows(dataclasses.replace(network, costs=large))[0]
    assert row.split(",")[14] == "-2147483648"


def test_no_layers_give_no_rows(network: NetworkCosts) -> None:
    empty = dataclasses.replace(network, layers=(), costs=network.costs[slice(0, 0)])
    assert csv_rows(empty) == []
    assert "[PASS]" in buffer_analysis(empty) + bandwidth_analysis(empty)


@pytest.mark.parametrize(
    ("numerator", "denominator", "extended", "double"),
    [
        (1111115, 100000, "11.1111", "11.1112"),
        (200001, 200000, "1.00001", "1.00001"),
        (1000015, 1000000, "1.00002", "1.00002"),
        (1000025, 10, "100002", "100002"),
        (1000035, 10, "100004", "100004"),
        (9999995, 10, "1e+06", "1e+06"),
        (-7, 3, "-2.33333", "-2.33333"),
        (7, 0, "inf", "inf"),
        (0, 0, "-nan", "-nan"),
    ],
)
def test_sixth_digit_hangs_on_the_precision(
    numerator: int, denominator: int, extended: str, double: str
) -> None:
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.array([float(numerator)]) / np.array([float(denominator)])
    assert decimals.shortest(value) == [double]
    exact = decimals.shortest_extended(value, lambda _: decimals.quotient(numerator, denominator))
    assert exact == [extended]


def test_rounding_to_a_mantissa() -> None:
    assert decimals.rounded(Fraction(1, 3), decimals.DOUBLE) == Fraction(1 / 3)
    assert decimals.rounded(Fraction(2**64 + 1)) == 2**64
    assert decimals.rounded(Fraction(-(2**64) - 3)) == -(2**64) - 4
    assert decimals.rounded(Fraction(0)) == 0


@pytest.mark.parametrize("width", [1, 100])
def test_repeated_sum_adds_one_after_the_other(width: int) -> None:
    expected = 0.0
    for _ in range(20000):
        expected += 1.2223
    assert expected != 1.2223 * 20000
    assert decimals.repeated_sum(np.full(width, 1.2223), 20000).tolist() == [expected] * width


def test_table_has_flat_columns_and_reasons_as_text(network: NetworkCosts) -> None:
    pytest.importorskip("pyarrow")
    table = to_table(network).to_pydict()
    assert table["layer"] == ["L000", "L001", "L002"]
    assert table["filter_l1_reads"] == [0, 0, 324]
    assert table["compute_delay_max"] == [1442, 0, 36]
    assert table["reasons"] == ["", "FEWER_MACS|NO_WORK", "L1_SIZE"]
    assert table["valid"] == [True, False, False]
    assert table["l2_size"] == [2976, 402, 402]
    assert {f"{tensor}_energy_l2" for tensor in TENSORS} < set(table)
    assert "network" not in to_table(network.costs).column_names
