"""What every test stands on: small hypothesis settings, slow tests only when asked for, one thread per xdist worker."""

from __future__ import annotations

import os
from typing import NoReturn

import hypothesis
import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # workers share the cores; torch reads this when it is first imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")

hypothesis.settings.register_profile("tidegate", deadline=None, print_blob=True, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("tidegate")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests that take minutes, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="takes minutes; run with --slow"))


def absent(what: str) -> NoReturn:
    """Skip a test whose surroundings are missing; where CI is set they must be there, so fail."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}, and CI must not pass without this test")
    pytest.skip(what)
