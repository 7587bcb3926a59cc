"""The doors of the packages: each public name leads to what its file holds, with the source at hand and without it."""

from __future__ import annotations

import ast
import compileall
import importlib
import json
import shutil
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import tidegate as tg

SOURCE = Path(__file__).parents[2] / "src" / "tidegate"
DOORS = sorted(
    ".".join(["tidegate", *path.parent.relative_to(SOURCE).parts])
    for path in SOURCE.rglob("__init__.py")
    if "open_door(" in path.read_text(encoding="utf-8")
)
WITHOUT_CORE = [door for door in DOORS if door != "tidegate.tasks"]
EVERY_NAME = f"""
import importlib, json
print(json.dumps({{door: dir(importlib.import_module(door)) for door in {WITHOUT_CORE}}}))
"""
WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
import tidegate as tg
for find in (lambda: tg.nn, lambda: tg.accelerate, lambda: tg.convert.to_torch):
    try:
        find()
    except tg.errors.MissingPackageError as error:
        print(error)
print(callable(tg.convert.from_keras))
"""


def test_the_front_door_is_among_them() -> None:
    assert {"tidegate", "tidegate.data", "tidegate.runs"} <= set(DOORS)


@pytest.mark.parametrize("door", DOORS)
def test_every_name_is_what_its_file_holds(door: str) -> None:
    module, written = importlib.import_module(door), list(imports(door))
    assert len(written) > 3
    for home, name in written:
        held = importlib.import_module(f"{home}.{name}" if home == door else home)
        assert getattr(module, name) is (held if home == door else getattr(held, name))
    assert module.__all__ == dir(module)
    assert {name for _, name in written} <= set(dir(module))


def imports(door: str) -> Iterator[tuple[str, str]]:
    """Yield what the source of a door imports for checkers of types: the file, and the name in it."""
    tree = ast.parse((SOURCE.parent / Path(*door.split(".")) / "__init__.py").read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    for node in (node for node in block.body if isinstance(node, ast.ImportFrom)):
        for alias in node.names:
            assert alias.name == alias.asname, "a checker takes it for public only then"
            yield node.module or "", alias.name


@pytest.mark.parametrize("door", DOORS)
def test_no_file_is_called_as_a_public_name_is(door: str) -> None:
    assert list(taken(importlib.import_module(door))) == []


def test_a_file_in_the_place_of_a_name_is_seen(tmp_path: Path) -> None:
    (tmp_path / "names.py").touch()
    assert list(taken(types.SimpleNamespace(__path__=[tmp_path], __all__=["names"], names=len))) == ["names"]


def taken(door: types.ModuleType | types.SimpleNamespace) -> Iterator[str]:
    """Name the public names of a package that a file of it would take, were it imported."""
    files = {path.stem for path in Path(door.__path__[0]).iterdir()}
    for name in door.__all__:
        if name in files and not isinstance(getattr(door, name), types.ModuleType):
            yield name


@pytest.mark.parametrize("door", DOORS)
def test_a_name_that_is_not_there_is_refused_as_python_does(door: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{door}' has no attribute 'nonsense'"):
        _ = importlib.import_module(door).nonsense


def test_what_a_package_defines_is_public_and_what_it_needs_is_not() -> None:
    assert {"load", "Task", "Forecaster", "restore"} <= set(dir(tg.tasks))
    assert not {"Path", "Any", "open_door", "Executor", "RunFolder", "AnyTask"} & set(dir(tg.tasks))


def test_a_star_brings_the_public_names() -> None:
    names: dict[str, object] = {}
    exec("from tidegate import *", names)  # noqa: S102
    assert names["Ragged"] is tg.Ragged
    assert names.keys() - {"__builtins__"} == set(dir(tg))


def test_a_name_is_fetched_when_it_is_used_and_once(tmp_path: Path) -> None:
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "shapes.py").write_text("print('loaded')\nclass Circle: pass\n")
    door = "from typing import TYPE_CHECKING\nfrom tidegate._doors import open_door\nif TYPE_CHECKING:\n"
    names = "    from toy.shapes import Circle as Circle\n    from toy import shapes as shapes, gone as gone\n"
    (tmp_path / "toy" / "__init__.py").write_text(door + names + "open_door(__name__)\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import toy; print(dir(toy))\n"
    assert run(code) == "['Circle', 'gone', 'shapes']\n"
    asks = "toy.Circle; print('Circle' in vars(toy), toy.shapes.Circle is toy.Circle)\ntoy.gone"
    done = subprocess.run([sys.executable, "-c", code + asks], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[1:] == ["loaded", "True True"]
    assert "ModuleNotFoundError: No module named 'toy.gone'" in done.stderr


@pytest.mark.parametrize("packed", ["pyc", "zip"])
def test_the_names_are_found_where_the_source_is_not(packed: str, tmp_path: Path) -> None:
    tree = tmp_path / "lib"
    shutil.copytree(SOURCE, tree / "tidegate", ignore=shutil.ignore_patterns("__pycache__"))
    compileall.compile_dir(tree, quiet=2, legacy=True)
    for file in tree.rglob("*.py"):
        file.unlink()
    place = shutil.make_archive(str(tmp_path / "packed"), "zip", tree) if packed == "zip" else str(tree)
    code = f"import sys; sys.path[:0] = [{place!r}, {str(Path(np.__path__[0]).parent)!r}]\n"
    there = json.loads(run(code + EVERY_NAME + "import tidegate; tidegate.Ragged", "-S", "-I"))
    assert there == {door: dir(importlib.import_module(door)) for door in WITHOUT_CORE}


def test_without_torch_the_extra_that_brings_it_is_named() -> None:
    *told, keras = run(WITHOUT_TORCH).splitlines()
    assert [line.partition(" needs ")[0] for line in told] == ["tidegate.nn", "tidegate.nn", "convert.to_torch"]
    assert all("pip install 'tidegate[torch]'" in line for line in told)
    assert keras == "True"


def run(code: str, *options: str) -> str:
    """Run a program in an interpreter of its own and return what it printed."""
    done = subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    return done.stdout
