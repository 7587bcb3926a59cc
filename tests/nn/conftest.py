"""Kernels that take every call, however short."""

from __future__ import annotations

import pytest

from tidegate.nn import sooner


@pytest.fixture
def from_the_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the kernels run calls of a few steps, too; which of them torch keeps is tested elsewhere."""
    monkeypatch.setattr(sooner, "_least_steps", lambda _: 0)
    monkeypatch.setattr(sooner, "LEAST_TOKENS", 0)
