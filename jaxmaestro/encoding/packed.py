"""Rows as four arrays of int32: what a program is given is handed over array by array.

Handing over the thirty of :class:`~jaxmaestro.encoding.tables.Rows` takes a third as long as what a
CPU then does with a thousand rows.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxmaestro.encoding.tables import MEMORY, HardwareTable, MappingTable, Rows

Array = Any
Table = TypeVar("Table")

_MAPPING = [f.name for f in dataclasses.fields(MappingTable)]
_LEVELS = _MAPPING.index("levels") - len(_MAPPING)
"""Place of a mapping's number of levels: the fields from there on are a word each."""
_NOC = tuple(f.name for f in dataclasses.fields(HardwareTable) if f.name not in MEMORY)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Packed:
    """The fields of rows side by side, int32; what is bool is 0 or 1. As a table, a row an entry."""

    layers: Array  # [b, words]
    mappings: Array  # [b, words]
    nocs: Array  # [b, p, words]; of a table [h, words]
    memories: Array  # [b, q, words]; of a table [h, words]

    @classmethod
    def of_tables(cls, layers: Any, mappings: Any, hardware: HardwareTable) -> Packed:
        """The words of tables, each with entries of its own."""
        sides = ([getattr(hardware, name) for name in names] for names in (_NOC, MEMORY))
        return cls(_pack(jax.tree.leaves(layers)), _pack(jax.tree.leaves(mappings)), *map(_pack, sides))

    @classmethod
    def of(cls, rows: Rows) -> Packed:
        """The words of rows whose memories, if they have several, are along the axis of memories."""
        points = rows.hardware.noc_bandwidth.shape[1]

        def noc(field: Array) -> Array:
            own = field[:, :, 0]  # the number of PEs is the same at all points
            return own if own.shape[1] == points else own.repeat(points, axis=1)

        nocs = [noc(getattr(rows.hardware, name)) for name in _NOC]
        memories = [getattr(rows.hardware, name)[:, 0] for name in MEMORY]
        return cls(
            _pack(jax.tree.leaves(rows.layers)),
            _pack(jax.tree.leaves(rows.mappings)),
            _pack(nocs, 2),
            _pack(memories, 2),
        )

    def take(self, layer: Array, mapping: Array, noc: Array, memory: Array) -> Packed:
        """Of words of tables (NumPy) those of rows: entries ``[b]``, ``[b]``, ``[b, p]`` and ``[b, q]``."""
        chosen = ((self.layers, layer), (self.mappings, mapping), (self.nocs, noc), (self.memories, memory))
        return Packed(*(np.take(words, index, axis=0) for words, index in chosen))

    def only(self, which: Array) -> Packed:
        """The rows of a mask (bool ``[b]``); the mappings of the others are not there: nothing is walked."""
        return dataclasses.replace(self, mappings=self.mappings.at[:, _LEVELS].multiply(which))

    def leave_out(self, first: int) -> None:
        """Let the mappings from the ``first`` row on (NumPy) not be there."""
        self.mappings[first:, _LEVELS] = 0

    def rows(self, like: Rows) -> Rows:
        """The rows, which have the types and shapes of others."""
        hardware = {}
        for names, words, axis in ((_NOC, self.nocs, 2), (MEMORY, self.memories, 1)):
            fields = [getattr(like.hardware, name) for name in names]
            for name, field in zip(names, _unpack(words, fields, 3), strict=True):
                hardware[name] = jnp.expand_dims(field, axis)
        hardware["num_pes"] = hardware["num_pes"][:, :1]
        return dataclasses.replace(
            like,
            layers=_table(self.layers, like.layers),
            mappings=_table(self.mappings, like.mappings),
            hardware=HardwareTable(**hardware),
        )


def _pack(fields: Sequence[Array], axes: int = 1) -> Array:
    """The words of fields ``[..., words]``, behind so many axes that they share."""
    numpy: Any = np if all(isinstance(field, np.ndarray) for field in fields) else jnp
    flat = [field.reshape(*field.shape[:axes], -1).astype(np.int32, copy=False) for field in fields]
    return numpy.concatenate(flat, axis=-1)


def _unpack(words: Array, like: Sequence[Array], axes: int) -> list[Array]:
    """The fields of words ``[..., words]``; others of their types have these shapes behind so many axes."""
    found, begin = [], 0
    for field in like:
        tail = field.shape[axes:]
        end = begin + math.prod(tail)
        own = words[..., begin:end].reshape(*words.shape[:-1], *tail)
        found.append(own != 0 if field.dtype == bool else own.astype(field.dtype))
        begin = end
    return found


def _table(words: Array, like: Table) -> Table:
    """The table of words ``[b, words]``, as another one is."""
    fields, structure = jax.tree.flatten(like)
    table: Table = jax.tree.unflatten(structure, _unpack(words, fields, 1))
    return table
