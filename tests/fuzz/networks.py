"""Random mapping files and hardware: categories, layer text, constants, accelerators."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from functools import partial
from random import Random

from tests.fuzz import dataflows, free_dataflows
from tests.fuzz.layers import RandomLayer, convolution, matrix_product

PES = (1, 2, 3, 5, 7, 12, 16, 25, 32, 37, 48, 64, 96, 100, 128, 150, 168, 200, 256, 333, 400, 512, 600, 777)
MANY_PES = (1000, 1024, 1337, 1500, 2048, 2500, 3000, 4000, 4095, 4096)


@dataclasses.dataclass(frozen=True)
class FuzzHardware:
    """An accelerator: the text of its file ("": none) and the flags given beside it."""

    text: str
    flags: tuple[tuple[str, int], ...]
    num_pes: int


@dataclasses.dataclass(frozen=True)
class FuzzFile:
    """One network. ``units`` are the texts of layers; a unit of several layers stays together."""

    name: str
    category: str
    constants: str
    units: tuple[str, ...]
    hardware: FuzzHardware

    @property
    def text(self) -> str:
        """The mapping file."""
        return f"{self.constants}Network {self.name} {{\n{''.join(self.units)}}}\n"

    def with_units(self, units: tuple[str, ...]) -> FuzzFile:
        """The same file with other layers."""
        return dataclasses.replace(self, units=units)


def _log_uniform(rng: Random, most: float) -> int:
    return max(1, round(float(most ** rng.random())))


def random_hardware(rng: Random) -> FuzzHardware:
    """1 to 4,096 PEs, bandwidths 1 to 1,000, hops mostly 1 to 4; mostly as a file, else as flags."""
    pes = rng.choice((rng.choice(PES), rng.choice(PES), rng.choice(MANY_PES), rng.randint(1, 4096)))
    hops = rng.randint(1, 4) if rng.random() < 0.85 else rng.choice((5, 8, 20))
    values = {
        "num_pes": pes,
        "l1_size_cstr": _log_uniform(rng, 1e5),
        "l2_size_cstr": _log_uniform(rng, 3e6),
        "noc_bw_cstr": _log_uniform(rng, 1000),
        "offchip_bw_cstr": _log_uniform(rng, 1000),
        "noc_hops": hops,
    }
    names = ["num_pes", *(n for n in values if n != "num_pes" and rng.random() < 0.8)]
    as_file, as_flags = rng.choices(((True, False), (False, True), (True, True)), (75, 20, 5))[0]
    text = ""
    if as_file:
        chosen = rng.sample(names, len(names)) if rng.random() < 0.3 else names
        text = "".join(f"{'NoC_NumHops' if n == 'noc_hops' else n}: {values[n]}\n" for n in chosen)
    flags: list[tuple[str, int]] = []
    if as_flags:
        # Beside a file only the lanes count; the rest must be overridden by it.
        flags = [
            (n, values[n] if not as_file else _log_uniform(rng, 1000))
            for n in names
            if not (as_file and rng.random() < 0.5)
        ]
        if rng.random() < 0.6:
            flags.append(("noc_hop_latency", rng.choice((0, 1, 1, 2, 3))))
        if rng.random() < 0.6:
            flags.append(("num_simd_lanes", rng.choice((1, 2, 4, 8, 16, 3))))
    return FuzzHardware(text, tuple(flags), pes)


def layer_text(rng: Random, name: str, layer: RandomLayer, directives: list[str] | None) -> str:
    """A layer block. ``directives`` None: no Dataflow block (the layer takes that of the one before)."""
    dimensions = ", ".join(f"{d}: {n}" for d, n in layer.sizes.items())
    lines = [f"\tLayer {name} {{", f"\t\tType: {layer.type}"]
    if layer.stride_declared and layer.strides:
        strides = ", ".join(f"{d}: {n}" for d, n in layer.strides.items())
        lines.append(f"\t\tStride {{ {strides} }}")
    lines.append(f"\t\tDimensions {{ {dimensions} }}")
    if directives is not None:
        lines.append("\t\tDataflow {")
        for directive in directives:
            note = " // a note" if rng.random() < 0.005 else ""
            lines.append(f"\t\t\t{directive};{note}")
        lines.append("\t\t}")
    return "\n".join([*lines, "\t}", ""])


Maker = Callable[[Random, int, int], str]
"""(random numbers, position in the file, PEs) -> the text of a unit."""


STRANGE = {
    "pairs": partial(free_dataflows.free, pair=1.0),
    "odd": partial(free_dataflows.free, odd=0.4),
    "unset": partial(free_dataflows.free, unset=True),
}


def _convolution_dataflow(rng: Random, layer: RandomLayer, pes: int, pattern: str) -> tuple[str, list[str]]:
    if pattern == "any":
        pattern = rng.choice(
            [*dataflows.NAMED, "gamma1", "gamma2", "gamma3", "free1", "free2", "free3", "free4"]
        )
    if pattern in STRANGE:
        return pattern, STRANGE[pattern](rng, layer, pes, rng.randint(1, 3))
    if pattern in dataflows.NAMED:
        return pattern, dataflows.NAMED[pattern](rng, layer, pes)
    maker = {"gamma": free_dataflows.gamma, "free": free_dataflows.free}[pattern[:-1]]
    return pattern, maker(rng, layer, pes, int(pattern[-1]))


def _maker(pattern: str, type: str = "CONV", **options: bool) -> Maker:
    """Units of one convolution each, of a type and a dataflow pattern ("any": all of them)."""

    def make(rng: Random, index: int, pes: int) -> str:
        layer = convolution(rng, type, **options)
        label, directives = _convolution_dataflow(rng, layer, pes, pattern)
        return layer_text(rng, f"L{index:03d}_{label}", layer, directives)

    return make


def _gemm(rng: Random, index: int, pes: int) -> str:
    layer = matrix_product(rng)
    directives = free_dataflows.gemm(rng, layer, pes, rng.choice((1, 2, 2, 2, 3, 3, 4)))
    return layer_text(rng, f"L{index:03d}_gemm", layer, directives)


def _mixed(batch: Callable[[Random, int], bool]) -> Maker:
    def make(rng: Random, index: int, pes: int) -> str:
        type = rng.choice(("CONV", "CONV", "DSCONV", "NGCONV", "TRCONV", "GEMM"))
        return (
            _gemm(rng, index, pes)
            if type == "GEMM"
            else _maker("any", type, batch=batch(rng, index))(rng, index, pes)
        )

    return make


def _either(*makers: Maker) -> Maker:
    return lambda rng, index, pes: rng.choice(makers)(rng, index, pes)


def _inherit(rng: Random, index: int, pes: int) -> str:
    """A layer with a dataflow and one to three after it that take it over."""
    first = convolution(rng)
    label, directives = _convolution_dataflow(rng, first, pes, "any")
    text = layer_text(rng, f"L{index:03d}_{label}", first, directives)
    for heir in range(rng.randint(1, 3)):
        text += layer_text(rng, f"L{index:03d}_heir{heir}", convolution(rng), None)
    return text


CATEGORIES: dict[str, Maker] = {
    **{f"conv_{name}": _maker(name) for name in dataflows.NAMED},
    **{f"convn_{name}": _maker(name, batch=True) for name in dataflows.NAMED},
    **{
        f"conv_{name}": _maker(name)
        for name in ("gamma1", "gamma2", "gamma3", "free1", "free2", "free3", "free4")
    },
    **{
        f"convn_{name}": _maker(name, batch=True)
        for name in ("gamma1", "gamma2", "gamma3", "free1", "free2", "free3")
    },
    "conv_pairs": _maker("pairs"),
    "conv_odd": _maker("odd"),
    "ngconv_odd": _maker("odd", "NGCONV"),
    "conv_stride": _maker("any", wild_strides=True),
    "conv_tr": _either(_maker("any", "TRCONV"), _maker("any")),
    "conv_outdims": _maker("any", output_dimensions=True),
    "convn_outdims": _maker("any", output_dimensions=True, batch=True),
    "conv_fc": _maker("any", fully_connected=True),
    "convn_fc": _maker("any", fully_connected=True, batch=True),
    "conv_const": _maker("any"),
    "conv_degenerate": _maker("any", degenerate=True),
    "conv_real": _maker("any", real=True),
    "conv_inherit": _inherit,
    "dsconv": _maker("any", "DSCONV"),
    "dsconvn": _maker("any", "DSCONV", batch=True),
    "ngconv": _maker("any", "NGCONV"),
    "ngconvn": _maker("any", "NGCONV", batch=True),
    "ngconv_stride": _maker("any", "NGCONV", wild_strides=True),
    "gemm": _gemm,
    "gemm_const": _gemm,
    "mixed": _mixed(lambda rng, index: False),
    "mixedn": _mixed(lambda rng, index: True),
    "mixed_batch": _mixed(lambda rng, index: index > 12 and rng.random() < 0.5),
    "any_degenerate": _either(
        *(_maker("any", t, degenerate=True) for t in ("CONV", "DSCONV", "NGCONV")),
    ),
    "anyn_degenerate": _either(
        *(_maker("any", t, degenerate=True, batch=True) for t in ("CONV", "DSCONV", "NGCONV")),
    ),
    "conv_unset": _maker("unset"),
}


ON_REQUEST = {
    "conv_inherit": "the reference refuses every layer that takes its dataflow from the layer before",
    "conv_unset": "the reference reads uninitialised memory (Y' without R, X' without S in a level)",
}
"""Categories that are run when named only, and why."""


def _with_constants(rng: Random, units: list[str]) -> tuple[str, list[str]]:
    """Even numbers in dimensions and directives become named constants (strides take numbers only)."""
    names: dict[str, str] = {}

    def swap(match: re.Match[str]) -> str:
        return names.setdefault(match[0], f"Q{match[0]}")

    lines = [line for unit in units for line in unit.splitlines(keepends=True)]
    for i, line in enumerate(lines):
        if "Dimensions" in line or "Map(" in line or "Cluster(" in line:
            lines[i] = re.sub(r"(?<![\w'])\d*[02468](?!\w)", swap, line)
    declared = sorted(names, key=int)
    if rng.random() < 0.3:
        rng.shuffle(declared)
    joined = "".join(lines)
    found = [f"\tLayer{rest}" for rest in joined.split("\tLayer")[1:]]
    return "".join(f"Constant {names[n]} {n};\n" for n in declared), found


def random_file(seed: str, category: str, number: int, layers: int = 50) -> FuzzFile:
    """The ``number``-th file of a category: the same one for the same seed, whatever ran before."""
    rng = Random(f"{seed}/{category}/{number}")
    hardware = random_hardware(rng)
    units = [CATEGORIES[category](rng, i, hardware.num_pes) for i in range(layers)]
    constants = ""
    if category.endswith("_const"):
        constants, units = _with_constants(rng, units)
    return FuzzFile(f"{category}_{number}", category, constants, tuple(units), hardware)


def random_files(
    seed: str, layers: int, categories: list[str] | None = None, per_file: int = 50
) -> Iterator[FuzzFile]:
    """Files of ``per_file`` layers, categories in turn, until ``layers`` layers were made."""
    names = categories or [c for c in CATEGORIES if c not in ON_REQUEST]
    made = number = 0
    while made < layers:
        for category in names:
            file = random_file(seed, category, number, per_file)
            yield file
            made += sum(unit.count("\tLayer ") for unit in file.units)
            if made >= layers:
                return
        number += 1
