"""Follows the recipe of CONTRIBUTING for a task in a copy of the source: one folder, two lines, and all commands work.

The task is the toy in `recipes/grading`, which gives a number to each text.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tidegate import _core

ROOT = Path(__file__).parents[2]
TOY = ROOT / "tests" / "recipes" / "grading"
LINES = {
    "tasks/cards.py": ('    "language",\n', '    "grading",\n'),
    "__init__.py": (
        "    from tidegate.tasks import TokenTagger as TokenTagger\n",
        "    from tidegate.tasks.grading.grader import Grader as Grader\n",
    ),
}
"""By file, the line after which a line of the toy is put."""

# The editable install leads every import of Tidegate to this tree; what runs on the copy shall find the copy.
HERE_ALONE = 'import sys\nsys.meta_path[:] = [one for one in sys.meta_path if "Scikit" not in type(one).__name__]\n'
ASK = """
import json, sys
import tidegate as tg
model = tg.load(sys.argv[1])
texts = ["good good film", "bad", "so good"]
live = model.stream()
said = [float(live.step(word)[0]) for word in texts[0].split()]
twin = model.stream(state=live.state)
print(json.dumps([
    tg.__file__, type(model) is tg.Grader, [float(number) for number in model.predict(texts)], said,
    float(twin.finish()[0]), "torch" in sys.modules,
]))
"""


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source with the toy in it, put there as the recipe says."""
    root = tmp_path_factory.mktemp("copied")
    source = shutil.copytree(ROOT / "src/tidegate", root / "src/tidegate", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(str(_core.__file__), source)
    shutil.copytree(TOY, source / "tasks/grading", ignore=shutil.ignore_patterns("__pycache__"))
    for file, (after, line) in LINES.items():
        text = (source / file).read_text()
        assert text.count(after) == 1
        (source / file).write_text(text.replace(after, after + line))
    (root / "src/sitecustomize.py").write_text(HERE_ALONE)
    rows = [f"{'good ' * good}{'bad ' * (4 - good)}film,{good}" for good in (0, 1, 2, 3, 4)] * 8
    (root / "films.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    return root


def python(root: Path, *arguments: str, stdin: str = "") -> str:
    command, environment = [sys.executable, *arguments], os.environ | {"PYTHONPATH": str(root / "src")}
    done = subprocess.run(command, cwd=root, env=environment, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def run(copied: Path) -> str:
    """The folder of a training of the toy."""
    settings = ("hidden_size=8", "epochs=25", "batch_size=8", "learning_rate=0.05")
    options = [part for setting in settings for part in ("--set", setting)]
    command = ("-m", "tidegate", "train", "films.csv", "--task", "grade", "--preset", "grader-small", *options)
    told = python(copied, *command, "--split", "0.2", "--out", "runs/films", "--json")
    found = json.loads(told)
    assert (found["task"], found["chief"]) == ("grader", "mse")
    assert found["test"]["mse"] < 1.0  # of a guess that is always the mean it is 2
    return str(found["run"])


def test_two_lines_outside_of_its_folder_are_all_that_a_task_takes() -> None:
    assert [line.count("\n") for _, line in LINES.values()] == [1, 1]


def test_the_task_answers_texts_lines_of_stdin_and_tables(copied: Path, run: str) -> None:
    [line] = python(copied, "-m", "tidegate", "predict", run, "good good good good film").splitlines()
    number, text = line.split("\t")
    assert (abs(float(number) - 4) < 1.5, text) == (True, "good good good good film")
    [live] = python(copied, "-m", "tidegate", "predict", run, "--stream", "--json", stdin="bad film\n").splitlines()
    assert json.loads(live).keys() == {"input", "grade"}
    assert python(copied, "-m", "tidegate", "predict", run, "films.csv").splitlines()[0] == "text,label,grade"


def test_the_task_is_measured_and_trained_again(copied: Path, run: str) -> None:
    found = json.loads(python(copied, "-m", "tidegate", "evaluate", run, "films.csv", "--json"))
    assert (found["part"], found["examples"], found["mse"] < 1.0) == ("test", 10, True)
    python(copied, "-m", "tidegate", "train", "--recipe", run, "--out", "runs/again", "--json")
    models = [(copied / folder / "model.safetensors").read_bytes() for folder in (run, "runs/again")]
    assert models[0] == models[1]


def test_the_task_is_loaded_asked_and_fed_live_from_python(copied: Path, run: str) -> None:
    file, is_its_own, said, live, twin, torch = json.loads(python(copied, "-c", ASK, run))
    assert Path(file).is_relative_to(copied)
    assert is_its_own
    assert live[-1] == twin == said[0]
    assert not torch
