"""Pickles of strangers: tables are read, nothing is run, all else is refused."""

from __future__ import annotations

import io
import os
import pickle
import pickletools
import struct
import sys
import types
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jaxmaestro.accuracy.pickles import read_pickle
from jaxmaestro.description import DescriptionError


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.fixture
def written(tmp_path: Path) -> Any:
    def write(data: bytes | Any, protocol: int = 4) -> Path:
        path = tmp_path / "table.pickle"
        path.write_bytes(data if isinstance(data, bytes) else pickle.dumps(data, protocol))
        return path

    return write


@pytest.mark.parametrize("protocol", range(5))
def test_plain_structures_are_read(written: Any, protocol: int) -> None:
    value = [
        {"resolution": 192, "width": [16, 2**40], "x": (1, "ö", None, True, -1.5)},
        (),
        [],
        {},
        (1,),
        (1, 2, 3, 4),
    ]
    assert read_pickle(written(value, protocol)) == value


@pytest.mark.parametrize("module", ["numpy.core.multiarray", "numpy._core.multiarray"])
@pytest.mark.parametrize(
    "number", [np.float64(70.9), np.int64(-3), np.float32(0.5), np.uint8(7), np.bool_(True)]
)
def test_numpys_numbers_become_pythons(written: Any, module: str, number: Any) -> None:
    data = pickle.dumps([number, number], 2).replace(b"numpy._core.multiarray", module.encode())
    found = read_pickle(written(data))
    assert found == [number, number] and type(found[0]) is type(number.item())


def test_big_endian_numbers_are_read(written: Any) -> None:
    dtype = np.dtype(">f8")
    data = pickle.dumps(Call(np._core.multiarray.scalar, dtype, struct.pack(">d", 70.25)))
    assert read_pickle(written(data)) == 70.25


def test_genotypes_of_any_module_are_read(written: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("sampler.of_someone")
    genotype = namedtuple("Genotype", "normal normal_concat reduce reduce_concat")
    genotype.__module__ = module.__name__
    module.Genotype = genotype  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sampler", types.ModuleType("sampler"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    data = pickle.dumps([genotype([("sep_conv_3x3", np.int64(1))], [2], [], [3])])
    monkeypatch.undo()
    (found,) = read_pickle(written(data))
    assert found.normal == [("sep_conv_3x3", 1)] and found.reduce_concat == [3]


def test_a_malicious_pickle_is_refused_and_not_run(written: Any, tmp_path: Path) -> None:
    made = tmp_path / "made_by_the_pickle"
    data = pickle.dumps([1.0, Call(os.system, f"touch {made}")])
    pickle.loads(data)
    assert made.exists()  # so the file does what it is suspected of
    made.unlink()
    with pytest.raises(
        DescriptionError, match=r"table\.pickle: refused: it asks for '(posix|nt)\.system'"
    ) as caught:
        read_pickle(written(data))
    assert not made.exists()
    assert caught.value.fix and "\n" not in str(caught.value)


EVIL = {
    "eval": b"cbuiltins\neval\n(S'1'\ntR.",
    "eval, old style": b"(S'1'\nibuiltins\neval\n.",
    "object of a class": b"(cos\nPathLike\no.",
    "attributes of what may be called": b"\x80\x04\x8c\x15numpy.core.multiarray"
    b"\x8c\x12scalar.__globals__\x93.",
    "dotted from a module": b"\x80\x04\x8c\x05numpy\x8c\x0adtype.type\x93.",
    "getattr": b"c__builtin__\ngetattr\n(cnumpy\ndtype\nS'mro'\ntR.",
    "extension": b"\x80\x02\x82\x01.",
    "persistent object": b"Pid\n.",
    "changing a class": b"\x80\x02cx\nGenotype\n}q\x00X\x03\x00\x00\x00_mkK\x01sN\x86b.",
    "changing a function": b"\x80\x02cnumpy.core.multiarray\nscalar\n}q\x00X\x03\x00\x00\x00abcK\x01sb.",
    "changing a list": b"\x80\x02]N}X\x01\x00\x00\x00aK\x01s\x86b.",
    "object numbers": b"\x80\x02cnumpy\ndtype\nX\x02\x00\x00\x00O8K\x00K\x01\x87R.",
    "calling a number": b"\x80\x02K\x01K\x02\x85R.",
    "making of a list": b"\x80\x02]K\x02\x85\x81.",
    "buffers": b"\x80\x05\x97.",
    "a promise of 2^60 bytes": b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b".",
    "half a file": pickle.dumps([1.0] * 100)[:300],
    "nothing": b"",
    "text": b"accuracy,70\n",
    "a zip": b"PK\x03\x04" + bytes(100),
    "numbers cut short": pickle.dumps(Call(np._core.multiarray.scalar, np.dtype("f8"), b"abc")),
}


@pytest.mark.parametrize("name", EVIL)
def test_what_is_no_table_is_refused(written: Any, name: str) -> None:
    with pytest.raises(DescriptionError, match="refused: ") as caught:
        read_pickle(written(EVIL[name]))
    assert caught.value.source.endswith("table.pickle")


def test_every_instruction_that_may_run_code_is_off_the_list() -> None:
    from jaxmaestro.accuracy.pickles import _OPCODES

    known = {code.name for code in pickletools.opcodes}
    names = {"INST", "OBJ", "EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID", "NEWOBJ_EX", "NEXT_BUFFER"}
    assert names < known
    assert not names & set(_OPCODES)


def test_one_file_cannot_change_what_the_next_meets(written: Any) -> None:
    class Genotype(tuple):  # a stand-in with the module and name that pickle writes
        pass

    first = io.BytesIO()
    pickle._Pickler(first, 2).dump([1.0])
    with pytest.raises(DescriptionError):
        read_pickle(written(EVIL["changing a class"]))
    assert read_pickle(written(first.getvalue())) == [1.0]
