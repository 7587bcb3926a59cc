"""A small model of every task, trained once, and a server that serves them all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from serving import serving, train_all
from tidegate.serve.server import Server


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files of small models, by the names of their tasks."""
    return train_all(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def server(models: dict[str, Path]) -> Iterator[Server]:
    """A server of all of them."""
    with serving(models, deadline=60.0) as server:  # however slow the machine is
        yield server
