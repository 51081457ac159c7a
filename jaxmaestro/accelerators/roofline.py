"""The least cycles that a layer can take on an accelerator.

Every MAC takes a lane of a PE for a cycle, and every element passes the off-chip interface once: inputs
and filters in, outputs out. As in the cost model, both directions go on at the same time.
"""

from __future__ import annotations

import math

from jaxmaestro.description import Hardware, Layer, LayerType


def elements(layer: Layer) -> tuple[int, int, int]:
    """Elements of the input that are used, of the filter and of the output, each once."""
    size = {name: layer.input_sizes.get(name, 1) for name in "NGKCRSYXM"}
    if layer.type is LayerType.GEMM:
        m, n, k = size["M"], size["N"], size["K"]
        return m * k, k * n, m * n
    groups = size["G"] if layer.type is LayerType.NGCONV else 1
    # A depthwise filter takes one channel to one.
    filters = 1 if layer.type is LayerType.DSCONV else size["K"]
    steps, touched = 1, 1
    for axis, window in (("Y", "R"), ("X", "S")):
        stride, filter_ = layer.output_stride(axis), size[window]
        rows = layer[axis + "'"] if axis not in layer else (size[axis] - filter_) // stride + 1
        steps *= rows
        # A filter that is smaller than its stride passes over some inputs.
        touched *= rows * filter_ if filter_ < stride else (rows - 1) * stride + filter_
    inputs = size["N"] * groups * size["C"] * touched
    weights = groups * size["C"] * filters * size["R"] * size["S"]
    channels = size["C"] if layer.type is LayerType.DSCONV else size["K"]
    return inputs, weights, size["N"] * groups * channels * steps


def roofline(layer: Layer, hardware: Hardware) -> float:
    """Cycles that no mapping of the layer can be below."""
    inputs, weights, outputs = elements(layer)
    compute = layer.macs / (hardware.num_pes * hardware.simd_lanes)
    return max(compute, math.ceil(max(inputs + weights, outputs) / hardware.offchip_bandwidth))
