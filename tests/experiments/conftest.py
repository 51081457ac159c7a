"""Configurations composed in process, as ``python -m experiments.sweep`` composes them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from experiments.job import CONF
from experiments.run_folder import register_resolver
from experiments.schema import register

TINY = (
    "model=alexnet",
    "dataflow=x_p",
    "hw.grid.num_pes=[64,168]",
    "hw.grid.noc_bandwidth=[]",
    "hw.grid.offchip_bandwidth=[]",
    "sweep.chunk=6",
)
"""Eight layers on two hardware points in three chunks, the last one short."""


@pytest.fixture
def configuration() -> Callable[..., DictConfig]:
    """``configuration("hw=edge", ...)``: the composed configuration."""

    def build(*overrides: str) -> DictConfig:
        register()
        register_resolver()
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose("config", list(overrides))

    return build
