"""Tests (a package, so that ``python -m tests.fuzz`` and the tests share modules)."""
