"""Reads the tests as the other laws read the source: where they lie, how long they are, and that each can fail.

Knows nothing of what they say.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS, SOURCE = ROOT / "tests", ROOT / "src" / "tidegate"
APART = {"core", "laws"}  # the compiled core, and what holds in all rooms
HELPERS = """
def compared(x):
    assert x

def through(x):
    compared(x)

def shown(x):
    print(x)

class Case:
    def compare(self, x):
        assert x
"""
CHECKS = re.compile(r"(^|\.)(raises|warns|fail|gradcheck|gradgradcheck|opcheck|check)$|(^|[._])assert_")


def test_a_folder_of_the_source_is_tested_in_the_folder_of_its_name() -> None:
    assert {path.parent.name for path in TESTS.glob("*/test_*.py")} - APART == {
        path.parent.name for path in SOURCE.glob("*/__init__.py")
    }


def test_every_test_can_fail() -> None:
    files = {str(path.relative_to(ROOT)): ast.parse(path.read_text("utf-8")) for path in sorted(TESTS.rglob("*.py"))}
    assert list(that_cannot_fail(files)) == []


@pytest.mark.parametrize(
    ("body", "fails"),
    [
        ("assert work() == 1", True),
        ("work()", False),
        ("work().close()", False),
        ("with pytest.raises(ValueError):\n        work()", True),
        ("np.testing.assert_allclose(work(), 1)", True),
        ("compared(work())", True),
        ("through(work())", True),
        ("check(work())", True),
        ("shown(work())", False),
        ("Case().compare(work())", True),
        ("work().compared()", False),
    ],
)
def test_a_test_that_cannot_fail_is_seen(body: str, fails: bool) -> None:
    told = list(that_cannot_fail({"x.py": ast.parse(f"def test_it(check):\n    {body}\n{HELPERS}")}))
    assert told == ([] if fails else ["x.py:1 test_it asserts nothing"])


def that_cannot_fail(files: dict[str, ast.Module]) -> Iterator[str]:
    """Name each test that neither asserts anything nor calls a helper that does."""
    asserting = helpers_that_assert(files.values())
    for file, tree in files.items():
        for node in functions(tree):
            if node.name.startswith("test_") and not asserts(node) and asserting.isdisjoint(calls(node)):
                yield f"{file}:{node.lineno} {node.name} asserts nothing"


def helpers_that_assert(trees: Iterable[ast.Module]) -> set[str]:
    """Name the helpers that assert, also through another; a method with a dot in front."""
    bodies: dict[str, list[ast.FunctionDef]] = defaultdict(list)
    for tree in trees:
        methods = {id(node) for whole in ast.walk(tree) if isinstance(whole, ast.ClassDef) for node in whole.body}
        for node in functions(tree):
            if not node.name.startswith("test_"):
                bodies["." * (id(node) in methods) + node.name].append(node)
    found: set[str] = set()
    while more := {
        name
        for name, nodes in bodies.items()
        if name not in found and any(asserts(n) or not found.isdisjoint(calls(n)) for n in nodes)
    }:
        found |= more
    return found


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def asserts(function: ast.FunctionDef) -> bool:
    return any(
        isinstance(node, ast.Assert) or (isinstance(node, ast.Call) and CHECKS.search(ast.unparse(node.func)))
        for node in ast.walk(function)
    )


def calls(function: ast.FunctionDef) -> Iterator[str]:
    for node in ast.walk(function):
        match node:
            case ast.Call(func=ast.Name(id=name)):
                yield name
            case ast.Call(func=ast.Attribute(attr=name)):
                yield f".{name}"
