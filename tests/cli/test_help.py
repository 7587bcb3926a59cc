"""Help and version at the command line, called as `main(argv)` in this process."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tidegate as tg
from commands import Answer, Cli

COMMANDS = (
    "train",
    "evaluate",
    "predict",
    "inspect",
    "info",
    "export",
    "compare",
    "lab",
    "data",
    "data list",
    "data get",
    "data path",
    "doctor",
    "demo",
)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_help_has_an_example_that_names_the_command(cli: Cli, command: str) -> None:
    answer = cli(*command.split(), "--help")
    assert (answer.code, answer.err) == (0, "")
    assert "Example" in answer.out
    assert f"tidegate {command}" in answer.out.partition("Example")[2]


def test_help_loads_nothing_heavy() -> None:
    code = "import sys; from tidegate.cli import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "numpy", "sklearn", "scipy", "pydantic", "rich", "matplotlib", "tokenizers", "safetensors"}
    assert "typer" in done.stderr.split()
    assert heavy & set(done.stderr.split()) == set()


def test_version_is_that_of_the_package(cli: Cli) -> None:
    assert cli("--version") == Answer(0, f"tidegate {tg.__version__}\n", "")


def test_without_a_command_the_help_is_shown(cli: Cli) -> None:
    answer = cli()
    assert answer.code == 2
    assert "Usage: tidegate" in answer.out + answer.err
