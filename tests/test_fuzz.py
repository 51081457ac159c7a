"""The fuzzer itself: it finds the layers a binary dies of, and counts what differs."""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path

import pytest

from tests.fuzz import compare, golden
from tests.fuzz.binary import Binary, count_causes
from tests.fuzz.cases import Case, load_folder
from tests.fuzz.networks import CATEGORIES, ON_REQUEST, random_file, random_files
from tests.fuzz.ours import Ours

# A stand-in for the reference: dies of layers 3 and 7, and of layer 9 when layer 5 went before.
FAKE = """#!{python}
import re, sys
from pathlib import Path
path = Path(next(a for a in sys.argv if "Mapping_file" in a).split("=")[1])
names = re.findall(r"Layer (\\S+)", path.read_text())
if any(n[:4] in ("L003", "L007") for n in names):
    print("[Error] line 12 of layer 3")
    sys.exit(255)
if any(n[:4] == "L005" for n in names) and any(n[:4] == "L009" for n in names):
    sys.exit(1)
path.with_suffix(".csv").write_text("Name, Layer\\n" + "".join(f"net, {{n}}\\n" for n in names))
"""


@pytest.fixture
def fake(tmp_path: Path) -> Binary:
    script = tmp_path / "fake"
    script.write_text(FAKE.format(python=sys.executable))
    script.chmod(0o755)
    return Binary(script)


def test_layers_that_the_binary_dies_of_are_found_and_dropped(fake: Binary) -> None:
    file = random_file("0", "conv_kcp", 0, layers=12)
    alive, answer, deaths = fake.evaluable(file)
    assert [row[1][1:5] for row in answer.rows] == [f"L{i:03d}" for i in (0, 1, 2, 4, 5, 6, 8, 10, 11)]
    assert len(alive.units) == len(answer.rows)
    assert count_causes(deaths) == {"[Error] line # of layer #": 2, "only after others: exit status 1": 1}


def test_a_kept_case_is_read_back(fake: Binary, tmp_path: Path) -> None:
    for number in range(16):
        alive, answer, _ = fake.evaluable(random_file("0", "gemm", number, layers=3))
        Case.of(alive, answer).save(tmp_path / "kept")
    kept = list(load_folder(tmp_path / "kept"))
    assert [len(case.rows) for case in kept] == [3] * 16
    assert any(case.flags for case in kept) and any(case.hardware for case in kept)
    assert kept[0].category == "gemm"


@pytest.fixture
def case() -> Case:
    return golden.load()[0]


def stub(monkeypatch: pytest.MonkeyPatch, answer: Ours) -> compare.Report:
    monkeypatch.setattr(compare, "evaluate", lambda case: answer)
    return compare.Report()


def equal(case: Case, mask: int = 0) -> Ours:
    count = len(case.rows)
    return Ours(case.header, case.rows, (mask,) * count, (True,) * count, (False,) * count)


def test_equal_answers_give_no_difference(monkeypatch: pytest.MonkeyPatch, case: Case) -> None:
    report = stub(monkeypatch, equal(case))
    report.compare(case)
    assert (report.differences, report.fields) == (0, 52 * len(case.rows))
    assert (report.sound, report.valid) == (len(case.rows), 0)


def test_one_changed_field_is_counted_by_its_column(monkeypatch: pytest.MonkeyPatch, case: Case) -> None:
    changed = (*case.rows[1][:3], case.rows[1][3] + "0", *case.rows[1][4:])
    answer = dataclasses.replace(equal(case), rows=(case.rows[0], changed, *case.rows[2:]))
    report = stub(monkeypatch, answer)
    report.compare(case)
    assert dict(report.by_column) == {" Runtime (Cycles)": 1}
    assert "row 1" in str(report) and case.layer_texts[1].split()[1] in str(report)


def test_rows_that_we_flag_as_undefined_are_counted_apart(
    monkeypatch: pytest.MonkeyPatch, case: Case
) -> None:
    from jaxmaestro.description.reasons import Reason

    rows = tuple((*row[:-1], " other") for row in case.rows)
    answer = dataclasses.replace(equal(case, int(Reason.UNDEFINED)), rows=rows)
    report = stub(monkeypatch, answer)
    report.compare(case)
    assert (report.differences, report.excused) == (0, {"UNDEFINED": len(case.rows)})


def test_a_layer_that_we_refuse_is_a_difference(monkeypatch: pytest.MonkeyPatch, case: Case) -> None:
    culprit = case.layer_texts[2].split()[1]

    def refuses(given: Case) -> Ours:
        return Ours(refusal="a.m:1:1: layer L: wrong") if culprit in given.mapping else equal(given)

    monkeypatch.setattr(compare, "evaluate", refuses)
    report = compare.Report()
    report.compare(case)
    assert (report.refused, report.differences) == (1, 1)
    assert culprit in report.examples[0].layer


def test_every_category_makes_layers_of_its_kind() -> None:
    for category in CATEGORIES:
        text = random_file("0", category, 0, layers=4).text
        assert text.count("{") == text.count("}")
        assert len(re.findall(r"Layer ", text)) >= 4
    assert "N: " in random_file("0", "convn_free2", 0, layers=4).text
    assert "Constant " in random_file("0", "gemm_const", 0, layers=4).text
    assert "Y': " in random_file("0", "conv_outdims", 0, layers=4).text


def test_files_come_in_turn_until_enough_layers_were_made() -> None:
    files = list(random_files("0", 60, per_file=20))
    assert len({file.category for file in files}) == 3
    assert not {file.category for file in random_files("0", 2000, per_file=1)} & set(ON_REQUEST)
