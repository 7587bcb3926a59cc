"""Reads the imports of every file and checks that they point down the house. Imports nothing of ours but by name.

    __main__
    cli
    search
    serve  scale
    runs  lab
    tasks
    train  inspect  export  convert  decoding
    nn  runtime  data
    fetch  checkpoint
    crf  ctc  engine  offers
    network  kernels  health  words  documents  grid  pairs  durable  transcripts
    nodes
    cells
    ragged  plain_json  lock  children  _core  _doors
    errors  version

A file imports from rows below its own, and from its own package. The types it names count as imports, too. `from
tidegate import x` asks the front door, which stands above them all, whatever x is.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "tidegate"
FILES = sorted(SOURCE.rglob("*.py"))

ROWS = [line.split() for line in (__doc__ or "").split("\n\n")[1].splitlines()]
RANK = {part: len(ROWS) - index for index, row in enumerate(ROWS) for part in row}
FRONT_DOOR = "__init__"
ROOMS = {path.name for path in (SOURCE / "tasks").iterdir() if path.is_dir() and path.name != "__pycache__"}

# Packages that the base install lacks, and the parts that may import them: at the top of a file, and inside a function.
GUESTS_AT_TOP = {"torch": {"nn", "convert"}}
GUESTS_INSIDE = {"torch": {"nn", "convert", "runs"}}
# Doors that still give out names of rooms above them, which once stood behind them: fetched when they are asked for.
OLD_PATHS = {("inspect", "lab"), ("runs", "lab")}
HEAVY = ("torch", "sklearn", "pydantic", "typer", "matplotlib", "pyarrow")


@dataclass(frozen=True)
class Import:
    """One name that a file imports: the dotted module, the line, where it stands, and what is taken from the module."""

    module: str
    line: int
    inside_function: bool
    for_types: bool
    name: str = ""

    @property
    def files(self) -> set[str]:
        """What may be the file: `from tidegate.nn import build` reads either `nn.build` or a name of `nn`."""
        return {self.module, f"{self.module}.{self.name}"}


def test_every_part_of_the_house_has_a_rank() -> None:
    parts = {path.relative_to(SOURCE).parts[0].removesuffix(".py") for path in FILES} - {FRONT_DOOR}
    assert parts <= RANK.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_imports_point_down_only(path: Path) -> None:
    assert list(violations(path.relative_to(SOURCE).as_posix(), path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("file", "source", "complaint"),
    [
        ("ragged.py", "from tidegate.kernels import forward", "points up to kernels"),
        ("runtime/executor.py", "from tidegate.kernels import forward", None),
        ("runtime/executor.py", "from tidegate import kernels", "points up to the front door"),
        ("runtime/executor.py", "def f():\n    from .. import kernels", "points up to the front door"),
        ("runtime/executor.py", "from tidegate import Ragged", "points up to the front door"),
        ("cli/train.py", "from tidegate import runs", None),
        ("ragged.py", "def f():\n    from tidegate.nn import LSTM", "points up to nn"),
        ("data/files.py", "from tidegate.runtime import Executor", "points across to runtime"),
        ("runs/training.py", "from tidegate.lab import lab", "points across to lab"),
        ("runs/__init__.py", "from tidegate.lab import lab", "points across to lab"),
        (
            "runs/__init__.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from tidegate.lab import lab",
            None,
        ),
        ("nn/layers.py", "from ..train import fit", "points up to train"),
        ("nn/layers.py", "from ..kernels import _core", None),
        ("tasks/tagging/live.py", "from tidegate.tasks.language.model import f", "tasks do not import each other"),
        ("tasks/tagging/live.py", "from ..language.model import f", "tasks do not import each other"),
        ("tasks/tagging/live.py", "from .reading import Reading", None),
        ("tasks/tagging/live.py", "from tidegate.tasks.task import Task", None),
        ("tasks/task.py", "from tidegate.tasks.tagging.reading import f", "what tasks share knows none of them"),
        ("tasks/task.py", "from tidegate.train import fit", None),
        ("network.py", "import tidegate._core as _core", "only cells and kernels"),
        ("runtime/executor.py", "import torch.nn", "may not import torch"),
        ("runtime/executor.py", "def f():\n    import torch", "may not import torch"),
        ("tasks/task.py", "import torch", "may not import torch"),
        ("train/updates.py", "import torch", "may not import torch"),
        ("nn/layers.py", "import torch", None),
        ("network.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch", None),
        ("network.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from tidegate.train import fit", "up"),
        ("cli/train.py", "import tidegate as tg", None),
        ("data/files.py", "import tidegate", "front door"),
        ("__init__.py", "import tidegate.network", "nothing at import time"),
        ("__init__.py", "def f():\n    import tidegate.network", None),
    ],
)
def test_a_wrong_import_is_seen(file: str, source: str, complaint: str | None) -> None:
    found = list(violations(file, source))
    assert len(found) == (0 if complaint is None else 1)
    assert complaint is None or complaint in found[0]


def test_no_files_import_each_other_in_a_circle() -> None:
    sources = {module_of(path): path.read_text(encoding="utf-8") for path in FILES if path.stem != FRONT_DOOR}
    assert circle(sources) == []


def test_a_circle_is_seen_also_inside_a_function_and_for_types() -> None:
    inside = "def f():\n    from tidegate.nn import build"
    types = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from tidegate.nn.pool import Pool"
    sources = {"tidegate.nn.layers": "import torch", "tidegate.nn.pool": inside, "tidegate.nn.build": types}
    assert circle(sources) == ["tidegate.nn.build", "tidegate.nn.pool", "tidegate.nn.build"]


def module_of(path: Path) -> str:
    return ".".join(["tidegate", *path.relative_to(SOURCE).with_suffix("").parts])


def circle(sources: dict[str, str]) -> list[str]:
    """Name the files of a circle of imports, the first again at the end; none where there is no circle."""
    needs = {
        module: {need for found in imports_of(module.split(".")[1:], source) for need in found.files & sources.keys()}
        for module, source in sources.items()
    }
    try:
        TopologicalSorter({module: needs[module] - {module} for module in needs}).prepare()
    except CycleError as error:
        around: list[str] = error.args[1]
        first = around.index(min(around))
        return [*around[first:-1], *around[: first + 1]]
    return []


def test_import_tidegate_loads_nothing_heavy() -> None:
    assert loaded_by("import tidegate") & set(HEAVY) == set()


def test_the_search_for_heavy_packages_finds_one() -> None:
    assert "pydantic" in loaded_by("import tidegate.network")


def loaded_by(statement: str) -> set[str]:
    """Name the packages that a fresh interpreter holds after one statement."""
    code = f"{statement}; import sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def violations(file: str, source: str) -> Iterator[str]:
    """Name every import of one file that the house does not allow."""
    own = file.removesuffix(".py").split("/")
    for found in imports_of(own, source):
        top, *rest = found.module.split(".")
        complaint = judge(own, rest, found) if top == "tidegate" else judge_guest(own[0], top, found)
        if complaint:
            yield f"{file}:{found.line} imports {found.module}: {complaint}"


def judge(own: list[str], rest: list[str], found: Import) -> str | None:
    """Say what is wrong with an import of our own, if anything."""
    part, target = own[0], rest[0] if rest else FRONT_DOOR
    if part == FRONT_DOOR:
        late = found.inside_function or found.for_types or target in ("_doors", FRONT_DOOR)
        return None if late else "the front door loads nothing at import time"
    if target == FRONT_DOOR:
        return None if part in ("cli", "__main__") else "points up to the front door"
    if target == "_core" and part not in ("cells", "kernels"):
        return "only cells and kernels import the compiled core"
    if target == part:
        return judge_neighbour(own, rest)
    if (part, target) in OLD_PATHS and own[-1] == FRONT_DOOR and found.for_types:
        return None
    if RANK[target] >= RANK[part]:
        return f"points {'up' if RANK[target] > RANK[part] else 'across'} to {target}"
    return None


def judge_neighbour(own: list[str], rest: list[str]) -> str | None:
    """Inside a package anything goes, but that no task leans on another, and what they share on none of them."""
    if own[0] != "tasks" or own[-1] == FRONT_DOOR or len(rest) == 1 or rest[1] not in ROOMS or own[1] == rest[1]:
        return None
    return "tasks do not import each other" if own[1] in ROOMS else "what tasks share knows none of them"


def judge_guest(part: str, package: str, found: Import) -> str | None:
    """Say whether a package that the base install lacks is imported where it may be."""
    allowed = GUESTS_INSIDE if found.inside_function else GUESTS_AT_TOP
    if found.for_types or part in allowed.get(package, {part}):
        return None
    return f"{part} may not import {package} {'inside a function' if found.inside_function else 'at the top'}"


def imports_of(own: list[str], source: str) -> Iterator[Import]:
    """Yield every import of a file, also those inside functions."""
    yield from _walk(own, ast.parse(source), inside_function=False, for_types=False)


def _walk(own: list[str], node: ast.AST, *, inside_function: bool, for_types: bool) -> Iterator[Import]:
    inside_function |= isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in ast.iter_child_nodes(node):
        types = for_types or (
            isinstance(node, ast.If) and child in node.body and "TYPE_CHECKING" in ast.dump(node.test)
        )
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, child.lineno, inside_function, types)
        elif isinstance(child, ast.ImportFrom):
            module = _absolute(own, child)
            for alias in child.names if module.startswith("tidegate.") else child.names[:1]:
                yield Import(module, child.lineno, inside_function, types, alias.name)
        yield from _walk(own, child, inside_function=inside_function, for_types=types)


def _absolute(own: list[str], node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = ["tidegate", *own][: -node.level]
    return ".".join([*package, *((node.module or "").split(".") if node.module else [])])
