"""Pickles of strangers, read without running anything that is in them.

A pickle is a program: ``pickle.load`` imports what the file names and calls it. Here the
instructions that a table needs are listed, as are the few names that a file may call;
those stand for harmless stand-ins of our own. All else is refused.
"""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from jaxmaestro.description import DescriptionError

LARGEST = 2**28
"""Bytes of a file that is read; the tables have a few million."""

_OPCODES = (
    "PROTO FRAME STOP MARK POP NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 FLOAT BINFLOAT "
    "SHORT_BINUNICODE BINUNICODE UNICODE SHORT_BINBYTES BINBYTES EMPTY_LIST LIST APPEND APPENDS "
    "EMPTY_DICT DICT SETITEM SETITEMS EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 "
    "GLOBAL STACK_GLOBAL REDUCE NEWOBJ BUILD MEMOIZE PUT BINPUT LONG_BINPUT GET BINGET LONG_BINGET"
).split()
"""Not among them: persistent and extension objects, INST, OBJ, protocol 5's buffers."""


class Inert:
    """A stand-in for a class of a pickle. It keeps what it was made of; it does nothing."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = {}

    def restore(self, state: Any) -> Any:
        """Take the state that a BUILD instruction gives, and return what to use from now on."""
        self.state = state
        return self


class NumberType(Inert):
    """Stands for ``numpy.dtype``: a number type, or a record of them."""

    dtype: np.dtype[Any]

    def __init__(self, name: str, *arguments: Any) -> None:
        super().__init__(name, *arguments)
        if not re.fullmatch(r"[<>=|]?[biuf][1248]|[<>=|]?V\d{1,4}", name):
            raise DescriptionError(f"it holds numbers of type '{name[:20]}'")
        self.dtype = np.dtype(name)

    def restore(self, state: Any) -> NumberType:
        """The byte order; of a record the fields too."""
        order, names, fields = state[1], state[3], state[4]
        if names is not None:
            parts = [fields[name] for name in names]
            formats, offsets = [part[0].dtype for part in parts], [part[1] for part in parts]
            self.dtype = np.dtype(
                {"names": list(names), "formats": formats, "offsets": offsets, "itemsize": state[5]}
            )
        elif order in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(order)
        return self


def read_pickle(path: str | Path) -> Any:
    """A pickled structure of numbers, text, lists, dictionaries and DARTS genotypes.

    NumPy's numbers become Python's; a genotype a tuple of four with names.

    Raises:
        DescriptionError: the file is no pickle, is damaged, or asks for anything else.
        OSError: it cannot be read.
    """

    class Genotype(NamedTuple):  # made anew for each file: what a file does to it ends with the file
        normal: Any
        normal_concat: Any
        reduce: Any
        reduce_concat: Any

    def number(kind: NumberType, data: bytes) -> float | int | bool:
        return np.frombuffer(data, kind.dtype)[0].item()

    def encoded(text: str, _: str) -> bytes:
        return text.encode("latin-1")

    names: dict[str, Callable[..., Any]] = {
        "numpy.core.multiarray.scalar": number,
        "numpy._core.multiarray.scalar": number,
        "numpy.dtype": NumberType,
        "_codecs.encode": encoded,  # how older protocols write bytes
        # The class of the genotypes: whichever module a script defined it in.
        "Genotype": Genotype,
    }
    return unpickle(path, names)


def unpickle(
    path: str | Path,
    names: Mapping[str, Callable[..., Any]],
    adopt: Callable[[Any, io.BytesIO], Any] | None = None,
) -> Any:
    """Read a pickle whose names are looked up in ``names`` alone, whole or by their last part.

    Args:
        path: the file.
        names: ``module.name`` or ``name`` and what stands for it.
        adopt: called with each stand-in that got its state, and the file, and returns what
            to use in its place; for formats that put raw data between instructions.

    Raises:
        DescriptionError, OSError: as :func:`read_pickle`.
    """
    data = Path(path).read_bytes()
    if len(data) > LARGEST:
        raise DescriptionError(
            f"it has {len(data):,} bytes", source=str(path), fix=f"at most {LARGEST:,} are read"
        )
    try:
        return _Reader(io.BytesIO(data), names, adopt).load()
    except DescriptionError as error:
        raise _refusal(path, error.message) from None
    except Exception as error:  # a file can bring about nearly any
        raise _refusal(path, f"it is no pickle of a table ({type(error).__name__})") from None


def _refusal(path: str | Path, why: str) -> DescriptionError:
    return DescriptionError(
        f"refused: {why}",
        source=str(path),
        fix="only numbers, text, lists, dictionaries and genotypes are read from a pickle",
    )


class _Reader(pickle._Unpickler):
    """Python's own reader of pickles, less what could run code."""

    stack: list[Any]
    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        getattr(pickle, name)[0]: pickle._Unpickler.dispatch[getattr(pickle, name)[0]] for name in _OPCODES
    }

    def __init__(
        self,
        file: io.BytesIO,
        names: Mapping[str, Callable[..., Any]],
        adopt: Callable[[Any, io.BytesIO], Any] | None,
    ) -> None:
        super().__init__(file, encoding="ASCII")
        self._source, self._names, self._adopt = file, names, adopt

    def load(self) -> Any:
        try:
            return super().load()
        except KeyError as error:
            if error.args and type(error.args[0]) is int and error.args[0] not in self.dispatch:
                raise DescriptionError(f"it holds the instruction {error.args[0]:#04x}") from None
            raise

    def find_class(self, module: str, name: str) -> Any:
        found = self._names.get(f"{module}.{name}", self._names.get(name))
        if found is None:
            raise DescriptionError(f"it asks for '{module}.{name}'"[:120])
        return found

    def load_build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if not isinstance(target, Inert):
            raise DescriptionError("it changes an object after it was made")
        made = target.restore(state)
        self.stack[-1] = made if self._adopt is None else self._adopt(made, self._source)

    dispatch[pickle.BUILD[0]] = load_build
