"""What a test needs around it: programs, packages and data that may be missing here, and may not where CI is set."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def absent(what: str) -> NoReturn:
    """Skip a test whose surroundings are missing; where CI is set they must be there, so fail."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}, and CI must not pass without this test")
    pytest.skip(what)
