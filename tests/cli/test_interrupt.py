"""Ctrl-C ends both commands with status 130 and no traceback, however early."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Raises SIGINT in the command's own process at the first import of a module.
INTERRUPTED_AT = """
import importlib.abc, os, signal, runpy, sys
class Interrupt(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == MODULE:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
sys.argv = ARGV
runpy.run_module(ARGV[0], run_name="__main__", alter_sys=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(
    ("command", "module"),
    [
        ("jaxmaestro --Mapping_file=net.m", "jaxmaestro.cli.options"),
        ("jaxmaestro --Mapping_file=net.m", "lark"),
        ("jaxmaestro --Mapping_file=net.m", "jax"),
        ("jaxmaestro --Mapping_file=net.m", "jaxmaestro.results.csv"),
        ("experiments.sweep model=alexnet dataflow=x_p", "hydra"),
        ("experiments.sweep model=alexnet dataflow=x_p", "pyarrow"),
        ("experiments.sweep model=alexnet dataflow=x_p", "hydra._internal.callbacks"),
        ("experiments.sweep model=alexnet dataflow=x_p", "jaxmaestro.evaluation"),
        ("experiments.sweep model=alexnet dataflow=x_p", "jaxmaestro.results.frame"),
    ],
)
def test_interrupt_is_quiet(tmp_path: Path, command: str, module: str) -> None:
    (tmp_path / "net.m").write_text(
        "Network n { Layer a { Type: CONV Dimensions { K: 2, C: 2, R: 1, S: 1, Y: 2, X: 2 }"
        " Dataflow { SpatialMap(1,1) K; TemporalMap(1,1) C; } } }"
    )
    script = INTERRUPTED_AT.replace("MODULE", repr(module)).replace("ARGV", repr(command.split()))
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 128 + signal.SIGINT, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert (done.stdout + done.stderr).count("Stopped.") == ("sweep" in command)
    assert not list(tmp_path.glob("outputs/sweep/*/results.parquet"))
