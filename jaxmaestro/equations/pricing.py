"""Area, power and energy (the reference's embedded 28 nm figures; MICRO'19, cost analysis)."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from jaxmaestro.equations.arithmetic import product

Array = Any

MAC_AREA, MAC_POWER = 283.0, 1.2223  # um^2, mW
MAC_ENERGY = 0.00023  # nJ
SRAM_AREA, SRAM_POWER = 0.104, 0.00345  # um^2, mW a byte
BUS_AREA, BUS_POWER = 101.7938, 0.8
BUS_SLOPE, BUS_OFFSET = 14.662, 28.895
ARBITER_AREA, ARBITER_POWER = 395.473, 0.34
ARBITER_SQUARE, ARBITER_SLOPE, ARBITER_OFFSET = 1.2886, 5.5814, -23.711
L1_ENERGY, L2_ENERGY = 1.68, 18.61  # energy of an access, in MACs


def bus_scale(num_pes: Array) -> Array:
    """Size of a bus in units, growing linearly with the PEs that it joins."""
    return product(num_pes, BUS_SLOPE) + BUS_OFFSET


def arbiter_scale(num_pes: Array) -> Array:
    """Size of a matrix arbiter in units, growing quadratically."""
    linear = product(num_pes, ARBITER_SLOPE)
    return product(num_pes**2, ARBITER_SQUARE) + linear + ARBITER_OFFSET


def area_of(num_pes: Array, lanes: Array, noc_bandwidth: Array, l1: Array, l2: Array) -> Array:
    """Area in um^2: PEs with their L1, one L2, one bus and its arbiter. Sizes in bytes."""
    pe = product(lanes, MAC_AREA) + product(_cells(l1), SRAM_AREA)
    bus = product(product(bus_scale(num_pes), BUS_AREA), noc_bandwidth)
    arbiter = jnp.maximum(product(arbiter_scale(num_pes), ARBITER_AREA), ARBITER_AREA)
    return product(num_pes, pe) + product(_cells(l2), SRAM_AREA) + bus + arbiter


def powers_of(
    num_pes: Array, lanes: Array, noc_bandwidth: Array, l1: Array, l2: Array
) -> tuple[Array, Array, Array, Array]:
    """Power in mW of all MACs, all L1s, the L2, the NoC."""
    bus = product(product(product(bus_scale(num_pes), BUS_POWER), 1e-3), noc_bandwidth)
    arbiter = jnp.maximum(product(product(arbiter_scale(num_pes), ARBITER_POWER), 1e-3), ARBITER_POWER)
    return (
        product(product(num_pes, MAC_POWER), lanes),
        product(product(num_pes, SRAM_POWER), _cells(l1)),
        product(_cells(l2), SRAM_POWER),
        bus + arbiter,
    )


def _cells(size: Array) -> Array:
    """SRAM cells of one byte; an empty memory still has one."""
    return jnp.where(size == 0, 1, size)
