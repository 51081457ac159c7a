"""Where each dimension lives in an array: eight slots shared by all layer types.

A GEMM (M x K times K x N) uses the slots of the convolution that it is: its M
is a batch, its K the contracted channels, its N a column that only filter and
output see. The slot order is the order in which the reference lists a tensor's
dimensions, which decides between two spatial maps of one level.
"""

from __future__ import annotations

import numpy as np

from jaxmaestro.description import LayerType

N, G, K, C, R, S, Y, X = range(8)
SLOTS = 8
OUT_Y, OUT_X = 8, 9
"""Extra entries of a layer's reference sizes: what ``Sz(Y')`` and ``Sz(X')`` stand for."""

CONVOLUTION_SLOT = {"N": N, "G": G, "K": K, "C": C, "R": R, "S": S, "Y": Y, "X": X}
GEMM_SLOT = {"M": N, "K": C, "N": X}
SLIDES_OVER = {Y: R, X: S}
AXES, WINDOWS = slice(Y, X + 1), slice(R, S + 1)
"""What is slid over, and in the same order what slides over it; the axes are the last slots."""

UNROLL_ORDER = np.array([3, 1, 2, 0, 4, 5, 7, 6], np.int32)
"""Rank of each slot among dimensions that no directive names: alphabetical."""

INPUT, FILTER, OUTPUT = range(3)


def slots_of(kind: LayerType) -> dict[str, int]:
    """Dimension name to slot, for layers of one type."""
    return GEMM_SLOT if kind is LayerType.GEMM else CONVOLUTION_SLOT


def coupling(kind: LayerType, batch: bool) -> np.ndarray:
    """Which slots each tensor depends on, bool ``[3, SLOTS]`` (MICRO'19, background).

    ``batch`` says whether the tensors have a batch dimension N (convolutions only).
    """
    match kind:
        case LayerType.GEMM:
            coupled = [[N, C], [C, X], [N, X]]
        case LayerType.DSCONV:
            coupled = [[C, Y, X], [C, R, S], [C, Y, X]]
        case LayerType.NGCONV:
            coupled = [[G, C, Y, X], [G, K, C, R, S], [G, K, C, Y, X]]
        case _:
            coupled = [[C, Y, X], [K, C, R, S], [K, Y, X]]
    table = np.zeros((3, SLOTS), bool)
    for tensor, slots in enumerate(coupled):
        table[tensor, slots] = True
    if batch and kind is not LayerType.GEMM:
        table[[INPUT, OUTPUT], N] = True
    return table
