"""``python -m tests.fuzz.golden --binary PATH``: a compact set of layers and the binary's figures.

Layers are chosen greedily so that every pair of features (layer type, levels,
ragged or overlapping tiles, strides, what is left out, which numbers come out
odd, ...) is seen, in files of a few layers that share an accelerator. The rows
are what the binary prints for the shortened file, in its order: energy depends
on the layer before.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import re
from collections.abc import Iterable
from pathlib import Path

from tests.fuzz.binary import Answer, Binary, Row
from tests.fuzz.cases import Case, from_json, to_json
from tests.fuzz.networks import CATEGORIES, ON_REQUEST, FuzzFile, random_file

STORE = Path(__file__).parent.parent / "golden" / "layers.json.gz"
CANDIDATES = 4
"""Files of a category among which the best is taken."""


def load() -> list[Case]:
    """The golden cases of the repository."""
    return from_json(gzip.decompress(STORE.read_bytes()).decode())


def _map_features(directives: list[str], sizes: dict[str, int]) -> Iterable[str]:
    """What is special about the maps of one layer."""
    depth = 0
    over_pes = [0]
    for directive in directives:
        if directive.startswith("Cluster"):
            depth += 1
            over_pes.append(0)
            yield "logical cluster" if "L" in directive.split(",")[1] else "physical cluster"
            continue
        found = re.match(r"(\w+)Map\((.+?),(.+?)\) (\S+)", directive)
        if found is None:
            continue
        kind, size, offset, dimension = found.groups()
        over_pes[depth] += kind == "Spatial"
        if kind == "Spatial":
            yield f"spatial {dimension} at {depth}"
        if "'" in dimension:
            yield f"output-centric at {depth}"
        numbers = [
            sizes.get(t[3:-1], 0) if t.startswith("Sz") else int(t) for t in (size, offset) if "Q" not in t
        ]
        if len(numbers) == 2 and dimension in sizes:
            held, step, full = *numbers, sizes[dimension]
            name = "sliding" if dimension in "YX" else "plain"
            comparison = "above" if held > full else "all" if held == full else "part"
            yield f"{kind} {name} tile {comparison}"
            yield f"{kind} {name} " + ("gap" if step > held else "overlap" if step < held else "exact")
            if held < full and (full - held) % step:
                yield f"{kind} {name} ragged at {depth}"
    yield f"levels {depth + 1}"
    yield f"most maps over PEs {max(over_pes)}"


def features(text: str, row: Row) -> set[str]:
    """Features of a layer and of its figures."""
    sizes = {d: int(n) for d, n in re.findall(r"([\w']+): (\d+)", text.split("Dimensions")[1].split("}")[0])}
    strides = (
        dict(re.findall(r"([\w']+): (\d+)", text.split("Stride")[1].split("}")[0]))
        if "Stride" in text
        else {}
    )
    directives = [line.strip() for line in text.split("Dataflow {")[1].splitlines() if ";" in line]
    found = set(_map_features(directives, sizes))
    found |= {f"type {kind}" for kind in re.findall(r"Type: (\w+)", text)}
    found |= {f"declares {d}" for d in sizes if d in ("N", "G", "Y'", "X'")}
    found |= {f"stride {n}" for n in strides.values()}
    found |= {"strides differ"} if len(set(strides.values())) > 1 else set()
    found |= (
        {"window above stride"} if sizes.get("R", 1) < max(map(int, strides.values()), default=1) else set()
    )
    mapped = {d.split(")")[-1].strip(" ;'") for d in directives if "Map" in d}
    found |= {f"leaves out {d}" for d in {d.rstrip("'") for d in sizes} - mapped}
    values = [field.strip() for field in row[2:]]
    found |= {"nan"} if any("nan" in v for v in values) else set()
    found |= {"inf"} if any("inf" in v for v in values) else set()
    found |= {"no MACs"} if values[19] == "0" else set()
    return found | {f"utilised PEs {'fraction' if '.' in values[-2] else 'whole'}"}


def _pairs(found: set[str]) -> set[tuple[str, ...]]:
    return set(itertools.combinations(sorted(found), 2)) | {(f,) for f in found}


def _choose(
    file: FuzzFile, case: Case, seen: set[tuple[str, ...]], count: int
) -> tuple[list[int], set[tuple[str, ...]]]:
    """Rows that add most unseen pairs of features, and those pairs."""
    pairs = [_pairs(features(t, r)) for t, r in zip(case.layer_texts, case.rows, strict=True)]
    chosen: list[int] = []
    added: set[tuple[str, ...]] = set()
    while len(chosen) < min(count, len(pairs)):
        best = max(
            (i for i in range(len(pairs)) if i not in chosen), key=lambda i: len(pairs[i] - seen - added)
        )
        chosen.append(best)
        added |= pairs[best] - seen
    return sorted(chosen), added


def select(binary: Binary, seed: str, per_file: int) -> list[Case]:
    """One short file of every category that the reference evaluates."""
    seen: set[tuple[str, ...]] = set()
    found: list[Case] = []
    for category in (c for c in CATEGORIES if c not in ON_REQUEST):
        best: tuple[FuzzFile, list[int], set[tuple[str, ...]]] | None = None
        for number in range(CANDIDATES):
            file, answer, _ = binary.evaluable(random_file(seed, category, number))
            if answer.died:
                continue
            chosen, added = _choose(file, Case.of(file, answer), seen, per_file)
            if best is None or len(added) > len(best[2]):
                best = file, chosen, added
        if best is not None:
            file, chosen, added = best
            seen |= added
            short, answer, _ = binary.evaluable(file.with_units(tuple(file.units[i] for i in chosen)))
            found.append(_case(short, answer))
    return found


def _case(file: FuzzFile, answer: Answer) -> Case:
    """The case, with the constants that its layers still use."""
    used = set(re.findall(r"\bQ\d+\b", "".join(file.units)))
    lines = [line for line in file.constants.splitlines(keepends=True) if line.split()[1] in used]
    return Case.of(FuzzFile(file.name, file.category, "".join(lines), file.units, file.hardware), answer)


def main() -> int:
    """Write the store anew and say how large it is."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.golden", description=__doc__)
    parser.add_argument("--binary", type=Path, required=True, help="a MAESTRO-compatible command")
    parser.add_argument("--seed", default="golden")
    parser.add_argument("--per-file", type=int, default=8, help="layers of each category (default 8)")
    args = parser.parse_args()
    cases = select(Binary(args.binary), args.seed, args.per_file)
    STORE.parent.mkdir(exist_ok=True)
    STORE.write_bytes(gzip.compress(to_json(cases).encode(), mtime=0))
    rows = sum(len(case.rows) for case in cases)
    print(f"{STORE}: {len(cases)} files, {rows} layers, {STORE.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
