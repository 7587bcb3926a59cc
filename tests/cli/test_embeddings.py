"""`tidegate train --embeddings`: what it says, that the run can go on from anywhere, and misuse."""

from __future__ import annotations

from pathlib import Path

import pytest

import tidegate as tg
import vectors as files
from commands import Cli
from reviews import SMALL, write_reviews

GIVEN = {"good": [0.5, 1.0], "bad": [-0.5, 1.0], "film": [0.0, 2.0]}


def test_the_share_of_words_is_said_and_the_run_repeats_from_another_folder(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "words.csv").write_text("text,label\n" + "good film,up\nbad film,down\nbad sea,down\n" * 8)
    files.saved(tmp_path, files.glove(GIVEN), "small.txt")
    monkeypatch.chdir(tmp_path)
    answer = cli("train", "words.csv", *SMALL, "--embeddings", "small.txt", "--out", "run")
    assert answer.code == 0
    assert "small.txt has vectors for 75.0% of the words, " in answer.err
    assert tg.load("run").weights_["0.weight"].shape == (5, 2)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert cli("train", "--recipe", "../run", "--out", "again").code == 0
    assert tg.load("again").weights_["0.weight"].tobytes() == tg.load("../run").weights_["0.weight"].tobytes()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--embeddings", "absent.txt"], "absent.txt is not there; wanted a file of vectors"),
        (["--embeddings", "."], "is no file; wanted a file of vectors"),
        (["--embeddings", ""], "an empty name was given"),
        (["--embeddings", "broken.txt"], "broken.txt, line 2 has 1 numbers after the word 'bad'; wanted 2"),
        (["--set", "train_embeddings=false"], "there is no file. Pass --embeddings FILE, or leave it out."),
        (["--embeddings", "small.txt", "--set", "embedding_size=7"], "Pass --set embedding_size=2, or take vectors"),
        (["--embeddings", "small.txt", "--task", "language", "--set", "tokens=bpe"], "embeddings are vectors of words"),
    ],
)
def test_misuse_is_told_in_one_line(
    options: list[str], told: str, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_reviews(tmp_path / "reviews.csv")
    files.saved(tmp_path, files.glove(GIVEN), "small.txt")
    files.saved(tmp_path, b"good 1 2\nbad 1\n", "broken.txt")
    data = "reviews.csv"
    if "language" in options:
        data = "plain.txt"
        (tmp_path / data).write_text("good film\n\nbad film\n" * 8)
    answer = cli("train", data, *SMALL, *options, "--out", "run")
    assert answer.code == 2
    assert told in " ".join(answer.err.replace("│", " ").split())
    assert "reviews.csv: " not in answer.err
    assert not list(tmp_path.glob("run/*"))


def test_a_task_without_words_has_no_vectors(cli: Cli) -> None:
    answer = cli("train", "digits", "--embeddings", "small.txt")
    assert answer.code == 2
    assert "unknown parameter of SequenceClassifier 'embeddings'" in answer.err
