"""The kinds of data: a row of the table is all that a new one takes, and nobody else asks for a kind by its name."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, cast, get_args

import pytest

from tidegate import data, runs
from tidegate.data import loading
from tidegate.data.dataset import Dataset, Examples
from tidegate.data.kinds import KINDS, Kind, KindCard, Layout
from tidegate.errors import InputError

SOURCE = Path(loading.__file__).parents[1]
ANSWERED = cast("Kind", "answered")


def load_answered(path: Path, *, unlabelled: bool = False, mark: str = "|") -> Dataset:
    """Read a pair of texts from each line."""
    assert not unlabelled
    pairs = [tuple(line.split(mark)) for line in path.read_text().splitlines()]
    return Dataset(path.name, ANSWERED, (), Examples(pairs, None), taken={"mark": mark})


@pytest.fixture
def answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of a kind that follows the recipe of CONTRIBUTING."""
    module: Any = ModuleType("tidegate.data.answered")
    module.LAYOUT = Layout(load_answered, ("mark",))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    card = KindCard(layout_at="answered:LAYOUT", unit="answers", count=lambda parts: f"{sum(map(len, parts))} answers")
    monkeypatch.setitem(KINDS, ANSWERED, card)
    path = tmp_path / "answered.txt"
    path.write_text("".join(f"question {i}/answer {i}\n" for i in range(10)))
    return path


def test_a_row_is_all_that_a_kind_takes(answered: Path) -> None:
    found = data.load(answered, kind=ANSWERED, mark="/", split=0.2)
    assert found.test is not None and (len(found.train), len(found.test)) == (8, 2)
    assert ("question 0", "answer 0") in [*found.train.x, *found.test.x]
    assert found.summary() == "mark: /; 10 answers"
    assert "mark" in loading.options()
    part = runs.choose_part(runs.Source(str(answered), {"kind": ANSWERED, "mark": "/", "split": 0.2}), {})
    assert part.note == "held out by a split of 0.2: 2 of 10 answers"
    with pytest.raises(InputError, match="'answered'"):
        data.load(answered, mark="/")


def test_checkers_of_types_know_every_kind() -> None:
    assert tuple(KINDS) == get_args(Kind)


def test_the_table_loads_nothing_that_reads_files() -> None:
    code = "import sys, tidegate.data.kinds; print({'numpy', 'tidegate.data.files'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout == "set()\n"


def test_nobody_else_asks_for_a_kind_by_its_name() -> None:
    asked = [
        f"{path.relative_to(SOURCE)}:{line}"
        for path in sorted(SOURCE.rglob("*.py"))
        if path.name != "kinds.py"
        for line in asks(path.read_text())
    ]
    assert asked == []


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ('if dataset.kind == "series":\n    pass', [1]),
        ('x = kind != "tagged" and kind in ("text", "corpus")', [1, 1]),
        ('UNITS = {"text": "rows", "series": "series"}', [1]),
        ('match kind:\n    case "corpus":\n        pass', [2]),
        ('found = row["text"] == "series"\nabout = {"series": name}', []),
        ('Dataset(name="a", kind="text")', []),
    ],
)
def test_a_question_for_a_kind_is_seen(source: str, lines: list[int]) -> None:
    assert list(asks(source)) == lines


def asks(source: str) -> Iterator[int]:
    """Give the lines that compare what is called `kind` with a kind, or that make a table of kinds."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case (
                ast.Compare(left=ast.Name(id="kind") | ast.Attribute(attr="kind"), comparators=wanted)
                | ast.Match(subject=ast.Name(id="kind") | ast.Attribute(attr="kind"), cases=wanted)
            ):
                yield from (one.lineno for one in map(first_kind, wanted) if one is not None)
            case ast.Dict(keys=keys) if sum(is_kind(key) for key in keys) > 1:
                yield node.lineno


def first_kind(tree: ast.AST) -> ast.Constant | None:
    return next((node for node in ast.walk(tree) if isinstance(node, ast.Constant) and is_kind(node)), None)


def is_kind(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and node.value in KINDS
