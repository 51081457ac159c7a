"""Why a tuple's figures cannot be trusted, or do not fit: one bit each."""

from __future__ import annotations

import enum


class Reason(enum.IntFlag):
    """Bits of ``Costs.reasons``; ``UNSOUND`` and ``UNFIT`` are the two groups."""

    FEWER_MACS = 1 << 0
    MORE_MACS = 1 << 1
    BELOW_ROOFLINE = 1 << 2
    OVERFLOW = 1 << 3
    ILLEGAL_CLUSTER = 1 << 4  # more PEs in the clusters than there are, or more than four levels
    ILLEGAL_FILTER_TILE = 1 << 5  # temporal R or S tile that is not the whole dimension
    MISSING_DIMENSION = 1 << 6  # a tensor lacks a dimension, or a directive names one that is not there
    ILLEGAL_SPATIAL = 1 << 7  # no spatial map, or more than two, in a level
    DUPLICATE = 1 << 8  # a dimension mapped twice in a way that is not supported
    UNDEFINED = 1 << 9  # the reference reads an uninitialised value here
    TERMINATES = 1 << 10  # the reference gives up on this iteration case
    NO_WORK = 1 << 11  # every iteration case was skipped
    CAPACITY = 1 << 12  # more sub-tile variants than the batch was compiled for
    NONPOSITIVE = 1 << 13  # a size, offset, bandwidth or count below one
    NEGATIVE = 1 << 14  # some count is below zero: cases without work were counted
    L1_SIZE = 1 << 16
    L2_SIZE = 1 << 17
    NOC_BANDWIDTH = 1 << 18
    OFFCHIP_BANDWIDTH = 1 << 19

    @classmethod
    def decode(cls, mask: int) -> list[str]:
        """Names of the bits that are set."""
        return [flag.name or "" for flag in cls if mask & flag]


UNFIT = Reason.L1_SIZE | Reason.L2_SIZE | Reason.NOC_BANDWIDTH | Reason.OFFCHIP_BANDWIDTH
ILLEGAL = (
    Reason.ILLEGAL_CLUSTER
    | Reason.MISSING_DIMENSION
    | Reason.ILLEGAL_SPATIAL
    | Reason.DUPLICATE
    | Reason.TERMINATES
    | Reason.CAPACITY
    | Reason.NONPOSITIVE
)
"""The reference gives no figures for these (or we do not): the figures are zero."""
UNSOUND = Reason(0xFFFF) & ~UNFIT
DESCRIBED = Reason.ILLEGAL_FILTER_TILE | Reason.UNDEFINED | Reason.OVERFLOW
"""Worth saying of a tuple whether or not it has figures."""
