"""`tidegate train` with `--pretrained` and `--unlabelled`: what it says, and what it refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import samples
import tidegate as tg
from commands import Cli

SIZES = ("--hidden-size", 4, "--set", "embedding_size=4", "--epochs", 2)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "few.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("review", "label"), *zip(*samples.texts(24), strict=True)])
    return path


@pytest.fixture
def more(tmp_path: Path) -> Path:
    """Make a table whose texts stand in the same column, beside another that has a usual name."""
    path = tmp_path / "more.csv"
    with path.open("w", newline="") as file:
        rows = [(text, "nothing of use") for text in samples.texts(30, seed=3)[0]]
        csv.writer(file).writerows([("review", "text"), *rows])
    return path


def test_both_steps_in_one_command(cli: Cli, tmp_path: Path, table: Path, more: Path) -> None:
    run = tmp_path / "run"
    command = ("train", table, "--text", "review", "--unlabelled", more, "--budget", 1, *SIZES)
    answer = cli(*command, "--out", run, "--json")
    assert answer.code == 0
    assert "First a teacher learns from the labelled texts; it then says of 30 others what they are." in answer.err
    assert json.loads(answer.out)["params"]["teacher"] == str(run / "teacher")
    assert "nothing" not in tg.load(run).preparation_.tokenizer.vocabulary
    assert cli("predict", run / "teacher", "oak").code == 0


def test_a_classifier_begins_with_a_language_model(cli: Cli, tmp_path: Path, table: Path, more: Path) -> None:
    language, run = tmp_path / "language", tmp_path / "run"
    sizes = ("--hidden-size", 4, "--epochs", 1)
    assert cli("train", more, "--task", "language", "--text", "review", *sizes, "--out", language).code == 0
    assert cli("train", table, "--text", "review", "--pretrained", language, "--epochs", 2, "--out", run).code == 0
    vocabulary = tg.load(language).vocabulary_.tokenizer.vocabulary
    assert tg.load(run).preparation_.tokenizer.vocabulary == vocabulary


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--budget", 5), "--unlabelled FILE"),
        (("--unlabelled", "absent.txt"), "no file or folder absent.txt"),
        (("--unlabelled", "more.csv", "--budget", 0), "wanted a number above zero"),
        (("--pretrained", "absent"), "there is no model file"),
        (("--pretrained", ""), "empty name"),
        (("--unlabelled", ""), "empty name"),
        (("--unlabelled", "blank.txt"), "error: blank.txt is empty: it has no line with a text in it"),
        (("--unlabelled", "more.csv", "--set", "teacher=more.csv"), "both came"),
        (("--unlabelled", "more.csv", "--pretrained", "more.csv"), "more.csv: not a model file"),
        (("--unlabelled", "digits"), "unlabelled"),
    ],
)
def test_misuse_is_one_clear_line(
    cli: Cli, table: Path, more: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[object, ...], told: str
) -> None:
    monkeypatch.chdir(table.parent)
    Path("blank.txt").write_text("\n")
    answer = cli("train", "few.csv", "--text", "review", *SIZES, "--out", "run", *options)
    assert answer.code != 0
    assert told in answer.err
    assert "Traceback" not in answer.err
    assert not Path("run", "teacher").exists()


@pytest.mark.parametrize(
    ("data", "verb", "name"),
    [("digits", "signals", "sequence-classifier"), ("digit_lines", "transcribe", "transcriber"),
     ("pydocs", "language", "language-model")],
)  # fmt: skip
def test_a_task_whose_words_begin_with_nothing_learns_nothing_from_texts(
    cli: Cli, tmp_path: Path, more: Path, data: str, verb: str, name: str
) -> None:
    answer = cli("train", data, "--task", verb, "--unlabelled", more, "--out", tmp_path / "run")
    assert answer.code == 2
    assert f"a {name} learns nothing from texts without labels" in answer.err


def test_going_on_takes_the_texts_from_the_recipe(cli: Cli, tmp_path: Path, more: Path) -> None:
    answer = cli("train", "--resume", tmp_path, "--unlabelled", more)
    assert answer.code == 2
    assert "know which texts a run began with" in answer.err
