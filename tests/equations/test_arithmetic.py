"""Integer division: exact whatever the shape of the divisor, traced or not, and used everywhere."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxmaestro.equations
from jaxmaestro.equations.arithmetic import EXACT, FLOAT32, truncated_div

LENGTH = 64
MOST = 2**63 - 1

quotients = st.lists(st.integers(-(2**40), 2**40), min_size=LENGTH, max_size=LENGTH)
divisors = st.integers(1, 2**20) | st.integers(1, 50)


def exact(a: int, b: int) -> int:
    """Quotient truncated towards zero, in Python's unbounded integers."""
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def exact_sends(a: int, b: int) -> int:
    """The quotient, plus one if it leaves a rest."""
    return exact(a, b) + (a % b != 0)


def divided(a: jax.Array, b: jax.Array | int) -> tuple[jax.Array, jax.Array]:
    divisor = EXACT.divisor(b)
    return EXACT.div(a, divisor), EXACT.ceil_div(a, divisor)


both = jax.jit(divided)


over_rows = jax.jit(jax.vmap(both))
over_rows_of_one = jax.jit(jax.vmap(both, in_axes=(0, None)))


def check(a: list[int], b: list[int], found: tuple[jax.Array, jax.Array]) -> None:
    for values, rule in zip(found, (exact, exact_sends), strict=True):
        assert values.dtype == jnp.int64
        assert np.asarray(values).tolist() == [rule(p, q) for p, q in zip(a, b, strict=True)]


# Multiples (and their neighbours) are what a reciprocal gets wrong; most of these are above 2^53.
@settings(max_examples=40, deadline=None)
@given(quotients, divisors, st.integers(-1, 1))
def test_multiples_of_one_divisor(quotient: list[int], divisor: int, rest: int) -> None:
    a = [q * divisor + rest for q in quotient]
    repeated = [divisor] * LENGTH
    with jax.enable_x64(True):
        full, one = jnp.array(a), jnp.array(divisor)
        check(a, repeated, both(full, one))  # broadcast from a scalar
        check(a, repeated, both(full, one[None]))  # ... and from one element
        check(a, repeated, both(full, jnp.array(repeated)))  # of the full shape
        check(a, repeated, divided(full, divisor))  # outside jit


@settings(max_examples=8, deadline=None)
@given(quotients, st.integers(1, 2**20) | st.sampled_from([3, 7, 10, 49, 1000]), st.integers(-1, 1))
def test_multiples_of_a_constant(quotient: list[int], divisor: int, rest: int) -> None:
    a = [q * divisor + rest for q in quotient]
    constant = jax.jit(lambda a: divided(a, divisor))
    with jax.enable_x64(True):
        check(a, [divisor] * LENGTH, constant(jnp.array(a)))


@settings(max_examples=40, deadline=None)
@given(quotients, st.lists(divisors, min_size=LENGTH, max_size=LENGTH))
def test_a_divisor_for_each_element(quotient: list[int], divisor: list[int]) -> None:
    a = [q * d for q, d in zip(quotient, divisor, strict=True)]
    with jax.enable_x64(True):
        full, each = jnp.array(a), jnp.array(divisor)
        check(a, divisor, both(full, each))
        check(a, divisor, jax.vmap(both)(full, each))


@settings(max_examples=20, deadline=None)
@given(quotients, st.lists(divisors, min_size=4, max_size=4))
def test_a_divisor_for_each_row_under_vmap(quotient: list[int], divisor: list[int]) -> None:
    a = [[q * d for q in quotient] for d in divisor]
    with jax.enable_x64(True):
        found = over_rows(jnp.array(a), jnp.array(divisor))
        shared = over_rows_of_one(jnp.array(a), jnp.array(divisor[0]))
    for row, d in enumerate(divisor):
        check(a[row], [d] * LENGTH, (found[0][row], found[1][row]))
        check(a[row], [divisor[0]] * LENGTH, (shared[0][row], shared[1][row]))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(-MOST, MOST), min_size=LENGTH, max_size=LENGTH), st.integers(1, MOST))
def test_any_64_bits(a: list[int], divisor: int) -> None:
    with jax.enable_x64(True):
        check(a, [divisor] * LENGTH, both(jnp.array(a), jnp.array(divisor)))


# Where the first quotient is furthest from the true one.
@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 5000), min_size=LENGTH, max_size=LENGTH), st.integers(0, 62), st.integers(0, 99)
)
def test_the_largest_counts(below: list[int], bits: int, more: int) -> None:
    divisor = min(2**bits + more, MOST)
    a = [MOST - b for b in below]
    with jax.enable_x64(True):
        check(a, [divisor] * len(a), both(jnp.array(a), jnp.array(divisor)))


@settings(max_examples=40, deadline=None)
@given(quotients, st.lists(st.integers(-50, 50).filter(bool), min_size=LENGTH, max_size=LENGTH))
def test_sizes_are_divided_by_any_sign(quotient: list[int], divisor: list[int]) -> None:
    with jax.enable_x64(True):
        found = jax.jit(truncated_div)(jnp.array(quotient), jnp.array(divisor))
    assert found.tolist() == [exact(a, b) for a, b in zip(quotient, divisor, strict=True)]


def test_an_outer_product_broadcasts_both_sides() -> None:
    a, b = np.arange(-40, 41)[:, None], np.array([1, 2, 3, 7, 49])[None]
    with jax.enable_x64(True):
        found = both(jnp.asarray(a), jnp.asarray(b))
    assert found[0].shape == (81, 5)
    assert found[0].tolist() == [[exact(int(p), int(q)) for q in b[0]] for p in a[:, 0]]
    assert found[1].tolist() == [[exact_sends(int(p), int(q)) for q in b[0]] for p in a[:, 0]]


def test_mixed_widths_take_the_wider() -> None:
    with jax.enable_x64(True):
        found = truncated_div(jnp.int64(3 * 2**40), jnp.int32(3))
    assert (found.dtype, int(found)) == (jnp.int64, 2**40)


def test_float32_counts_are_divided_to_whole_numbers() -> None:
    a, b = jnp.array([7.0, -7.0, 6.0, 0.0]), FLOAT32.divisor(jnp.array([2, 2, 3, 5]))
    assert FLOAT32.div(a, b).tolist() == [3, -3, 2, 0]
    assert FLOAT32.ceil_div(a, b).tolist() == [4, -2, 2, 0]
    assert FLOAT32.div(a, b).dtype == jnp.float32


# The equations divide counts by the helper alone.

FOLDER = Path(jaxmaestro.equations.__path__[0])
ROUNDING = {
    *("floor", "ceil", "trunc", "round", "rint", "around", "fix"),
    *("floor_divide", "divmod", "mod", "fmod", "remainder", "rem", "div"),
}
"""Functions that make integers out of quotients, or divide integers; only arithmetic.py calls them."""

ALLOWED = {
    ("blocks.py", "-number % block"): "Python integers",
}


def offences(source: str) -> Iterator[tuple[str, str]]:
    """Expressions that divide counts by something else than ``Arithmetic`` or ``truncated_div``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.FloorDiv | ast.Mod):
            yield ast.unparse(node), type(node.op).__name__
        if not isinstance(node, ast.Call):
            continue
        name, owner = "", ""
        if isinstance(node.func, ast.Attribute):
            name, owner = node.func.attr, ast.unparse(node.func.value)
        elif isinstance(node.func, ast.Name):
            name = node.func.id
        if name in ROUNDING and not (name == "div" and owner.split(".")[-1] == "arithmetic"):
            yield ast.unparse(node), name
        if name == "int" or (name == "astype" and "int" in ast.unparse(node).rsplit("astype", 1)[1]):
            inside = node.args[:1] if name == "int" else [node.func.value]  # type: ignore[attr-defined]
            for part in inside:
                if any(isinstance(n, ast.BinOp) and isinstance(n.op, ast.Div) for n in ast.walk(part)):
                    yield ast.unparse(node), "a quotient made an integer"


@pytest.mark.parametrize(
    "line",
    [
        "a // b",
        "a //= b",
        "a % b",
        "jnp.floor_divide(a, b)",
        "jnp.floor(a / b)",
        "jnp.ceil(a / b)",
        "lax.div(a, b)",
        "jax.lax.rem(a, b)",
        "jnp.remainder(a, b)",
        "round(a / b)",
        "(a / b).astype(jnp.int64)",
        "(x + a / b).astype(int)",
        "int(a / b)",
    ],
)
def test_the_lint_sees(line: str) -> None:
    assert list(offences(line))


def test_the_lint_lets_pass() -> None:
    source = "arithmetic.div(a, b)\nmodel.arithmetic.ceil_div(a, b)\ntruncated_div(a, b)\nx.astype(real) / y"
    assert not list(offences(source))


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_no_other_division_of_counts(path: Path) -> None:
    found = [each for each in offences(path.read_text()) if (path.name, each[0]) not in ALLOWED]
    if path.name == "arithmetic.py":
        assert {what for _, what in found} == {"div", "trunc"}
    else:
        assert not found
