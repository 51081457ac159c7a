"""The command: reads a mapping and an accelerator, prints and writes what the reference would."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jaxmaestro.cli.options import OptionError, Options, help_text, parse_options
from jaxmaestro.description import MAX_LEVELS, DescriptionError, Hardware, Network

if TYPE_CHECKING:
    from jaxmaestro.results.network import NetworkCosts

REFUSED = 255
"""Exit status for input that the reference refuses (its ``exit(-1)``)."""

_SWEEP_OTHERS = 70000  # NoC bandwidth of the levels that a sweep leaves alone


def execute(arguments: Sequence[str]) -> int:
    """Run the command; returns its exit status."""
    try:
        options = parse_options(arguments)
        if options.help:
            print(help_text())
            return 0
        run(options)
        sys.stdout.flush()
    except (OptionError, DescriptionError) as error:
        _note("error", " ".join(str(error).split("\n")))
        return REFUSED
    except BrokenPipeError:  # the reader (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def run(options: Options) -> None:
    """Evaluate the mapping file on every accelerator that the options name."""
    if options.ignored:
        _note("warning", "ignored (not a flag): " + " ".join(options.ignored))
    if options.print_log_file:
        _note("warning", "--print_log_file has no log.txt here; its figures are in the costs of the library")
    if not options.Mapping_file:
        raise OptionError("no mapping file; give one with --Mapping_file=FILE")
    accelerators = [_checked(hardware) for hardware in accelerators_of(options)]

    from jaxmaestro.formats import read_mapping

    network = read_mapping(options.Mapping_file)

    # Both take a second to import, so bad input is refused before.
    from jaxmaestro import evaluate
    from jaxmaestro.cli.cache import use_compilation_cache

    use_compilation_cache()
    empty_lines = "\n" * _l1_lines(options.HW_file)
    for hardware in accelerators:
        results = evaluate(network, hardware)
        _refuse(network, results, options.refuse_invalid)
        sys.stdout.write(empty_lines)
        report(options, network, results)


def report(options: Options, network: Network, results: NetworkCosts) -> None:
    """Print and write one run as the options ask."""
    from jaxmaestro.results.csv import write_csv
    from jaxmaestro.results.screen import bandwidth_analysis, screen_text

    if options.msg_print_lv > 0:
        print(network)
    if options.print_res:
        sys.stdout.write(screen_text(results))
    if options.print_res_csv_file or _sweeps(options):
        path = output_name(options.Mapping_file)
        try:
            write_csv(results, path)
        except OSError as error:
            # The reference loses the file without a word and goes on.
            _note("warning", f"{path} cannot be written here: {error.strerror}")
        sys.stdout.write(bandwidth_analysis(results))


def output_name(mapping_file: str) -> str:
    """The CSV's name: two leading folders are cut off, and all from the first dot on.

    ``data/mapping/net.v2.m`` gives ``net.csv``, ``a/b/c/net.m`` gives ``c/net.csv``.
    """
    name = mapping_file
    for _ in range(2):
        name = name[name.find("/") + 1 :]
    return name.split(".", 1)[0] + ".csv"


def accelerators_of(options: Options) -> Iterator[Hardware]:
    """The accelerator of the flags or of the hardware file, or one for each bandwidth of a sweep."""
    base = Hardware(
        num_pes=options.num_pes,
        l1_size=options.l1_size_cstr,
        l2_size=options.l2_size_cstr,
        noc_bandwidth=options.noc_bw_cstr,
        noc_hops=options.noc_hops,
        hop_latency=options.noc_hop_latency,
        offchip_bandwidth=options.offchip_bw_cstr,
        simd_lanes=options.num_simd_lanes,
    )
    from_file = None
    if options.HW_file:
        from jaxmaestro.formats import read_hardware

        from_file = read_hardware(options.HW_file).replace(simd_lanes=options.num_simd_lanes)
    if not _sweeps(options):
        yield from_file or base
        return
    if options.bw_tick < 1:
        raise OptionError("--bw_tick must be at least 1 for a sweep")
    latency = options.noc_hops * options.noc_hop_latency
    for bandwidth in range(options.min_noc_bw, options.max_noc_bw + 1, options.bw_tick):
        yield from_file or base.replace(
            noc_bandwidth=(bandwidth, *(_SWEEP_OTHERS,) * (MAX_LEVELS - 1)),
            noc_hops=(latency, *(1,) * (MAX_LEVELS - 1)),
            hop_latency=1,
        )


def _sweeps(options: Options) -> bool:
    return options.bw_sweep and options.top_bw_only


def _checked(hardware: Hardware) -> Hardware:
    """The reference divides by these, and dies where one is zero."""
    for flag, value in (
        ("num_pes", hardware.num_pes),
        ("noc_bw_cstr", min(hardware.noc_bandwidths)),
        ("offchip_bw_cstr", hardware.offchip_bandwidth),
        ("num_simd_lanes", hardware.simd_lanes),
    ):
        if value < 1:
            raise OptionError(f"--{flag} is {value}; it must be at least 1")
    return hardware


def _refuse(network: Network, results: NetworkCosts, invalid: bool) -> None:
    """Refuse a network with a layer that the reference has no figures for, or that is ``invalid``."""
    from jaxmaestro.description.reasons import ILLEGAL, Reason

    for mapped, mask in zip(network, results.costs.reasons, strict=True):
        found = int(mask) if invalid else int(mask) & ILLEGAL
        if found:
            names = ", ".join(Reason.decode(found)).lower().replace("_", " ")
            what = "cannot be mapped" if found & ILLEGAL else "is not valid"
            raise DescriptionError(
                f"{what} on {results.hardware.num_pes} PEs: {names}",
                source=network.source,
                line=mapped.layer.line,
                layer=mapped.layer.name,
                fix="change its dataflow or the hardware",
            )


def _l1_lines(hardware_file: str) -> int:
    """The reference prints an empty line for every L1 size that it reads in a hardware file."""
    if not hardware_file:
        return 0
    lines = Path(hardware_file).read_text(errors="replace").splitlines()
    return sum(line.split("//")[0].count("l1_size_cstr") for line in lines)


def _note(kind: str, text: str) -> None:
    print(f"jaxmaestro: {kind}: {text}", file=sys.stderr)
