"""``python -m tests.fuzz --binary PATH``: random networks through a reference and through jaxmaestro."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.fuzz.binary import Binary, Death, count_causes
from tests.fuzz.cases import Case, load_folder
from tests.fuzz.compare import Report
from tests.fuzz.networks import CATEGORIES, ON_REQUEST, random_files


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--binary", type=Path, help="a MAESTRO-compatible command to compare with")
    source.add_argument(
        "--golden", type=Path, help="a folder of NAME.m, NAME.hw.m (or NAME.args) and NAME.csv"
    )
    parser.add_argument("--layers", type=int, default=20000, help="how many layers to make (default 20000)")
    parser.add_argument("--per-file", type=int, default=50, help="layers in a file (default 50)")
    parser.add_argument("--seed", default="0", help="the same seed makes the same layers")
    parser.add_argument(
        "--category",
        action="append",
        choices=list(CATEGORIES),
        metavar="NAME",
        help=f"only this one (may be repeated): {', '.join(CATEGORIES)}; "
        f"on request only: {', '.join(f'{n} ({why})' for n, why in ON_REQUEST.items())}",
    )
    parser.add_argument("--keep", type=Path, help="keep the files and the binary's figures in this folder")
    parser.add_argument("--examples", type=int, default=5, help="how many differences to show")
    parser.add_argument("--strict", action="store_true", help="count overflowed and undefined rows too")
    parser.add_argument("--timeout", type=float, default=20.0, help="seconds for one file in the binary")
    parser.add_argument("--reference-only", action="store_true", help="run the binary alone, compare nothing")
    return parser.parse_args()


def _progress(files: int, report: Report) -> None:
    if sys.stderr.isatty():
        print(
            f"\r{files} files, {report.rows:,} rows, {report.differences:,} differences",
            end="",
            file=sys.stderr,
        )


def main() -> int:
    """Exit status: 0 all fields equal, 1 some differ or were refused."""
    args = _arguments()
    report = Report(limit=args.examples, strict=args.strict)
    take = report.count_reference if args.reference_only else report.compare
    deaths: list[Death] = []
    if args.golden:
        for files, case in enumerate(load_folder(args.golden), start=1):
            if args.category and case.category not in args.category:
                continue
            take(case)
            _progress(files, report)
    else:
        binary = Binary(args.binary, args.timeout)
        for files, file in enumerate(
            random_files(args.seed, args.layers, args.category, args.per_file), start=1
        ):
            alive, answer, dead = binary.evaluable(file)
            deaths += dead
            if not answer.died:
                case = Case.of(alive, answer)
                if args.keep:
                    case.save(args.keep)
                take(case)
            if not args.reference_only:
                for death in dead:
                    report.death(death)
            _progress(files, report)
    print(f"\n{report}" if sys.stderr.isatty() else report)
    if args.reference_only:
        for cause, count in count_causes(deaths).items():
            print(f"  {count:8,} died: {cause}")
    return 1 if report.differences else 0


if __name__ == "__main__":
    raise SystemExit(main())
