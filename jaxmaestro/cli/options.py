"""Every flag of the reference binary, parsed by the rules of the parser that it uses.

``--name=value`` or ``--name value``; a name may be shortened while it stays unique, a full name wins over
longer ones (``--print_res``, ``--print_res_csv_file``), each may stand once, ``--`` ends the flags. What
stands without a flag is ignored by the reference; it is handed back in ``Options.ignored``.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import typing
from collections.abc import Sequence

from jaxmaestro.description import UNLIMITED

_TRUE, _FALSE = ("true", "yes", "on", "1", ""), ("false", "no", "off", "0")


class OptionError(ValueError):
    """A command line that cannot be understood; ``str()`` is one line that says how to mend it."""


def _flag(default: object, group: str, help: str, unused: bool = False) -> typing.Any:
    """A field of :class:`Options`; ``unused`` marks flags that change nothing (in the reference neither)."""
    metadata = {"group": group, "help": help, "unused": unused}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Options:
    """What the command was asked for; field names are flag names."""

    help: bool = _flag(False, "General", "show this text and stop")
    print_res: bool = _flag(True, "General", "print the analysis of every layer on the screen")
    print_res_csv_file: bool = _flag(True, "General", "append the results to NAME.csv in this folder")
    print_log_file: bool = _flag(False, "General", "write log.txt (not available here: a note is shown)")
    msg_print_lv: int = _flag(0, "General", "1 or more: also print the network that was read")
    refuse_invalid: bool = _flag(False, "General", "refuse unsound mappings and those that do not fit (ours)")

    Mapping_file: str = _flag("", "Files", "layers and their dataflows")
    HW_file: str = _flag("", "Files", "the accelerator; overrides the flags marked (HW)")
    dataflow_file: str = _flag("data/dataflow/maeri.m", "Files", "dataflow description", True)
    layer_file: str = _flag("data/layer/vgg16_conv1.m", "Files", "layer description", True)

    noc_bw_cstr: int = _flag(
        UNLIMITED, "Network on chip", "NoC bandwidth of every level, elements a cycle (HW)"
    )
    noc_hops: int = _flag(
        1, "Network on chip", "average number of hops (HW: the file's hops are the latency)"
    )
    noc_hop_latency: int = _flag(0, "Network on chip", "cycles a hop (HW: the file's hops are the latency)")
    offchip_bw_cstr: int = _flag(70000, "Network on chip", "off-chip bandwidth, elements a cycle (HW)")
    noc_mc_support: bool = _flag(True, "Network on chip", "multicast; the model always has it", True)
    bw_sweep: bool = _flag(False, "Network on chip", "with top_bw_only: one run a bandwidth, see min_noc_bw")
    top_bw_only: bool = _flag(
        False, "Network on chip", "with bw_sweep: sweep one level, 70000 for the others"
    )

    num_pes: int = _flag(7, "Processing elements", "number of PEs (HW)")
    num_simd_lanes: int = _flag(1, "Processing elements", "multipliers in a PE")
    do_implicit_reduction: bool = _flag(True, "Processing elements", "reduction without extra cycles", True)
    do_fg_sync: bool = _flag(False, "Processing elements", "fine-grained synchronisation", True)

    do_reduction_op: bool = _flag(True, "Problem", "whether there is a reduction", True)

    l1_size_cstr: int = _flag(UNLIMITED, "Design space", "L1 limit of a PE, bytes, for the warnings (HW)")
    l2_size_cstr: int = _flag(UNLIMITED, "Design space", "L2 limit, bytes, for the warnings (HW)")
    min_noc_bw: int = _flag(512, "Design space", "bw_sweep: first bandwidth")
    max_noc_bw: int = _flag(512, "Design space", "bw_sweep: last bandwidth")
    bw_tick: int = _flag(4, "Design space", "bw_sweep: step")
    full_buffer: bool = _flag(False, "Design space", "a buffer for all data", True)
    do_dse: bool = _flag(True, "Design space", "explore the design space", True)
    verbose: bool = _flag(False, "Design space", "print intermediate results", True)
    print_design_space: bool = _flag(False, "Design space", "write the valid design space", True)
    print_space: bool = _flag(False, "Design space", "write the entire design space", True)
    min_num_PEs: int = _flag(1024, "Design space", "fewest PEs", True)  # noqa: N815
    max_num_PEs: int = _flag(1024, "Design space", "most PEs", True)  # noqa: N815
    pe_tick: int = _flag(4, "Design space", "step of the PEs", True)
    area_constraint: float = _flag(1000000.0, "Design space", "area limit, um^2", True)
    power_constraint: float = _flag(10000.0, "Design space", "power limit, mW", True)
    optimization_target: str = _flag("runtime", "Design space", "runtime, energy or performance/energy", True)

    ignored: tuple[str, ...] = dataclasses.field(default=(), metadata={})


_FLAGS = {field.name: field for field in dataclasses.fields(Options) if field.metadata}
_TYPES = typing.get_type_hints(Options)


def parse_options(arguments: Sequence[str]) -> Options:
    """Read a command line (without the program's name); raises :class:`OptionError`."""
    values: dict[str, object] = {}
    ignored: list[str] = []
    rest = list(arguments)
    while rest:
        token = rest.pop(0)
        if token == "--":
            ignored += rest
            break
        if not token.startswith("-") or token == "-":
            ignored.append(token)
            continue
        spelled, equals, text = token.partition("=")
        name = _flag_named(spelled)
        if name in values:
            raise OptionError(f"option '--{name}' cannot be specified more than once")
        if name == "help":
            if equals:
                raise OptionError("option '--help' does not take any arguments")
            values[name] = True
            continue
        if equals and not text:
            raise OptionError(
                f"the argument for option '--{name}' should follow immediately after the equal sign"
            )
        if not equals:
            if not rest:
                raise OptionError(f"the required argument for option '--{name}' is missing")
            text = rest.pop(0)
        values[name] = _value(name, text)
    return dataclasses.replace(
        Options(**typing.cast("dict[str, typing.Any]", values)), ignored=tuple(ignored)
    )


def _flag_named(spelled: str) -> str:
    """The flag meant by ``--noc_bw``: a full name, or the only one that starts so."""
    if not spelled.startswith("--"):
        raise OptionError(f"unrecognised option '{spelled}'; flags start with two dashes{_like(spelled)}")
    name = spelled[2:]
    if not name:
        raise OptionError("an equal sign without a flag before it")
    if name in _FLAGS:
        return name
    matches = sorted(flag for flag in _FLAGS if flag.startswith(name))
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise OptionError(f"option '{spelled}' is ambiguous: it may be {_listed(matches)}")
    raise OptionError(f"unrecognised option '{spelled}'{_like(spelled)}; --help lists the flags")


def _like(spelled: str) -> str:
    """Hint with the nearest names, whatever their case."""
    folded = {flag.lower(): flag for flag in _FLAGS}
    near = difflib.get_close_matches(spelled.lstrip("-").lower(), folded, n=3, cutoff=0.55)
    return f"; did you mean {_listed([folded[flag] for flag in near])}?" if near else ""


def _listed(names: Sequence[str]) -> str:
    return " or ".join(f"'--{name}'" for name in names)


def _value(name: str, text: str) -> object:
    """The text as the flag's type: no spaces, decimal integers of 32 bits, the truth values of boost."""
    kind = _TYPES[name]
    if kind is str:
        return text
    if kind is bool:
        if text.lower() in _TRUE:
            return True
        if text.lower() in _FALSE:
            return False
        raise _invalid(name, text, "it is true or false (also yes, no, on, off, 1, 0)")
    if kind is int:
        if re.fullmatch(r"[+-]?[0-9]+", text) and -UNLIMITED - 1 <= int(text) <= UNLIMITED:
            return int(text)
        raise _invalid(name, text, f"it is a whole number up to {UNLIMITED}")
    if re.fullmatch(r"[+-]?(inf(inity)?|nan|([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?)", text, re.IGNORECASE):
        number = float(text)
        if number not in (float("inf"), float("-inf")) or "inf" in text.lower():
            return number
    raise _invalid(name, text, "it is a number")


def _invalid(name: str, text: str, fix: str) -> OptionError:
    return OptionError(f"the argument ('{text}') for option '--{name}' is invalid; {fix}")


def help_text() -> str:
    """The text of ``--help``: flags by group, with their defaults."""
    lines = [
        "usage: jaxmaestro --Mapping_file=FILE [--HW_file=FILE] [--flag=value ...]",
        "",
        "Cost of DNN layers under their dataflows on a spatial accelerator, by the MAESTRO model.",
        "Prints the analysis on the screen and appends it to NAME.csv in the working folder.",
        "",
        "Flags are written --name=value or --name value and may be shortened while unique.",
    ]
    group = ""
    for name, field in _FLAGS.items():
        if field.metadata["group"] != group:
            group = field.metadata["group"]
            lines += ["", f"{group}:"]
        kind = _TYPES[name].__name__.upper() if name != "help" else ""
        shown = f"  --{name}" + (f"={kind}" if kind else "")
        lines.append(f"{shown:32s}{field.metadata['help']}{_remark(name, field)}")
    lines += [
        "",
        "JAXMAESTRO_CACHE_DIR names the folder that keeps compiled programs (empty: keep none).",
        "Exit status: 0 done, 255 refused.",
    ]
    return "\n".join(lines)


def _remark(name: str, field: dataclasses.Field[typing.Any]) -> str:
    if name == "help":
        return ""
    if field.metadata["unused"]:
        return " (accepted, no effect)"
    if field.default in (UNLIMITED, ""):
        return " [unlimited]" if field.default else " [none]"
    return f" [{field.default}]".lower()
