"""What every test stands on: hypothesis settings, slow tests when asked for, a thread per xdist worker, commands."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from commands import Answer, Cli
from tidegate import kernels

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


@pytest.fixture(autouse=True)
def _same_random_numbers() -> None:
    """Let torch draw the same numbers in a test, whichever tests ran before it."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """Call one command line; `stdin` is what a pipe would bring."""
    from tidegate.cli import main

    def call(*argv: object, stdin: bytes = b"") -> Answer:
        piped = tmp_path / "stdin"
        piped.write_bytes(stdin)
        with piped.open(encoding="utf-8") as file:
            monkeypatch.setattr(sys, "stdin", file)
            code = main([str(part) for part in argv])
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return Answer(code, out, err)

    return call


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record which cells our kernels ran forward."""
    ran: list[str] = []
    forward, forward_at = kernels.forward, kernels.forward_at

    def spy(cell: str, *args: Any, **options: Any) -> kernels.Forward:
        ran.append(cell)
        return forward(cell, *args, **options)

    def spy_at(kind: str, cell: str, *args: Any, **options: Any) -> None:
        ran.append(cell)
        forward_at(kind, cell, *args, **options)

    monkeypatch.setattr(kernels, "forward", spy)
    monkeypatch.setattr(kernels, "forward_at", spy_at)
    return ran
