"""One equation of a jaxpr as an operator: ``conv_general_dilated``, ``dot_general``, ``ragged_dot_general``.

The meaning of the parameters is that of the functions of those names in :mod:`jax.lax`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from jaxmaestro.frontends.operators import Axis, Convolution, Operator, Product


def operator_of(equation: Any, filter_first: bool) -> tuple[Operator, tuple[str, ...]] | None:
    """The operator of an equation and remarks on it, or None if it is no convolution or product.

    Args:
        equation: of a jaxpr.
        filter_first: of a product's two matrices the first is the filter; of a convolution the
            filter is always the second.
    """
    lhs, rhs = (tuple(v.aval.shape) for v in equation.invars[:2]) if len(equation.invars) > 1 else ((), ())
    match equation.primitive.name:
        case "conv_general_dilated":
            return _convolution(lhs, rhs, equation.params), ()
        case "dot_general":
            contracting, batch = equation.params["dimension_numbers"]
            return _product(lhs, rhs, contracting, batch, filter_first), ()
        case "ragged_dot_general":
            return _ragged(lhs, rhs, tuple(equation.invars[2].aval.shape), equation.params)
        case _:
            return None


def transposes(equation: Any, permutation: Sequence[int]) -> bool:
    """Whether a ``dot_general`` is transposed right away such that its first operand gives the columns.

    The result of a ``dot_general`` has the axes of the batch, those of the first operand, those of
    the second. Products written as einsums are often computed with their operands swapped.
    """
    contracting, batch = equation.params["dimension_numbers"]
    last = permutation[-1] if permutation else -1
    own = len(equation.invars[0].aval.shape) - len(contracting[0])
    return len(batch[0]) <= last < own


def _convolution(lhs: Sequence[int], rhs: Sequence[int], params: dict[str, Any]) -> Convolution:
    numbers = params["dimension_numbers"]
    batch, _, *spatial = numbers.lhs_spec
    filters, channels, *taps = numbers.rhs_spec
    # At most one of the two group counts is above one. Groups of the batch arise in gradients of
    # grouped convolutions: each part of the batch meets filters of its own.
    batch_groups = params["batch_group_count"]
    groups = params["feature_group_count"] * batch_groups
    axes = zip(
        (lhs[axis] for axis in spatial),
        (rhs[axis] for axis in taps),
        params["window_strides"],
        params["padding"],
        params["lhs_dilation"] or (1,) * len(spatial),
        params["rhs_dilation"] or (1,) * len(spatial),
        strict=True,
    )
    return Convolution(
        batch=lhs[batch] // batch_groups,
        groups=groups,
        channels=rhs[channels],
        filters=rhs[filters] // groups,
        axes=tuple(
            Axis(size, taps, stride, int(before), int(after), spread, dilation)
            for size, taps, stride, (before, after), spread, dilation in axes
        ),
    )


def _product(
    lhs: Sequence[int],
    rhs: Sequence[int],
    contracting: tuple[Iterable[int], Iterable[int]],
    batch: tuple[Iterable[int], Iterable[int]],
    filter_first: bool,
) -> Product:
    (inner, inner_rhs), (shared, shared_rhs) = map(tuple, contracting), map(tuple, batch)
    rows = _others(lhs, (*inner, *shared))
    columns = _others(rhs, (*inner_rhs, *shared_rhs))
    if filter_first:
        rows, columns = columns, rows
    return Product(rows, columns, math.prod(lhs[a] for a in inner), math.prod(lhs[a] for a in shared))


def _others(shape: Sequence[int], axes: tuple[int, ...]) -> int:
    return math.prod(size for axis, size in enumerate(shape) if axis not in axes)


def _ragged(
    lhs: Sequence[int], rhs: Sequence[int], groups: Sequence[int], params: dict[str, Any]
) -> tuple[Operator, tuple[str, ...]]:
    """A product in which groups of rows (or of what is summed up) have a matrix of their own.

    How many there are in each group is data. The groups are taken to be equal, which leaves the MACs
    as they are if the groups hold all rows.
    """
    numbers = params["ragged_dot_dimension_numbers"]
    contracting, batch = numbers.dot_dimension_numbers
    ragged, group_axes = set(numbers.lhs_ragged_dimensions), tuple(numbers.rhs_group_dimensions)
    count = groups[-1]
    whole = _product(lhs, [1 if a in group_axes else n for a, n in enumerate(rhs)], contracting, batch, False)
    if ragged & set(contracting[0]):
        split, size = "inner", whole.inner
    elif ragged & set(batch[0]):
        return whole, ()  # the batch itself is in groups
    else:
        split, size = "rows", whole.rows
    if size % count:
        return whole, (f"{count} groups of unknown sizes: described as one product",)
    parts = {"rows": whole.rows, "inner": whole.inner, split: size // count}
    product = Product(parts["rows"], whole.columns, parts["inner"], whole.batch * count)
    return product, (f"{count} groups of unknown sizes: taken to be equal",)
