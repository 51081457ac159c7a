"""Made-up costs of sweeps, and the states that reductions reach over them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from hypothesis import strategies as st

from jaxmaestro import Costs, Reason
from jaxmaestro.reductions import Reduction


def costs_of(runtime: Any, **fields: Any) -> Costs:
    """Costs with these figures; all others are zero, and tuples are valid unless told otherwise."""
    runtime = np.asarray(runtime)
    n = len(runtime)
    every: dict[str, Any] = {f.name: np.zeros(n) for f in dataclasses.fields(Costs)}
    every |= {"sound": np.ones(n, bool), "fits": np.ones(n, bool), "reasons": np.zeros(n, np.uint32)}
    every["num_macs"] = np.zeros(n, runtime.dtype)
    return Costs(**{**every, "runtime": runtime, **{k: np.asarray(v) for k, v in fields.items()}})


def random_costs(seed: int, n: int, precision: str = "exact", few: bool = True) -> Costs:
    """Figures of few different values (so that there are ties) or many; some tuples illegal, with zeros."""
    rng = np.random.default_rng(seed)
    sound, fits = rng.random(n) < 0.8, rng.random(n) < 0.7
    reasons = np.where(sound, 0, int(Reason.DUPLICATE)) | np.where(fits, 0, int(Reason.L1_SIZE))
    reasons |= np.where(rng.random(n) < 0.3, ~sound * int(Reason.OVERFLOW), 0)
    count, real = (np.int64, np.float64) if precision == "exact" else (np.float32, np.float32)

    def figure(dtype: Any) -> np.ndarray:
        drawn = rng.integers(1, 12, n) if few else np.exp(rng.normal(12, 2, n))
        return (drawn * sound).astype(dtype)

    return costs_of(
        figure(count),
        energy=figure(real) * real(0.1),
        area=figure(real),
        power=figure(real),
        num_macs=figure(count),
        sound=sound,
        fits=fits,
        reasons=reasons.astype(np.uint32),
    )


def state_of(reduction: Reduction[Any, Any], costs: Costs, index: np.ndarray, cuts: Sequence[int]) -> Any:
    """The state after the tuples ``costs``, numbered ``index``, in chunks that end at the cuts."""
    state = reduction.start()
    for rows in np.split(np.arange(len(index)), sorted(cuts)):
        state = reduction.add(state, index[rows], costs[rows])
    return state


def same_states(a: Any, b: Any) -> None:
    """Every array of two states is equal, types and all."""
    leaves = [jax.tree.leaves(state) for state in (a, b)]
    for one, other in zip(*leaves, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def in_64_bits(tree: Any) -> Any:
    """The arrays on the device, none of them cut to 32 bits."""
    with jax.enable_x64(True):
        return jax.device_put(tree)


def cuts(n: int) -> st.SearchStrategy[list[int]]:
    """Where a sweep of n tuples is cut; chunks may be empty."""
    return st.lists(st.integers(0, n), max_size=4)
