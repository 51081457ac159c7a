"""What one evaluation gives: a struct of arrays, one entry a tuple (layer, dataflow, hardware)."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np

Array = Any
"""A JAX or NumPy array (the same struct holds either)."""

TENSORS = ("input", "filter", "output")
"""Order of the tensor axis."""

DELAYS = ("ingress_delay", "egress_delay", "compute_delay")
"""Fields with a last axis of minimum, maximum and average."""

BY_TENSOR = (
    *("l1_reads", "l1_writes", "l2_reads", "l2_writes"),
    *("l1_sizes", "l2_sizes", "energy_l1", "energy_l2"),
)
"""Fields with a last axis of tensors."""

BY_THREE = DELAYS + BY_TENSOR


def _total(by_tensor: Array) -> Array:
    """Sum over tensors; outside a 64-bit scope JAX would wrap int64 to int32."""
    with jax.enable_x64(by_tensor.dtype.itemsize == 8):
        return by_tensor.sum(-1)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, repr=False)
class Costs:
    """All figures of a batch. Shapes are ``[...]`` or ``[..., 3]`` (input, filter, output).

    Counts are int64 in exact mode and float32 in float32 mode. Cycles, elements
    (one element is one byte in the size columns), um^2, mW and nJ, as in the
    reference. ``docs/equations.md`` says where each is computed and what it is
    in the paper.
    """

    # Performance
    runtime: Array  # [...] cycles
    num_macs: Array  # [...] MACs that the reference counts (its partial sums)
    layer_macs: Array  # [...] MACs that the layer has (strides counted, no padding)
    throughput: Array  # [...] MACs a cycle
    ingress_delay: Array  # [..., 3] cycles: min, max, avg (integer, truncated)
    egress_delay: Array  # [..., 3] cycles: min, max, avg
    compute_delay: Array  # [..., 3] cycles: min, max, avg
    average_active_pes: Array  # [...] float
    # Traffic
    l1_reads: Array  # [..., 3] elements
    l1_writes: Array  # [..., 3]
    l2_reads: Array  # [..., 3]
    l2_writes: Array  # [..., 3]
    noc_bandwidth_peak: Array  # [...] elements a cycle that the mapping asks for
    noc_bandwidth_average: Array  # [...] float
    offchip_bandwidth: Array  # [...] elements a cycle that the mapping asks for
    intensity_macs: Array  # [...] MACs of the last case; arithmetic intensity is
    intensity_traffic: Array  # [...] these MACs over this ingress traffic
    noc_bandwidth_sum: Array  # [...] sum over iterations; the average is this / iterations
    iterations: Array  # [...] iterations that were not skipped
    # Buffers
    l1_sizes: Array  # [..., 3] bytes a PE, double buffered
    l2_sizes: Array  # [..., 3] bytes
    input_elements: Array  # [...] the reference's "Num Total Input Pixels"
    filter_elements: Array  # [...] the reference's "Num Total Weight Pixels"
    # Energy, area, power
    energy: Array  # [...] nJ, of this tuple alone (see maestro_energy in results/csv.py)
    energy_l1: Array  # [..., 3] nJ, reads and writes by tensor
    energy_l2: Array  # [..., 3] nJ
    energy_macs: Array  # [...] nJ; not part of `energy` (the reference leaves it out there)
    area: Array  # [...] um^2
    power: Array  # [...] mW
    power_pe: Array  # [...] mW, all PEs
    power_l1: Array  # [...]
    power_l2: Array  # [...]
    power_noc: Array  # [...]
    # Hardware that the figures were computed for (the CSV prints it)
    num_pes: Array  # [...]
    noc_bandwidth: Array  # [...] of the innermost level, which the reference prices and prints
    simd_lanes: Array  # [...]
    levels_reached: Array  # [...] bool: some case went into a sub-cluster (see maestro_energy)
    # Validity
    reasons: Array  # [...] uint32 bit mask, see description/reasons.py
    sound: Array  # [...] bool: the figures can be trusted
    fits: Array  # [...] bool: within the limits of the hardware

    @property
    def valid(self) -> Array:
        """``sound`` and ``fits``."""
        return self.sound & self.fits

    @property
    def arithmetic_intensity(self) -> Array:
        """MACs over elements brought in, of the last iteration case (as the reference); 0 without any."""
        none = (self.intensity_traffic == 0) & (self.intensity_macs == 0)
        with jax.enable_x64(self.intensity_traffic.dtype.itemsize == 8):
            ratio: Array = self.intensity_macs / (self.intensity_traffic + none)
        return ratio

    @property
    def l1_size(self) -> Array:
        """L1 requirement of a PE, bytes."""
        return _total(self.l1_sizes)

    @property
    def l2_size(self) -> Array:
        """L2 requirement, bytes."""
        return _total(self.l2_sizes)

    def __getitem__(self, index: Any) -> Costs:
        """The same struct with every field indexed along its leading axes."""
        return jax.tree.map(lambda field: field[index], self)

    def __len__(self) -> int:
        return int(self.runtime.shape[0])

    def __repr__(self) -> str:
        shape = "x".join(str(n) for n in self.runtime.shape) or "1"
        head = f"Costs of {shape} tuples ({self.runtime.dtype})"
        if isinstance(self.runtime, jax.core.Tracer) or self.runtime.size == 0:
            return head
        sound, fits = np.asarray(self.sound), np.asarray(self.fits)
        lines = [f"{head}: {sound.sum():,} sound, {(sound & fits).sum():,} of them fit"]
        for name in ("runtime", "energy", "throughput", "area", "power"):
            values = np.asarray(getattr(self, name))[sound]
            if values.size:
                lines.append(f"  {name:10s} {values.min():,.6g} to {values.max():,.6g}")
        return "\n".join(lines)
