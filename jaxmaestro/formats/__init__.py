"""The text formats of MAESTRO, read and written: mapping, model, dataflow and hardware files."""

from jaxmaestro.formats.checks import validate_network
from jaxmaestro.formats.reading import (
    parse_dataflow,
    parse_hardware,
    parse_mapping,
    parse_model,
    read_dataflow,
    read_hardware,
    read_mapping,
    read_model,
)
from jaxmaestro.formats.writing import (
    format_dataflow,
    format_hardware,
    format_mapping,
    format_model,
    write_dataflow,
    write_hardware,
    write_mapping,
    write_model,
)

__all__ = [
    "format_dataflow",
    "format_hardware",
    "format_mapping",
    "format_model",
    "parse_dataflow",
    "parse_hardware",
    "parse_mapping",
    "parse_model",
    "read_dataflow",
    "read_hardware",
    "read_mapping",
    "read_model",
    "validate_network",
    "write_dataflow",
    "write_hardware",
    "write_mapping",
    "write_model",
]
