"""One idea, one room: what a thing is called stands in its own room alone, and everybody else reads its card.

A room is a list of files that may spell some names, and each kind of room has its law. Docstrings, which show examples,
and `__all__`, which says what may be imported, are no spelling.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tidegate.cells import CELLS, Cell
from tidegate.nodes import Part
from tidegate.tasks import CARDS
from tidegate.tasks.cards import ROOMS

ROOT = Path(__file__).parents[2]
SOURCE, CORE = ROOT / "src" / "tidegate", ROOT / "core"

CELLS_ARE_SPELLED_IN = (
    "cells.py",
    "nn/layers.py",  # each layer names its cell
    "nn/equations.py",  # written a second time, in torch's operators
    "convert/keras_equations.py",  # and a third, as the yardstick of the conversion
    "tasks/classifying/presets.py",  # what users choose from, as data
    "tasks/forecasting/presets.py",
    "tasks/forecasting/forecaster.py",
    "lab/setup.py",
)
NODES = {kind.model_fields["kind"].default for kind in Part.__subclasses__()} - {
    "dropout",
    "pool",
    "split",
    "tied",
    "window",
}
"""The kinds of node, but for words that mean other things, too."""
NODES_ARE_SPELLED_IN = (
    "nodes/*.py",
    "kernels/programs.py",  # which speaks to the core
    "convert/torch_*.py",  # a module that reads the description as plain JSON
)
CELLS_ARE_SPELLED_IN_CORE = ("cells/*.h",)
DOORS = ("__init__.py", "tasks/__init__.py")  # which give out public names
TASKS = {word: card.task().__module__.split(".")[2] for card in CARDS.values() for word in (card.name, card.owner)}
"""By the name of a task in files, and that of its class, the folder of `tasks/` that may spell it."""
BELOW = ("inspect", "export", "convert", "train", "engine", "runtime", "nn", "data")
MANNERS = {name for card in CARDS.values() for name in dir(card.task()) if re.fullmatch(r"[a-z]\w*_|predict_\w+", name)}
"""What tasks are asked for by their users and by the rooms above, such as `classes_` and `predict_proba`."""


def test_a_cell_is_spelled_in_its_room_alone() -> None:
    names = {name for cell in CELLS.values() for name in names_of(cell)}
    assert list(spelled(names, CELLS_ARE_SPELLED_IN)) == []


def test_a_node_is_spelled_in_its_room_alone() -> None:
    assert {"embed", "recurrent", "decode"} <= NODES
    assert list(spelled(NODES, NODES_ARE_SPELLED_IN)) == []


def test_the_core_spells_a_cell_in_its_room_alone() -> None:
    assert list(spelled_in_core(CELLS, CELLS_ARE_SPELLED_IN_CORE)) == []


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ('if cell == "lstm":\n    pass', [1]),
        ('x = 1\nmatch cell:\n    case "gru" | "rnn_tanh":\n        pass', [3, 3]),
        ('GATES = {"lstm": 4}', [1]),
        ('Literal["rnn", "gru"]', [1, 1]),
        ('def f(cell: Literal["lstm"]) -> None: ...', [1]),
        ('kind in ("LSTM", "GRU")', [1, 1]),
        ('"""lstm"""\n', []),
        ('def f():\n    """lstm"""\n', []),
        ('def f():\n    x = "lstm"\n', [2]),
        ('__all__ = ["LSTM"]', []),
        ('raise ValueError("wanted SimpleRNN, LSTM or GRU")', []),
    ],
)
def test_a_name_outside_of_its_room_is_seen(source: str, lines: list[int]) -> None:
    names = {name for cell in CELLS.values() for name in names_of(cell)}
    assert [line for line, _ in literals(source, names)] == lines


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("if (cell == kGru) return;", True),
        ("{cell_forward<T, LstmForward>, cell_backward<T, LstmBackward>},", True),
        ('if (std::string(traits.name) == "lstm") return;', True),
        ("constexpr auto relu = RnnRelu;", True),
        ('#include "cells/gru.h"', False),
        ("const int gates = kTraits[cell].gates;  // 3 of a gru", False),
    ],
)
def test_a_name_in_the_core_outside_of_its_room_is_seen(line: str, wrong: bool) -> None:
    assert bool(core_pattern(CELLS).search(line)) == wrong


def test_every_task_lives_in_a_room_of_its_own() -> None:
    assert set(TASKS.values()) == set(ROOMS)


def test_no_task_is_spelled_outside_its_room() -> None:
    files = {path.relative_to(SOURCE).as_posix(): path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py")}
    assert [told for file, source in sorted(files.items()) for told in spelled_tasks(file, source)] == []


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


def test_rooms_below_the_tasks_ask_a_task_by_its_offers_alone() -> None:
    files = [path for room in BELOW for path in sorted((SOURCE / room).rglob("*.py"))]
    assert [found for path in files for found in asked(path.relative_to(SOURCE).as_posix(), path.read_text())] == []


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("labels = model.classes_", "classes_"),
        ('labels = getattr(model, "classes_", None)', "classes_"),
        ('if hasattr(model, "predict_proba"): pass', "predict_proba"),
        ("inside = model.inside()", None),
    ],
)
def test_what_is_asked_of_a_task_otherwise_is_seen(source: str, seen: str | None) -> None:
    assert list(asked("inspect/x.py", source)) == ([] if seen is None else [f"inspect/x.py:1 asks for {seen}"])


def names_of(cell: Cell) -> set[str]:
    """Name a cell as we, tasks and other libraries do."""
    others = {other.name for other in (cell.onnx, cell.keras) if other}
    return {cell.name, cell.option, *others} | ({cell.torch} if cell.torch else set())


def spelled(names: Collection[str], rooms: Collection[str]) -> Iterator[str]:
    """List where our Python spells one of some names outside of the rooms, as `file:line spells name`."""
    for path in sorted(SOURCE.rglob("*.py")):
        file = path.relative_to(SOURCE).as_posix()
        if not any(fnmatch(file, room) for room in rooms):
            for line, name in literals(path.read_text(encoding="utf-8"), names):
                yield f"{file}:{line} spells {name!r}"


def literals(source: str, names: Collection[str]) -> Iterator[tuple[int, str]]:
    """Find the literals in Python code that are one of some names, with their lines."""
    tree = ast.parse(source)
    said = {id(node) for whole in ast.walk(tree) for node in _no_spelling(whole)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in names and id(node) not in said:
            yield node.lineno, str(node.value)


def _no_spelling(node: ast.AST) -> Iterator[ast.AST]:
    """List the docstring of a module, class or function, or what `__all__` holds."""
    match node:
        case ast.Module() | ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
            match node.body:
                case [ast.Expr(value=ast.Constant() as said), *_]:
                    yield said
        case ast.Assign(targets=[ast.Name(id="__all__")]):
            yield from ast.walk(node.value)


def spelled_in_core(names: Collection[str], rooms: Collection[str]) -> Iterator[str]:
    """List where the core spells one of some names outside of the rooms."""
    pattern = core_pattern(names)
    for path in sorted([*CORE.rglob("*.h"), *CORE.rglob("*.cc")]):
        file = path.relative_to(CORE).as_posix()
        if not any(fnmatch(file, room) for room in rooms):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if found := pattern.search(line):
                    yield f"core/{file}:{number} spells {found[0]}"


def core_pattern(names: Collection[str]) -> re.Pattern[str]:
    """Match a name as a string, or as the beginning of an identifier: `"rnn_tanh"`, `kRnnTanh`, `RnnTanhForward`."""
    identifiers = "|".join(sorted({name.title().partition("_")[0] for name in names}))
    return re.compile(rf'"({"|".join(names)})"|\bk?({identifiers})')


def spelled_tasks(file: str, source: str) -> Iterator[str]:
    """Name every task that a file spells and that another room is for; what docstrings say does not count."""
    room = file.split("/")[1] if file.startswith("tasks/") else None
    for word, line in words_of(ast.parse(source)):
        if file not in DOORS and word in TASKS and TASKS[word] != room:
            yield f"{file}:{line} spells {word}"


def asked(file: str, source: str) -> Iterator[str]:
    """Name what a file asks a fitted task for."""
    for word, line in words_of(ast.parse(source)):
        if word in MANNERS:
            yield f"{file}:{line} asks for {word}"


def words_of(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield every name, attribute, imported name and literal of a file, and its line."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=word) | ast.Attribute(attr=word) | ast.alias(name=word):
                yield word, node.lineno
            case ast.Constant(value=str(word)):
                yield word, node.lineno
