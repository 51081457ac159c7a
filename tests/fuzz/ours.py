"""jaxmaestro's answer to a case, through its public names, as the same kind of text."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import jaxmaestro
from jaxmaestro.description import DescriptionError, Hardware
from jaxmaestro.description.reasons import ILLEGAL, UNSOUND, Reason
from tests.compiling import programs_for_few_chunks
from tests.equations.trials import differing_fields
from tests.fuzz.binary import Row, parse_csv
from tests.fuzz.cases import Case

FLAG_FIELDS = {
    "num_pes": "num_pes",
    "l1_size_cstr": "l1_size",
    "l2_size_cstr": "l2_size",
    "noc_bw_cstr": "noc_bandwidth",
    "noc_hops": "noc_hops",
    "noc_hop_latency": "hop_latency",
    "offchip_bw_cstr": "offchip_bandwidth",
    "num_simd_lanes": "simd_lanes",
}


@dataclasses.dataclass(frozen=True)
class Ours:
    """Rows and flags of a case, or the message with which it was refused."""

    header: Row = ()
    rows: tuple[Row, ...] = ()
    reasons: tuple[int, ...] = ()
    sound: tuple[bool, ...] = ()
    valid: tuple[bool, ...] = ()
    refusal: str = ""

    def why(self, index: int) -> str:
        """Names of the reasons of one row."""
        return "|".join(Reason.decode(self.reasons[index])) or "none"

    def excuse(self, index: int) -> str:
        """Why the reference's own figures of a row mean nothing, by our flags ("": they do)."""
        mask = self.reasons[index]
        return "|".join(Reason.decode(mask & (Reason.UNDEFINED | Reason.OVERFLOW)))

    def verdict(self, index: int) -> str:
        """What we say of a layer without figures: why it is illegal, else why it is unsound."""
        mask = self.reasons[index]
        return "|".join(Reason.decode(mask & ILLEGAL) or Reason.decode(mask & UNSOUND)) or "NOT FLAGGED"


def hardware_of(case: Case, folder: Path) -> Hardware:
    """The accelerator: beside a file only the SIMD lanes of the flags count, as in the reference."""
    flags: dict[str, Any] = {FLAG_FIELDS[flag]: value for flag, value in case.flags}
    if not case.hardware:
        return Hardware(**flags)
    path = folder / f"{case.name}.hw.m"
    path.write_text(case.hardware)
    return jaxmaestro.read_hardware(path).replace(simd_lanes=flags.get("simd_lanes", 1))


def evaluate(case: Case) -> Ours:
    """Read, evaluate and write a case; a refusal is returned, any other exception is not caught.

    The programs for few chunks and the lasting ones must agree bit for bit.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, csv = folder / f"{case.name}.m", folder / "ours.csv"
        path.write_text(case.mapping)
        try:
            network, hardware = jaxmaestro.read_mapping(path), hardware_of(case, folder)
            with programs_for_few_chunks(True):
                briefly = jaxmaestro.evaluate(network, hardware)
            with programs_for_few_chunks(False):
                answer = jaxmaestro.evaluate(network, hardware)
        except DescriptionError as error:
            return Ours(refusal=str(error).replace(str(folder) + "/", ""))
        assert not differing_fields(answer.costs, briefly.costs), case.name
        jaxmaestro.write_csv(answer, csv)
        header, rows = parse_csv(csv.read_text())
    costs = answer.costs
    return Ours(
        header,
        rows,
        tuple(int(mask) for mask in np.asarray(costs.reasons)),
        tuple(bool(flag) for flag in np.asarray(costs.sound)),
        tuple(bool(flag) for flag in np.asarray(costs.valid)),
    )
