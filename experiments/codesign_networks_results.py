"""What co-design leaves: designs checked anew from their files, tables, the summary."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
from rich import box
from rich.console import Console
from rich.table import Table

from experiments.document import Block, Grid, Heading, Paragraph, Picture, write_document
from jaxmaestro.accelerators import Checked, Outcome, Problem, check, roofline
from jaxmaestro.description import DescriptionError, Hardware
from jaxmaestro.equations.pricing import MAC_ENERGY
from jaxmaestro.formats import read_hardware, read_mapping, write_hardware, write_mapping


@dataclasses.dataclass(frozen=True)
class Case:
    """A network under a budget."""

    network: str
    budget: str
    problem: Problem


@dataclasses.dataclass(frozen=True, eq=False)
class Finding:
    """A case with what its search found; ``checked`` is filled by :func:`export`."""

    case: Case
    outcome: Outcome
    checked: dict[str, Checked] = dataclasses.field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{self.case.network}-{self.case.budget}".replace("/", "_")


def export(finding: Finding, folder: Path) -> list[Path]:
    """MAESTRO files of every best design, read back, evaluated again and checked.

    Figures in the tables are those of the files. A goal for which nothing was found has none. Raises
    RefusedError where they are not what the search says, are beyond the budget or below the roofline.
    """
    problem = finding.case.problem
    written: list[Path] = []
    for goal in problem.goals:
        design = finding.outcome.designs.get(goal)
        if design is None:
            continue
        paths = [folder / f"{finding.name}-{goal}.m", folder / f"{finding.name}-{goal}.hw.m"]
        write_mapping(design.network(_plain(finding.case.network)), paths[0])
        write_hardware(design.hardware, paths[1])
        finding.checked[goal] = check(
            read_mapping(paths[0]), read_hardware(paths[1]), design.repeats, problem.budget, design
        )
        written += paths
    return written


def missing(findings: list[Finding]) -> list[str]:
    """A line for each network, budget and goal for which nothing was found.

    Raises DescriptionError where nothing at all was.
    """
    lines = [
        f"{finding.case.network}, {finding.case.budget}: no valid mappings of all layers within the budget "
        f"were found for {goal}"
        for finding in findings
        for goal in finding.case.problem.goals
        if goal not in finding.checked
    ]
    if not any(finding.checked for finding in findings):
        raise DescriptionError(
            lines[0], fix="give the search more steps, the budget more area, or larger bandwidths"
        )
    return lines


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name)


def _hardware(hardware: Hardware) -> dict[str, int]:
    return {
        "num_pes": hardware.num_pes,
        "l1_size": hardware.l1_size,
        "l2_size": hardware.l2_size,
        "noc_bandwidth": hardware.noc_bandwidths[0],
        "offchip_bandwidth": hardware.offchip_bandwidth,
    }


def designs_table(findings: list[Finding]) -> pa.Table:
    """A row for each network, budget and goal."""
    rows = []
    for finding in findings:
        budget, last = finding.case.problem.budget, finding.outcome.history[-1]
        for goal, found in finding.checked.items():
            rows.append(
                {"network": finding.case.network, "budget": finding.case.budget, "objective": goal}
                | {"latency": found.latency, "energy": found.energy, "edp": found.edp}
                | {"roofline": found.roofline}
                | {"area": found.area, "area_limit": budget.area, "power": found.power}
                | {"power_limit": budget.power}
                | _hardware(finding.outcome.designs[goal].hardware)
                | {"l1_need": found.l1_need, "l2_need": found.l2_need}
                | {"evaluated": last.evaluated, "valid": last.valid, "seconds": last.seconds}
            )
    fields = {"area_limit": pa.float64(), "power_limit": pa.float64()}
    table = pa.Table.from_pylist(rows)
    for name, kind in fields.items():
        table = table.set_column(table.column_names.index(name), name, table[name].cast(kind))
    return table


def front_table(findings: list[Finding]) -> pa.Table:
    """Every design of the archives: none is beaten in latency, energy and area at once."""
    rows = []
    for finding in findings:
        front = finding.outcome.front
        for hardware, (latency, energy, area, edp) in zip(
            front.hardware, front.figures.tolist(), strict=True
        ):
            rows.append(
                {"network": finding.case.network, "budget": finding.case.budget}
                | {"latency": latency, "energy": energy, "area": area, "edp": edp}
                | _hardware(hardware)
            )
    return pa.Table.from_pylist(rows)


def history_table(findings: list[Finding]) -> pa.Table:
    """The best so far of every search, with mappings evaluated and seconds."""
    rows = []
    for finding in findings:
        for moment in finding.outcome.history:
            rows.append(
                {"network": finding.case.network, "budget": finding.case.budget}
                | {"evaluated": moment.evaluated, "valid": moment.valid, "seconds": moment.seconds}
                | {goal: moment.best.get(goal, np.inf) for goal in finding.case.problem.goals}
            )
    return pa.Table.from_pylist(rows)


def volume(finding: Finding) -> float:
    """Hypervolume of a front in latency, energy and area, as a share of a box that all its rivals have.

    It ends at ten times the least roofline of the space, 50 times the energy of the MACs, and the area of
    the budget (if it has none, of the front). NaN where moocore is not installed.
    """
    from experiments.map_pictures import hypervolume

    problem, figures = finding.case.problem, finding.outcome.front.figures[:, :3]
    if not len(figures):
        return float("nan")
    pairs = list(zip(problem.layers, problem.repeats, strict=True))
    points = problem.space.points(problem.budget)
    least = min(sum(roofline(layer, point) * n for layer, n in pairs) for point in points)
    energy = MAC_ENERGY * sum(layer.macs * n for layer, n in pairs)
    corner = np.array([10 * least, 50 * energy, problem.budget.area or figures[:, 2].max()])
    # A reference is 1.1 times the largest.
    return hypervolume(figures, np.stack([np.zeros(3), corner / 1.1]))


HEAD = (
    *("network", "budget", "best", "Mcycles", "roofline", "mJ", "EDP, mJ Mcycles"),
    *("mm^2", "of", "PEs", "L1, B", "L2, B"),
)


def cells(findings: list[Finding]) -> list[list[str]]:
    """The summary: a row for each network, budget and goal."""
    rows = []
    for finding in findings:
        limit = finding.case.problem.budget.area
        for goal, found in finding.checked.items():
            hardware = finding.outcome.designs[goal].hardware
            rows.append(
                [
                    finding.case.network,
                    finding.case.budget,
                    goal,
                    f"{found.latency / 1e6:,.4g}",
                    f"{found.roofline / 1e6:,.4g}",
                    f"{found.energy / 1e6:,.4g}",
                    f"{found.edp / 1e12:,.4g}",
                    f"{found.area:.5f}",
                    "-" if limit is None else f"{limit:g}",
                    f"{hardware.num_pes:,}",
                    f"{hardware.l1_size:,}",
                    f"{hardware.l2_size:,}",
                ]
            )
    return rows


CHECKED = (
    "Every figure is of the files written: mappings and accelerator read back and evaluated again, every "
    "mapping valid in the accelerator's buffers, area computed from its PEs and buffers and within the "
    "budget, no layer below its roofline (MACs over PEs; each element once over the off-chip bandwidth). "
    "roofline: of the network on the same PEs and bandwidth."
)


def print_designs(console: Console, findings: list[Finding], strategy: str) -> None:
    """The table of best latency and EDP on the terminal."""
    table = Table(box=box.SIMPLE_HEAD, title=f"{strategy}: best designs")
    for place, heading in enumerate(HEAD):
        table.add_column(heading, justify="left" if place < 3 else "right")
    for row in cells(findings):
        table.add_row(*row)
    console.print(table)
    console.print(CHECKED, soft_wrap=True)


def write_report(findings: list[Finding], pictures: list[Path], folder: Path, strategy: str) -> list[Path]:
    """``designs.md`` and ``designs.html``."""
    blocks: list[Block] = [Heading(f"Co-design, {strategy}", 1), Grid(HEAD, cells(findings), left=3)]
    blocks.append(Paragraph(CHECKED))
    rows = []
    for finding in findings:
        last = finding.outcome.history[-1]
        rows.append(
            [
                finding.case.network,
                finding.case.budget,
                f"{len(finding.case.problem.layers)}",
                f"{last.evaluated:,}",
                f"{last.valid:,}",
                f"{last.seconds:.1f}",
                f"{len(finding.outcome.front.hardware)}",
                f"{volume(finding):.3f}",
            ]
        )
    head = ("network", "budget", "layers", "mappings", "valid", "seconds", "front", "hypervolume")
    blocks.append(Grid(head, rows, left=2))
    blocks += [Picture(path, path.stem.replace("-", " ")) for path in pictures]
    return write_document(folder, "designs", "Co-design", blocks)
