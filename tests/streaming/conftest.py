"""The cost model replaced."""

from __future__ import annotations

import pytest

from jaxmaestro.streaming import product
from tests.streaming.stand_in import StandIn


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Products are evaluated by this."""
    replacement = StandIn()
    monkeypatch.setattr(product, "evaluate_batch", replacement)
    return replacement
