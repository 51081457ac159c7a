"""How much work a JAX primitive is that is no layer: operations, and elements written.

An operation is one arithmetic or comparing step on one element: an addition, a maximum, an
exponential. Moving data counts as elements and no operations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxmaestro.frontends.workload import Kind, Unmapped

_MOVEMENT = frozenset(
    """bitcast_convert_type broadcast_in_dim concatenate convert_element_type copy copy_p device_put
    dynamic_slice dynamic_update_slice empty empty2 full gather get iota name optimization_barrier pad pvary
    random_unwrap random_wrap reshape rev scatter sharding_constraint slice split squeeze stack stop_gradient
    swap transpose reduce_precision mesh_cast reshard layout_constraint create_token after_all""".split()
)
_COMMUNICATION = frozenset(
    """all_gather all_gather_invariant all_to_all pbroadcast pmax pmin ppermute psum psum2 psum_invariant
    psum_scatter ragged_all_to_all reduce_scatter axis_index""".split()
)
HIDDEN = frozenset(
    "custom_call debug_callback ffi_call io_callback pure_callback tpu_custom_call triton_kernel_call".split()
)
"""Calls of what is no JAX: nobody can say what work they do."""

_REDUCTION_PREFIXES = ("reduce_", "arg", "cum")
_WINDOWED = ("reduce_window", "select_and_scatter", "select_and_gather")


def unmapped(equation: Any, runs: int) -> Unmapped:
    """The entry of an equation of a jaxpr that runs ``runs`` times."""
    name = equation.primitive.name
    kind, operations = _work(name, equation)
    elements = sum(_size(variable) for variable in equation.outvars)
    return Unmapped(name, kind, runs, operations * runs, elements * runs)


def _work(name: str, equation: Any) -> tuple[Kind, int]:
    outputs = sum(_size(variable) for variable in equation.outvars)
    inputs = [_size(variable) for variable in equation.invars]
    if name in _MOVEMENT:
        return "movement", 0
    if name in _COMMUNICATION:
        return "communication", 0
    if name in HIDDEN:
        return "other", 0
    if name.startswith(_WINDOWED):
        window = math.prod(equation.params.get("window_dimensions", (1,)))
        positions = inputs[1] if name.startswith("select_and_scatter") and len(inputs) > 1 else outputs
        return "reduction", positions * window
    if name == "reduce" or name.startswith(_REDUCTION_PREFIXES):
        return "reduction", inputs[0] if inputs else 0
    if name.startswith("scatter"):  # those that add, multiply or compare; a plain scatter moves data
        return "reduction", inputs[-1]
    known = _solver(name, equation)
    if known is not None:
        return "other", known
    shapes = [_shape(variable) for variable in equation.invars]
    if all(_shape(variable) == _broadcast(shapes) for variable in equation.outvars):
        return "elementwise", outputs * _steps(name, equation)
    return "other", outputs


def _steps(name: str, equation: Any) -> int:
    """Operations an element of an elementwise primitive that XLA takes apart; of all others one."""
    match name:
        case "logistic":  # 1 / (1 + exp(-x))
            return 4
        case "integer_pow":  # squares, and a product for every other bit of the exponent
            power = int(equation.params["y"])
            products = abs(power).bit_length() + abs(power).bit_count() - 2
            return max(1, products + (power < 0))
        case _:
            return 1


def _broadcast(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...] | None:
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        return None


def _solver(name: str, equation: Any) -> int | None:
    """Leading order of the operations of sorting, transforms and dense solvers; None for all else."""
    if name not in (
        "sort",
        "top_k",
        "fft",
        "cholesky",
        "lu",
        "triangular_solve",
        "qr",
        "householder_product",
    ):
        return None
    shape = _shape(equation.invars[0])
    size, last = math.prod(shape), shape[-1] if shape else 1
    match name:
        case "sort" | "top_k":
            length = shape[equation.params.get("dimension", -1)] if shape else 1
            return len(equation.invars) * size * max(1, math.ceil(math.log2(max(length, 2))))
        case "fft":
            points = math.prod(equation.params["fft_lengths"])
            return math.ceil(5 * size * math.log2(max(points, 2)))
        case "cholesky":
            return size * last // 3
        case "lu" | "qr" | "householder_product":
            return 2 * size * min(shape[-2:]) * (1 if name == "lu" else 2) // 3
        case _:  # triangular_solve: half of a square matrix against every right-hand side
            return _size(equation.invars[1]) * last


def _shape(variable: Any) -> tuple[int, ...]:
    return tuple(getattr(variable.aval, "shape", ()))


def _size(variable: Any) -> int:
    return math.prod(_shape(variable))
