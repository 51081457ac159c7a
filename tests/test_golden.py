"""Figures that the reference printed for random layers, replayed: every field, as text."""

from __future__ import annotations

import functools
import gzip

import pytest

from tests.fuzz import golden
from tests.fuzz.cases import Case, from_json, to_json
from tests.fuzz.networks import CATEGORIES, ON_REQUEST, random_file


@functools.cache
def stored() -> dict[str, Case]:
    return {case.category: case for case in golden.load()}


EVALUATED = [category for category in CATEGORIES if category not in ON_REQUEST]


@pytest.mark.parametrize("category", EVALUATED)
def test_every_field_is_the_references(category: str) -> None:
    from tests.fuzz.ours import evaluate

    case = stored()[category]
    ours = evaluate(case)
    assert not ours.refusal
    assert ours.header == case.header
    for layer, theirs, mine in zip(case.layer_texts, case.rows, ours.rows, strict=True):
        differing = [
            (name, expected, found)
            for name, expected, found in zip(case.header, theirs, mine, strict=True)
            if expected != found
        ]
        assert not differing, f"{case.accelerator}\n{layer}"


def test_the_stored_layers_cover_what_matters() -> None:
    found = {
        feature
        for case in stored().values()
        for text, row in zip(case.layer_texts, case.rows, strict=True)
        for feature in golden.features(text, row)
    }
    types = {f"type {kind}" for kind in ("CONV", "DSCONV", "NGCONV", "TRCONV", "GEMM")}
    levels = {f"levels {count}" for count in (1, 2, 3, 4)}
    special = {
        "nan",
        "strides differ",
        "declares N",
        "declares X'",
        "logical cluster",
        "most maps over PEs 2",
    }
    assert types | levels | special <= found
    assert sum(len(case.rows) for case in stored().values()) >= 400


def test_the_store_is_small_and_survives_a_round_trip() -> None:
    assert golden.STORE.stat().st_size < 600_000
    text = gzip.decompress(golden.STORE.read_bytes()).decode()
    assert to_json(from_json(text)) == text


def test_the_same_seed_makes_the_same_file() -> None:
    assert random_file("0", "mixedn", 3) == random_file("0", "mixedn", 3)
    assert random_file("0", "mixedn", 3) != random_file("1", "mixedn", 3)
