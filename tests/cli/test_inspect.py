"""`tidegate inspect`, called as `main(argv)`: what it prints, the page it writes, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import tidegate as tg
from commands import Cli

TEXTS = ["a good film", "good, and well made", "what a good story", "bad", "a bad film", "so bad it hurts"] * 4
LABELS = ["pos", "pos", "pos", "neg", "neg", "neg"] * 4


@pytest.fixture
def inspect(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """Call `tidegate inspect` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *argv, **pipe: cli("inspect", *argv, **pipe)


@pytest.fixture(scope="module")
def critic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "critic.safetensors"
    tg.TextClassifier(hidden_size=4, epochs=4, batch_size=8, learning_rate=0.03).fit(TEXTS, LABELS).save(path)
    return path


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of sequences, in one direction."""
    path, train = tmp_path_factory.mktemp("models") / "digits.safetensors", tg.data.load("digits").train
    tg.SequenceClassifier(cell="gru", bidirectional=False, hidden_size=4, epochs=1).fit(train.x, train.y).save(path)
    return path


def test_it_prints_the_answer_and_what_each_token_contributed_and_writes_the_page(inspect: Cli, critic: Path) -> None:
    answer = inspect(critic, "a good film", "so bad", "--out", "page.html")
    assert answer.code == 0
    assert answer.err == "Page: page.html\n"
    model, why = tg.load(critic), tg.inspect.attribute(tg.load(critic), ["a good film", "so bad"])
    lines = answer.out.splitlines()
    row = model.predict_proba(["a good film"])[0]
    assert lines[0] == f"{model.predict(['a good film'])[0]}\t{row.max():.4f}\ta good film"
    assert lines[1].split() == ["step", "contribution", "forward", "backward"]
    assert why.direction_scores is not None
    for line, token, *scores in zip(
        lines[2:5], ["a", "good", "film"], why.scores, *why.direction_scores.values(), strict=False
    ):
        assert line.split() == [token, *(f"{score:+.4f}" for score in scores)]
    assert any(line.endswith("\tso bad") for line in lines[6:])
    page = Path("page.html").read_text(encoding="utf-8")
    assert "<title>Inside critic.safetensors</title>" in page


def test_json_is_one_record_for_each_input(inspect: Cli, critic: Path) -> None:
    answer = inspect(critic, "--json", "--target", "neg", stdin="\ufeffso good\r\nso bad".encode())
    records = [json.loads(line) for line in answer.out.splitlines()]
    assert records == tg.inspect.examine(tg.load(critic), ["so good", "so bad"], target="neg").to_json()
    assert [record["explained"] for record in records] == ["neg", "neg"]
    assert Path("inspect.html").exists(), "without --out"


def test_sequences_come_as_json_or_as_rows_of_a_data_set(inspect: Cli, digits: Path) -> None:
    test = tg.data.load("digits").test
    assert test is not None
    from_data = inspect(digits, "--data", "digits", "--row", 3, "--row", 7, "--json")
    from_json = inspect(digits, *(json.dumps(np.asarray(test.x[row]).tolist()) for row in (3, 7)), "--json")
    assert from_data.code == 0
    assert from_data.out == from_json.out
    labels = [json.loads(line)["label"] for line in from_data.out.splitlines()]
    assert labels == tg.load(digits).predict(test.select([3, 7]).x).tolist()
    plain = inspect(digits, "--data", "digits", "--row", 3).out.splitlines()
    assert plain[1].split() == ["step", "contribution"]
    assert [line.split()[0] for line in plain[2:]] == list("01234567")


@pytest.mark.filterwarnings("default")
def test_a_page_that_leaves_something_out_is_told_on_stderr(inspect: Cli, critic: Path, tmp_path: Path) -> None:
    model = tg.TextClassifier(hidden_size=2, epochs=1, max_tokens=900, cell="gru", bidirectional=False)
    model.fit(TEXTS, LABELS).save(tmp_path / "long.safetensors")
    answer = inspect("long.safetensors", "good " * 620, "--begin", "-100", "--json")
    assert answer.code == 0
    assert "warning: the page does not show all. input 0: steps 520 to 619 of 620; 520 are left out." in answer.err


MISUSE: dict[str, tuple[tuple[object, ...], str]] = {
    "no input": ((), "nothing to inspect"),
    "an empty text": (("",), "without a single step"),
    "an unknown label": (("good", "--target", "poss"), "unknown label 'poss'. Did you mean 'pos'? Known: neg, pos."),
    "a step beyond the end": (("good", "--begin", 5), "no step 5 to begin at: it has steps 0 to 0"),
    "a row of nothing": (("--row", 3), "Name one with --data"),
    "data without a row": (("--data", "digits"), "--data digits --row 3"),
    "data and a text": (("good", "--data", "digits", "--row", 3), "from --row alone"),
    "a row that is not there": (("--data", "digits", "--row", 5000), "digits has no row 5000: its rows are 0 to 354"),
    "an unknown data set": (("--data", "digit", "--row", 1), "Did you mean 'digits'?"),
}


@pytest.mark.parametrize(("arguments", "fragment"), MISUSE.values(), ids=MISUSE.keys())
def test_misuse_is_told_and_writes_nothing(
    inspect: Cli, critic: Path, arguments: tuple[object, ...], fragment: str
) -> None:
    answer = inspect(critic, *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1
    assert fragment in answer.err
    assert not Path("inspect.html").exists()


def test_a_sequence_that_cannot_be_read_is_told(inspect: Cli, digits: Path) -> None:
    for line, fragment in (("good", "is not a sequence"), ("[[1, 2]]", "features"), ("[]", "without a single step")):
        answer = inspect(digits, line)
        assert (answer.code, answer.out) == (2, "")
        assert fragment in answer.err


def test_a_page_that_cannot_be_written_is_told(inspect: Cli, critic: Path) -> None:
    answer = inspect(critic, "good", "--out", "no-such-folder/page.html")
    assert answer.code == 1
    assert re.search(r"^error: no-such-folder.*: No such file or directory$", answer.err, re.MULTILINE)
