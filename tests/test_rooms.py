"""What is spelled in its own room only: a task, by the name of its class or its name in files. Others ask its card."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidegate.tasks import CARDS
from tidegate.tasks.cards import ROOMS

SOURCE = Path(__file__).parents[1] / "src" / "tidegate"
DOORS = {"__init__.py", "_doors.py", "tasks/__init__.py", "tasks/_doors.py"}
"""The files that give out public names."""
TASKS = {word: card.task().__module__.split(".")[2] for card in CARDS.values() for word in (card.name, card.owner)}
"""By what is spelled, the folder of `tasks/` that may."""


def test_every_task_lives_in_a_room_of_its_own() -> None:
    assert set(TASKS.values()) == set(ROOMS)


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_no_task_is_spelled_outside_its_room(path: Path) -> None:
    assert list(spelled_tasks(path.relative_to(SOURCE).as_posix(), path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("file", "source", "seen"),
    [
        ("runs/x.py", 'if model.name == "token-tagger": pass', "token-tagger"),
        ("runs/x.py", "from tidegate.tasks import TokenTagger", "TokenTagger"),
        ("runs/x.py", "isinstance(model, tidegate.LanguageModel)", "LanguageModel"),
        ("runs/x.py", 'def f(model: "TokenTagger") -> None: pass', "TokenTagger"),
        ("tasks/task.py", "Forecaster()", "Forecaster"),
        ("tasks/tagging/live.py", 'name = "forecaster"', "forecaster"),
        ("tasks/forecasting/live.py", 'name = "forecaster"', None),
        ("cli/x.py", '"""Ask a forecaster, such as `Forecaster`."""', None),
        ("cli/x.py", 'raise InputError("a forecaster takes files")', None),
    ],
)
def test_a_task_that_is_spelled_elsewhere_is_seen(file: str, source: str, seen: str | None) -> None:
    assert list(spelled_tasks(file, source)) == ([] if seen is None else [f"{file}:1 spells {seen}"])


def spelled_tasks(file: str, source: str) -> Iterator[str]:
    """Name every task that a file spells and that another room is for; what docstrings say does not count."""
    room = file.split("/")[1] if file.startswith("tasks/") else None
    for word, line in spelled(ast.parse(source)):
        if file not in DOORS and word in TASKS and TASKS[word] != room:
            yield f"{file}:{line} spells {word}"


def spelled(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield every name, attribute, imported name and literal of a file, and its line."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=word) | ast.Attribute(attr=word) | ast.alias(name=word):
                yield word, node.lineno
            case ast.Constant(value=str(word)):
                yield word, node.lineno
