"""Whether reductions of two processes would do the same."""

from __future__ import annotations

import dataclasses
import functools
import subprocess
import sys
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from jaxmaestro.streaming.identity import identity


@dataclasses.dataclass(frozen=True)
class Frozen:
    value: Any = None


class Plain:
    def __init__(self, value: Any) -> None:
        self.value = value


class Slots:
    __slots__ = ()


def function() -> None:
    """Known by its name."""


def test_equal_contents_are_equal() -> None:
    long = np.arange(10**5)
    for value in (
        1,
        "text",
        None,
        (1, [2.5]),
        {"a": long},
        Plain(long),
        Frozen(function),
        np.float32(2),
        Frozen,
    ):
        assert identity(Frozen(value)) == identity(Frozen(value))
        assert identity(Frozen(value)) is not None
    assert identity(Frozen(jnp.arange(3))) == identity(Frozen(np.arange(3, dtype=np.int32)))


def test_different_contents_differ() -> None:
    changed = np.arange(10**5)
    changed[5000] = 0  # where NumPy's text of it has dots
    values: list[Any] = [1, 1.0, True, "1", None, (1,), [1], {"a": 1}, function, Plain, np.int8(1)]
    values += [np.arange(10**5), changed, changed.astype(np.int32), changed.reshape(2, -1), np.array(1)]
    found = [identity(Frozen(value)) for value in values]
    assert None not in found
    assert len(set(found)) == len(found)
    assert identity(Plain(1)) != identity(Frozen(1))


def test_what_cannot_be_told_is_not() -> None:
    itself: list[Any] = []
    itself.append(itself)
    values: list[Any] = [
        lambda: 0,
        functools.partial(function),
        Slots(),
        np.array([function]),
        [].append,
        itself,
    ]
    for value in values:
        assert identity(Frozen(value)) is None


@pytest.mark.parametrize("seed", ["1", "2"])
def test_processes_agree(seed: str) -> None:
    code = (
        "from jaxmaestro.streaming.identity import identity; "
        "from jaxmaestro.description import Hardware; print(identity([Hardware(), {'a': 1}]))"
    )
    from jaxmaestro.description import Hardware

    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == identity([Hardware(), {"a": 1}])
