"""Writing the three text formats. What is written reads back as what it was."""

from __future__ import annotations

import os
import re
from pathlib import Path

from jaxmaestro.description import UNLIMITED, Dataflow, DescriptionError, Hardware, Layer, Network
from jaxmaestro.formats.reading import PathLike
from jaxmaestro.formats.syntax import HARDWARE_KEYS

_NAME = re.compile(r"(?:(?!//)[^\s,\->():;{}])+")


def format_mapping(network: Network) -> str:
    """The text of a mapping file: every layer, with its dataflow where it has its own.

    Raises:
        DescriptionError: for a name that the format cannot hold, or an empty dataflow.
    """
    return _network(network, with_dataflows=True)


def format_model(network: Network) -> str:
    """The text of a model file: the layers, without dataflows. Raises as :func:`format_mapping`."""
    return _network(network, with_dataflows=False)


def format_dataflow(dataflow: Dataflow) -> str:
    """The text of a dataflow file."""
    return _dataflow(dataflow, "")


def format_hardware(hardware: Hardware) -> str:
    """The text of a hardware file. Hops times hop latency is written as that many hops.

    Raises:
        DescriptionError: for what the format cannot hold: a bandwidth or
            latency that differs between levels, more than one SIMD lane.
    """
    latency, bandwidth = set(hardware.noc_latencies), set(hardware.noc_bandwidths)
    for what, values in (("NoC latency", latency), ("NoC bandwidth", bandwidth)):
        if len(values) > 1:
            raise DescriptionError(
                f"a hardware file has one {what} for all levels", fix="give the accelerator one value"
            )
    if hardware.simd_lanes != 1:
        raise DescriptionError(
            f"a hardware file cannot say that PEs have {hardware.simd_lanes} SIMD lanes",
            fix="write simd_lanes=1 and set the lanes where the file is used",
        )
    fields = {
        "num_pes": hardware.num_pes,
        "l1_size": hardware.l1_size,
        "l2_size": hardware.l2_size,
        "noc_bandwidth": bandwidth.pop(),
        "noc_hops": latency.pop(),
        "offchip_bandwidth": hardware.offchip_bandwidth,
    }
    always = ("num_pes", "noc_hops")  # no limits, so left out of a file they would not be unlimited
    return "".join(
        f"{key}: {fields[field]}\n"
        for key, field in HARDWARE_KEYS.items()
        if field in always or fields[field] != UNLIMITED
    )


def write_mapping(network: Network, path: PathLike) -> None:
    """Write a mapping file, whole or not at all; see :func:`format_mapping`."""
    _write(format_mapping(network), path)


def write_model(network: Network, path: PathLike) -> None:
    """Write a model file, whole or not at all; see :func:`format_model`."""
    _write(format_model(network), path)


def write_dataflow(dataflow: Dataflow, path: PathLike) -> None:
    """Write a dataflow file, whole or not at all."""
    _write(format_dataflow(dataflow), path)


def write_hardware(hardware: Hardware, path: PathLike) -> None:
    """Write a hardware file, whole or not at all; see :func:`format_hardware`."""
    _write(format_hardware(hardware), path)


def _name(name: str, what: str) -> str:
    if not _NAME.fullmatch(name):
        better = "_".join(_NAME.findall(name)) or "a"
        raise DescriptionError(f"the format cannot hold the {what} name {name!r}", fix=f"call it {better}")
    return name


def _network(network: Network, with_dataflows: bool) -> str:
    title = f" {_name(network.name, 'network')}" if network.name else ""
    lines = [f"Network{title} {{"]
    for mapped in network:
        lines += _layer(mapped.layer)
        if with_dataflows and mapped.dataflow is not None:
            if not mapped.dataflow.directives:
                raise DescriptionError(
                    "the dataflow is empty",
                    layer=mapped.layer.name,
                    fix="give None for that of the layer before",
                )
            lines.append(_dataflow(mapped.dataflow, "\t\t").rstrip("\n"))
        lines.append("\t}")
    return "\n".join([*lines, "}", ""])


def _layer(layer: Layer) -> list[str]:
    lines = [f"\tLayer {_name(layer.name, 'layer')} {{", f"\t\tType: {layer.type.value}"]
    if layer.strides:
        lines.append(f"\t\tStride {{ {_sizes(layer.strides)} }}")
    return [*lines, f"\t\tDimensions {{ {_sizes(layer.dimensions)} }}"]


def _sizes(pairs: tuple[tuple[str, int], ...]) -> str:
    return ", ".join(f"{name}: {size}" for name, size in pairs)


def _dataflow(dataflow: Dataflow, indent: str) -> str:
    body = "".join(f"{indent}\t{directive};\n" for directive in dataflow)
    return f"{indent}Dataflow {{\n{body}{indent}}}\n"


def _write(text: str, path: PathLike) -> None:
    """Write beside the file and rename, so that no reader sees half of it."""
    target = Path(path)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        try:
            part.write_text(text, encoding="utf-8")
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise DescriptionError(
            f"cannot be written: {error.strerror or error}",
            source=os.fspath(path),
            fix="give a path in a folder that is there and may be written to",
        ) from error
