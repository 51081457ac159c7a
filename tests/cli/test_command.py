"""The command, end to end in its own process, against what the reference printed for these files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jaxmaestro.cli.cache import cache_folder
from jaxmaestro.cli.command import output_name
from jaxmaestro.results.csv import HEADER

ROOT = Path(__file__).parents[2]

MAPPING = """\
// Two layers: one analysed on two cluster levels, one on one.
Constant tile 4;
Network mini {
	Layer conv {
		Type: CONV
		Stride { X: 1, Y: 1 }
		Dimensions { K: 16, C: 8, R: 3, S: 3, Y: 18, X: 18 }
		Dataflow {
			SpatialMap(1,1) K;
			TemporalMap(tile,tile) C;
			TemporalMap(Sz(R),1) Y;
			TemporalMap(Sz(S),1) X;
			TemporalMap(Sz(R),Sz(R)) R;
			TemporalMap(Sz(S),Sz(S)) S;
			Cluster(4, P);
			SpatialMap(1,1) C;
		}
	}
	Layer point {
		Type: CONV
		Dimensions { K: 24, C: 10, R: 1, S: 1, Y: 7, X: 7 }
		Dataflow {
			TemporalMap(2,2) K;
			TemporalMap(5,5) C;
			TemporalMap(1,1) R;
			TemporalMap(1,1) S;
			SpatialMap(1,1) Y;
			TemporalMap(1,1) X;
		}
	}
}
"""
HARDWARE = """\
num_pes: 16
l1_size_cstr: 64
l2_size_cstr: 256
noc_bw_cstr: 8
offchip_bw_cstr: 2
"""
FILE_ROWS = """\
mini,conv,16,184320,173.9,1.6,9.20069e+06,375626,25.8335,10,0.77832,10,1,10,368,54,1,1,2592,1152,1.69587e+12,\
294912,19.5568,2.9808,1.2696,2.02632,294912, 27540, 27540, 2592, 10.7085, 294912, 1152, 1152, 1152, 256, \
294912, 294912, 4096, 8192, 1, 2, 23, 2, 1, 1, 1, 18, 18, 18, 16, 12
mini,point,16,3696,57.8517,3.18182,5.49996e+07,375566,23.867,4,3.39881,4,1,4,118,34,1,1,490,240,2.03279e+11,\
11760,19.5568,1.8768,0.4071,2.02632,11760, 5435, 5435, 490, 2.16375, 11760, 240, 240, 240, 49, 11760, \
11760, 1176, 2352, 1, 2, 6, 4, 2, 2, 2, 10, 10, 10, 7, 2
"""
FLAG_ROWS = """\
mini,conv,12,86138,232.763,3.42372,1.4709e+07,180789,33.5806,5,0.490234,5,2,5,294,54,1,1,2592,1152,1.26701e+12,\
294912,29.3352,2.2356,1.0143,0.995485,294912, 41292, 41292, 2592, 7.14211, 294912, 1152, 1152, 1152, 256, \
294912, 294912, 4096, 8192, 1, 8, 41, 8, 6, 6, 6, 28, 28, 28, 10.6667, 9
mini,point,12,2317,57.8517,5.07553,8.77335e+07,180746,32.1454,9,6.80357,9,2,9,118,34,1,1,490,240,2.03279e+11,\
11760,29.3352,1.4076,0.4071,0.995485,11760, 5435, 5435, 490, 2.16375, 11760, 240, 240, 240, 49, 11760, \
11760, 1176, 2352, 1, 8, 17, 13, 9, 9, 9, 5, 5, 5, 7, 2
"""
SWEEP_FIGURES = [
    ("176129", "187876", "2"),
    ("6569", "187817", "4"),
    ("59393", "295162", "6"),
    ("2018", "295102", "4"),
]

# The block of the layer "point"; what the file's L1 size line adds stands before the first block.
POINT_SCREEN = """

Num MACs: 11760

[Performance Analysis]
Runtime: 3696 cycles
Throughput: 3.18182 MACs/cycle
[Buffer Access Analysis]
Tensor input
L2 size requirement: 70
L1 size requirement: 10
L2 buffer write: 490
L2 buffer read: 5435
L1 buffer write: 5435
L1 buffer read: 11760
Data reuse factor: 2.16375
Tensor filter
L2 size requirement: 20
L1 size requirement: 20
L2 buffer write: 240
L2 buffer read: 240
L1 buffer write: 240
L1 buffer read: 11760
Data reuse factor: 49
Tensor output
L2 size requirement: 28
L1 size requirement: 4
L2 buffer write: 2352
L2 buffer read: 1176
L1 buffer write: 11760
L1 buffer read: 11760
Data reuse factor: 1
Overall data reuse factor: 2.02352
[Energy Analysis]
-For each data class
Tensor input
L2 buffer write energy: 9118.9 X MAC energy
L2 buffer read energy: 101145 X MAC energy
L1 buffer write energy: 9130.8 X MAC energy
L1 buffer read energy: 19756.8 X MAC energy
Tensor filter
L2 buffer write energy: 4466.4 X MAC energy
L2 buffer read energy: 4466.4 X MAC energy
L1 buffer write energy: 403.2 X MAC energy
L1 buffer read energy: 19756.8 X MAC energy
Tensor output
L2 buffer write energy: 43770.7 X MAC energy
L2 buffer read energy: 21885.4 X MAC energy
L1 buffer write energy: 19756.8 X MAC energy
L1 buffer read energy: 19756.8 X MAC energy

[Summary]
Total L2 buffer requirement: 118
Total L1 buffer requirement: 34
Total L2 buffer write energy: 57356 X MAC energy
Total L2 buffer read energy: 127497 X MAC energy
Total L1 buffer write energy: 29290.8 X MAC energy
Total L1 buffer read energy: 59270.4 X MAC energy
Total MAC energy: 11760 X MAC energy
Peak bandwidth requirement: 4
Avg bandwidth requirement: 3.39881

Total energy consumption: 285174 X MAC energy
Runtime: 3696 cycles
Throughput: 3.18182 MACs/cycle
Performance per MAC energy: 1.11574e-05 MACs/cycle/(MAC_energy)
Ingress Delay
Min: 2
Max: 6
Avg: 4
Egress Delay
Min: 2
Max: 2
Avg: 2
Computation Delay
Min: 10
Max: 10
Avg: 10
Average number of utilized PEs: 7
Arithmetic intensity: 2
"""
WARNINGS = """\
Buffer Analysis:
[WARNING:Buffer] Per-layer L2 size requirement [368] is larger than the given L2 size [256]
[Model-wise Buffer Summary]
Model-wise total L2 size usage: 486
Model-wise total L1 size usage: 88
BW Analysis:
[WARNING:BW] Per-layer NoC BW requirement [10] is larger than the given NoC BW [8]
[WARNING:BW] Per-layer OffChip BW requirement [10] is larger than the given OffChip BW [2]
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("programs")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mini.m").write_text(MAPPING)
    (tmp_path / "small.m").write_text(HARDWARE)
    return tmp_path


def command(folder: Path, cache: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "JAXMAESTRO_CACHE_DIR": str(cache),
        "JAX_PLATFORMS": "cpu",
    }
    return subprocess.run(
        [sys.executable, "-m", "jaxmaestro", *flags],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_hardware_file_screen_and_csv(folder: Path, cache: Path) -> None:
    done = command(folder, cache, "--Mapping_file=mini.m", "--HW_file", "small.m")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(
        "\n\n\nNum MACs: 294912\n\n[Performance Analysis]\nRuntime: 184320 cycles\n"
    )
    assert done.stdout.endswith(POINT_SCREEN + WARNINGS)
    assert len(done.stdout.splitlines()) == 1 + 2 * len(POINT_SCREEN.splitlines()) + len(
        WARNINGS.splitlines()
    )
    assert (folder / "mini.csv").read_text() == HEADER + FILE_ROWS
    assert any(cache.iterdir())


def test_short_flags_append_to_the_csv(folder: Path, cache: Path) -> None:
    (folder / "mini.csv").write_text("a file that is there\n")
    flags = [
        "--num_pes=12",
        "--noc_bw=4",
        "--noc_hops",
        "2",
        "--noc_hop_lat=3",
        "--num_simd=2",
        "--print_res=0",
    ]
    done = command(folder, cache, "--Map=mini.m", *flags)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "BW Analysis:\n[WARNING:BW] Per-layer NoC BW requirement [9] is larger than the given NoC BW [4]\n"
    )
    assert (folder / "mini.csv").read_text() == "a file that is there\n" + FLAG_ROWS


def test_sweep_writes_one_block_a_bandwidth(folder: Path, cache: Path) -> None:
    sweep = ["--bw_sweep=1", "--top_bw_only=1", "--min_noc_bw=1", "--max_noc_bw=5", "--num_pes=16"]
    hops = ["--noc_hops=2", "--noc_hop_lat=3"]
    quiet = ["--print_res=off", "--print_res_csv_file=off"]
    done = command(folder, cache, "--Mapping_file=mini.m", *sweep, *hops, *quiet)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("BW Analysis:\n") == 2
    rows = [line.split(",") for line in (folder / "mini.csv").read_text().splitlines()[1:]]
    assert [(row[3], row[7], row[9]) for row in rows] == SWEEP_FIGURES


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "no mapping file"),
        (["--Mapping_file=nofile.m"], "nofile.m: cannot be read"),
        (["--Mapping_file=mini.m", "--HW_file=nofile.m"], "nofile.m: cannot be read"),
        (["--Mapping_file=mini.m", "--HW_file=mini.m"], "is expected; this looks like a mapping file"),
        (["--Mapping_file=mini.m", "--num_pes=0"], "--num_pes is 0; it must be at least 1"),
        (["--Mapping_file=mini.m", "--offchip_bw=0"], "--offchip_bw_cstr is 0"),
        (["--Mapping_file=mini.m", "--num_pe=x"], "('x') for option '--num_pes' is invalid"),
        (["--Mapping_file=broken.m"], "broken.m:1:"),
        (["--mapping=mini.m"], "did you mean '--Mapping_file'"),
        (["--Map=mini.m", "--bw_sweep=1", "--top=1", "--bw_tick=0"], "--bw_tick must be at least 1"),
        (["--Mapping_file=mini.m", "--num_pes=3"], "layer conv"),
        (
            ["--Mapping_file=mini.m", "--num_pes=16", "--l1_size_cstr=9", "--refuse_invalid=true"],
            "is not valid on 16 PEs: l1 size",
        ),
    ],
)
def test_bad_input_is_one_line_and_255(folder: Path, cache: Path, flags: list[str], message: str) -> None:
    (folder / "broken.m").write_text("Network n {{\n}\n")
    done = command(folder, cache, *flags)
    assert done.returncode == 255
    assert done.stdout == ""
    assert done.stderr.startswith("jaxmaestro: error: ")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(folder.glob("*.csv"))


def test_help_is_grouped(folder: Path, cache: Path) -> None:
    done = command(folder, cache, "--help", "--num_pes=3")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\nNetwork on chip:\n  --noc_bw_cstr=INT" in done.stdout


@pytest.mark.parametrize(
    ("mapping", "csv"),
    [
        ("net.m", "net.csv"),
        ("./net.m", "net.csv"),
        ("data/mapping/net.v2.m", "net.csv"),
        ("a/b/c/net.m", "c/net.csv"),
        ("../../net.m", "net.csv"),
        ("/home/me/net.m", "me/net.csv"),
        ("my.files/net", "net.csv"),
    ],
)
def test_name_of_the_csv(mapping: str, csv: str) -> None:
    assert output_name(mapping) == csv


def test_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAXMAESTRO_CACHE_DIR", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.setenv("JAXMAESTRO_CACHE_DIR", "")
    assert cache_folder() is None
    monkeypatch.delenv("JAXMAESTRO_CACHE_DIR")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "jaxmaestro"
