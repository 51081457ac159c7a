"""Flags: what the reference's parser accepts, refuses and means."""

from __future__ import annotations

import dataclasses

import pytest

from jaxmaestro.cli.options import OptionError, Options, help_text, parse_options


def changed(*arguments: str) -> dict[str, object]:
    """Fields that differ from the defaults."""
    options = parse_options(arguments)
    return {
        field.name: getattr(options, field.name)
        for field in dataclasses.fields(Options)
        if getattr(options, field.name) != field.default
    }


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {}),
        (["--num_pes=16"], {"num_pes": 16}),
        (["--num_pes", "16"], {"num_pes": 16}),
        (["--num_pes=+16"], {"num_pes": 16}),
        (["--num_pes", "-5"], {"num_pes": -5}),
        (["--noc_bw=3"], {"noc_bw_cstr": 3}),
        (["--noc_hop_=3"], {"noc_hop_latency": 3}),
        (["--print_res=0"], {"print_res": False}),
        (["--print_res_csv", "off"], {"print_res_csv_file": False}),
        (["--top=TRUE", "--bw_s=Yes"], {"top_bw_only": True, "bw_sweep": True}),
        (["--verbose", ""], {"verbose": True}),
        (["--area=1e3"], {"area_constraint": 1000.0}),
        (["--area=inf"], {"area_constraint": float("inf")}),
        (["--optimization_target", "--a b"], {"optimization_target": "--a b"}),
        (["--Map=a=b.m"], {"Mapping_file": "a=b.m"}),
        (["x", "--num_pes=2", "--", "--num_pes=3"], {"num_pes": 2, "ignored": ("x", "--num_pes=3")}),
    ],
)
def test_accepted(arguments: list[str], expected: dict[str, object]) -> None:
    assert changed(*arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--print=1"], "'--print' is ambiguous"),
        (["--noc_hop=1"], "'--noc_hop' is ambiguous: it may be '--noc_hop_latency' or '--noc_hops'"),
        (["--num_pes"], "the required argument for option '--num_pes' is missing"),
        (["--num_pes="], "should follow immediately after the equal sign"),
        (["--num_pes", "--print_res"], "the argument ('--print_res') for option '--num_pes' is invalid"),
        (["--num_pes=1", "--num_p=2"], "option '--num_pes' cannot be specified more than once"),
        (["--num_pes=0x10"], "('0x10')"),
        (["--num_pes", " 16"], "(' 16')"),
        (["--num_pes=1.5"], "('1.5')"),
        (["--num_pes=2147483648"], "('2147483648')"),
        (["--verbose=2"], "it is true or false"),
        (["--area_constraint=1e400"], "('1e400')"),
        (["--area_constraint=1e3x"], "('1e3x')"),
        (["--help=1"], "option '--help' does not take any arguments"),
        (["--mapping_file=x"], "did you mean '--Mapping_file'"),
        (["--nocbw=3"], "'--noc_bw_cstr'"),
        (["-num_pes=3"], "flags start with two dashes"),
        (["--=3"], "an equal sign without a flag before it"),
    ],
)
def test_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(OptionError) as refused:
        parse_options(arguments)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_defaults_are_the_references() -> None:
    options = parse_options([])
    assert (options.num_pes, options.noc_bw_cstr, options.offchip_bw_cstr) == (7, 2**31 - 1, 70000)
    assert (options.noc_hops, options.noc_hop_latency, options.num_simd_lanes) == (1, 0, 1)
    assert (options.print_res, options.print_res_csv_file, options.print_log_file) == (True, True, False)


def test_help_names_every_flag() -> None:
    text = help_text()
    flags = [field.name for field in dataclasses.fields(Options) if field.metadata]
    assert len(flags) == 38  # 37 of the binary, refuse_invalid of our own
    assert all(f"  --{flag}" in text for flag in flags)
    assert max(map(len, text.splitlines())) < 110
    assert "--num_simd_lanes=INT          multipliers in a PE [1]" in text
