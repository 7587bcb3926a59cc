"""Runs what the documents show: every python and console block of the pages, and every example of a docstring.

The blocks of one page run from top to bottom in one empty folder and share their names. A `python` block is executed,
or compared with its output when it begins with `>>>`. A `console` block runs the lines that begin with `$ ` in bash;
lines below a command are its expected output, where `...` stands for anything. A comment right above a block changes
that: `<!-- slow: why -->` runs it with `--slow` alone, `<!-- not run: why -->` never.
"""

from __future__ import annotations

import ast
import doctest
import importlib
import os
import pkgutil
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
from docs import pictures as docs_pictures
from docs.pictures import FENCE, Block, blocks, pictures, run

import tidegate as tg

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
MODULES = [
    module.name for module in pkgutil.walk_packages(tg.__path__, "tidegate.")
    if module.name not in ("tidegate._core", "tidegate.__main__")
]  # fmt: skip
SHOWN_ONLY = {"text", "json", "toml", "cpp", "{toctree}", "{include}", "{eval-rst}", "{image}", "{note}", "{figure}"}
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """An empty folder to stand in, the installed commands on the path, and no data but what the package brings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    if not request.config.getoption("--slow"):
        monkeypatch.delenv("TIDEGATE_DATA", raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
@pytest.mark.usefixtures("elsewhere")
def test_page(page: Path, pytestconfig: pytest.Config) -> None:
    names: dict[str, object] = {"__name__": page.stem}
    text = page.read_text(encoding="utf-8")
    assert text.count("```") == 2 * len(list(blocks(text))), "a block is indented or not closed, so it would not be run"
    for block in blocks(text):
        if block.note == "not run" or (block.note == "slow" and not pytestconfig.getoption("--slow")):
            continue
        where = f"{page.relative_to(ROOT)}:{block.line}"
        if block.language == "console":
            run_console(block, where)
        elif block.language == "python":
            run_python(block, where, names)
        else:
            assert block.language in SHOWN_ONLY, f"{where}: write the block as python or console, so that it is run"
    shown = pictures(text)
    assert {folder for folder, _ in shown} <= {page.stem}, "the pictures of a page stand in a folder of its name"
    assert [name for _, name in shown if not Path(name).exists()] == [], "a picture that no block of the page writes"


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.usefixtures("elsewhere")
def test_docstrings(module: str) -> None:
    assert doctest.testmod(importlib.import_module(module), optionflags=FLAGS).failed == 0


def test_the_tree_in_the_readme_is_the_tree_on_disk() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("<!-- tree -->")[2].partition("<!-- /tree -->")[0]
    drawn = list(drawn_paths(text))
    assert [pattern for pattern in drawn if not list(ROOT.glob(pattern))] == []
    shown = {path for pattern in drawn for path in ROOT.glob(pattern)}
    package = {
        path for path in (ROOT / "src/tidegate").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    files = package - {ROOT / "src/tidegate/__main__.py"} | set((ROOT / "core").iterdir())
    assert {path.name for path in files - shown} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", re.sub(FENCE, "", page.read_text(encoding="utf-8")))
    local = [target for target in targets if not target.startswith(("https://", "_pictures/"))]
    assert [target for target in local if not (page.parent / target).exists()] == []


def test_the_reference_names_everything_that_is_public() -> None:
    told = {
        f"{module}.{name}"
        for page in (ROOT / "docs/reference").glob("*.md")
        for module, names in re.findall(r"currentmodule:: (\S+)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
        for name in re.findall(r"auto\w+:: (\w+)", names)
    }
    assert [name for name in sorted(told) if not hasattr(*_home(name))] == []
    doors = (
        tg,
        tg.data,
        tg.decoding,
        tg.inspect,
        tg.export,
        tg.convert,
        tg.nn,
        tg.runtime,
        tg.tasks,
        importlib.import_module("tidegate.runs"),
        importlib.import_module("tidegate.serve"),
        tg.scale,
        tg.search,
    )
    public = {f"{door.__name__}.{name}" for door in doors for name in door.__all__ if not name.startswith("_")}
    things = {name for name in public if not isinstance(getattr(*_home(name)), types.ModuleType)}
    seen = {id(getattr(*_home(name))) for name in told}
    assert {name for name in things - told if id(getattr(*_home(name))) not in seen} == set()


def _home(name: str) -> tuple[types.ModuleType, str]:
    module, _, last = name.rpartition(".")
    return importlib.import_module(module), last


def test_the_table_of_parameters_tells_the_defaults() -> None:
    tasks = ((tg.TextClassifier(), 1), (tg.SequenceClassifier(), 2), (tg.TokenTagger(), 1))
    for task, column in tasks:
        page = "tagging" if isinstance(task, tg.TokenTagger) else "text-classification"
        text = (ROOT / f"docs/{page}.md").read_text(encoding="utf-8").partition("## Parameters")[2]
        rows = re.findall(r"^\| `(\w+)` \|([^|]*)\|([^|]*)\|", text.partition("\n## ")[0], re.MULTILINE)
        told = {row[0]: ast.literal_eval(row[column].strip(" `")) for row in rows if row[column].strip()}
        assert told == task.get_params()


def test_a_note_belongs_to_the_block_below_it_alone() -> None:
    text = "<!-- slow: why -->\n```python\n1\n```\n\n```console\n$ 2\n```\n<!-- not run: why -->\n```python\n3\n```\n"
    assert [(block.note, block.text, block.line) for block in blocks(text)] == [
        ("slow", "1\n", 3),
        (None, "$ 2\n", 7),
        ("not run", "3\n", 11),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "```python\n1 / 0\n```",
        "```python\n>>> 1 + 1\n3\n```",
        "```console\n$ false\n```",
        "```console\n$ echo one\ntwo\n```",
        "```sh\ntrue\n```",
        "![a picture that no block writes](_pictures/page/a.svg)",
        "```python\nopen('a.svg', 'w').close()\n```\n![in the folder of another page](_pictures/other/a.svg)",
    ],
)
@pytest.mark.usefixtures("elsewhere")
def test_a_wrong_block_is_seen(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    (tmp_path / "page.md").write_text(f"# Title\n\n{text}\n")
    with pytest.raises((AssertionError, ZeroDivisionError)):
        test_page(tmp_path / "page.md", pytestconfig)


def test_the_pictures_of_a_page_are_made_by_its_blocks_and_again_when_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docs_pictures, "DOCS", tmp_path)
    page, made = tmp_path / "page.md", tmp_path / "_pictures" / "page"
    write = "```python\nwith open('a.svg', 'a') as file:\n    file.write('{}')\n```\n![a](_pictures/page/a.svg)\n"
    (tmp_path / "plain.md").write_text("```python\n1 / 0\n```\n")
    for text, wanted in (("one", "one"), ("one", "one"), ("two", "two")):
        page.write_text(write.format(text))
        docs_pictures.draw_all()
        assert (made / "a.svg").read_text() == wanted
    assert not (tmp_path / "_pictures" / "plain").exists(), "a page without pictures of its own is not run"


def drawn_paths(text: str) -> Iterator[str]:
    """Read a drawn tree: a name per word up to the description, folders by their indentation."""
    folder = ""
    for line in text.splitlines():
        names = re.match(r"( *)(\S+(?: \S+)*)  ", line + "  ")
        if names and not line.startswith("```"):
            folder = folder if names[1] else names[2]
            yield from (f"{folder if names[1] else ''}{name}".rstrip("/") for name in names[2].split())


def run_python(block: Block, where: str, names: dict[str, object]) -> None:
    """Execute a block, or compare a session with the output that it shows."""
    if block.text.startswith(">>>"):
        test = doctest.DocTestParser().get_doctest(block.text, names, where, where, block.line - 1)
        report: list[str] = []
        assert doctest.DocTestRunner(optionflags=FLAGS).run(test, out=report.append, clear_globs=False).failed == 0, (
            report
        )
        names.update(test.globs)
    else:
        run(block, where, names)


def run_console(block: Block, where: str) -> None:
    """Run each command of a block and compare its output where some is shown."""
    for chunk in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, wanted = chunk.partition("\n")
        while command.endswith("\\"):
            more, _, wanted = wanted.partition("\n")
            command = command[:-1] + more
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{where}: {command}\n{done.stdout}{done.stderr}"
        if wanted.strip():
            assert doctest.OutputChecker().check_output(wanted, done.stdout, FLAGS), (
                f"{where}: {command}\n{done.stdout}"
            )
