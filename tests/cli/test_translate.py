"""`tidegate translate`, and what trains for it: lines in, a line for each out, whatever stands in them."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest

from commands import Cli
from tidegate.cli import main

DIGITS = {"one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7"}
SMALL = {
    "units": "words", "embedding_size": 24, "hidden_size": 24, "decoder_size": 32, "hops": 2, "dropout": 0.1,
    "epochs": 12, "recurrent_dropout": 0, "word_dropout": 0, "average": 0.9, "batch_size": 16, "learning_rate": 0.02,
    "stop_on": "exact",
}  # fmt: skip


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Numbers in words, and the same from the end in digits: all of three, as two aligned files."""
    folder = tmp_path_factory.mktemp("pairs")
    texts = [" ".join(words) for words in itertools.product(DIGITS, repeat=3)]
    answers = [" ".join(DIGITS[word] for word in reversed(text.split())) for text in texts]
    (folder / "numbers.en").write_text("\n".join(texts) + "\n")
    (folder / "numbers.xx").write_text("\n".join(answers) + "\n")
    return folder


@pytest.fixture(scope="module")
def run(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "numbers"
    settings = [text for name, value in SMALL.items() for text in ("--set", f"{name}={value}")]
    reading = ["--read", "from=en", "--read", "to=xx", "--split", "0.2"]
    assert main(["train", str(pairs), "--task", "translate", *reading, *settings, "--out", str(folder)]) == 0
    return folder


def test_texts_are_translated(cli: Cli, run: Path) -> None:
    found = cli("translate", str(run), "one two three", "five five two")
    assert (found.code, found.out) == (0, "3 2 1\n2 5 5\n")
    assert "translated: 2 texts, 6 tokens" in found.err and "tokens a second" in found.err


def test_a_run_says_where_it_was_read(run: Path) -> None:
    recipe = json.loads((run / "recipe.json").read_text()) if (run / "recipe.json").exists() else None
    told = (run / "recipe.toml").read_text() if recipe is None else json.dumps(recipe)
    assert '"en"' in told and '"xx"' in told and '"pairs"' in told


def test_lines_of_a_file_keep_their_order_and_empty_ones_stay(cli: Cli, run: Path, tmp_path: Path) -> None:
    lines = ["two one two", "", "four five one", " ", "three one one"]
    (tmp_path / "in.txt").write_text("\r\n".join(lines))
    found = cli("translate", str(run), str(tmp_path / "in.txt"), "-o", str(tmp_path / "out.txt"), "--beam", "1")
    assert (found.code, found.out) == (0, "")
    written = (tmp_path / "out.txt").read_text().split("\n")
    alone = [cli("translate", str(run), line, "--beam", "1").out.rstrip("\n") for line in lines if line.strip()]
    assert written == [alone[0], "", alone[1], "", alone[2], ""]


def test_lines_of_a_pipe_are_answered(run: Path) -> None:
    command = [sys.executable, "-m", "tidegate", "translate", str(run), "-"]
    found = subprocess.run(command, input="one one two\n\nfive two one\n", capture_output=True, text=True, check=True)
    assert found.stdout == "2 1 1\n\n1 2 5\n"


def test_several_translations_have_a_line_each(cli: Cli, run: Path) -> None:
    found = cli("translate", str(run), "one two three", "", "four four one", "--n-best", "2")
    rows = [line.split("\t") for line in found.out.splitlines()]
    assert [row[0] for row in rows] == ["1", "1", "3", "3"]
    assert (rows[0][2], rows[2][2]) == ("3 2 1", "1 4 4")
    assert float(rows[0][1]) > float(rows[1][1])


def test_programs_get_an_object_for_each_text(cli: Cli, run: Path) -> None:
    found = cli("translate", str(run), "one two", "", "--json", "--beam", "3")
    first, second = map(json.loads, found.out.splitlines())
    assert (first["input"], second["input"], second["text"]) == ("one two", "", "")
    assert first["source"] == ["one", "two"] and first["tokens"] == first["text"].split()
    assert first["score"] <= 0


def test_a_translation_begins_as_it_is_told_and_may_be_drawn(cli: Cli, run: Path) -> None:
    assert cli("translate", str(run), "one two three", "--prefix", "5").out.startswith("5")
    drawn = ["--sample", "--temperature", "1.5", "--seed", "3"]
    one, other = (cli("translate", str(run), "one two three", *drawn).out for _ in range(2))
    assert one == other


def test_json_keeps_every_sign_of_a_text(cli: Cli, run: Path) -> None:
    found = cli("translate", str(run), "one\u2028two", "--json", "--beam", "1")
    assert found.code == 0
    assert json.loads(found.out)["input"] == "one\u2028two"


def test_a_page_shows_what_was_read(cli: Cli, run: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    found = cli("translate", str(run), "one two three", "", "--attention", str(page))
    assert (found.code, found.out) == (0, "3 2 1\n\n")
    text = page.read_text()
    assert text.count('<svg class="attention"') == 2  # hops, of the text that is not empty
    assert "<h2>one two three</h2>" in text and ">(end)</text>" in text
    read = next(line for line in text.splitlines() if "hop 2" in text and "<title>3 ← three" in line)
    assert "rect" in read


def test_a_translation_that_was_cut_is_told_of(cli: Cli, run: Path) -> None:
    found = cli("translate", str(run), "one two three", "--max-length", "1", "--beam", "1")
    assert found.out == "3\n"
    assert "1 translations did not end, and were cut" in found.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["one", "--beam", "0"], "beam=0; wanted a whole number from 1"),
        (["one", "--sample", "--beam", "50"], "--beam says how outputs are searched, and --sample draws them"),
        (["one", "--seed", "3"], "--seed says how tokens are drawn. Add --sample"),
        (["one", "--read", "encoding=latin-1"], "--read says how files are written, and none came"),
        (["one", "--read", "header=true"], "--read header=... says nothing here; to choose is encoding"),
        (["absent.txt"], "there is no file absent.txt"),
        (["one", "--beam", "2", "--n-best", "3"], "n_best"),
    ],
)
def test_what_cannot_be_done_is_refused(cli: Cli, run: Path, arguments: list[str], told: str) -> None:
    found = cli("translate", str(run), *arguments)
    assert found.code == 2 and told in found.err and found.out == ""


def test_other_files_and_models_are_refused(cli: Cli, run: Path, tmp_path: Path, reviews_run: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text("text\none two\n")
    found = cli("translate", str(run), str(table))
    assert found.code == 2 and "is a table" in found.err and "tidegate predict MODEL" in found.err
    found = cli("translate", str(reviews_run), "one")
    assert found.code == 2 and "translates no texts" in found.err
    lines = tmp_path / "a.txt"
    lines.write_bytes(b"one\n\xff\n")
    found = cli("translate", str(run), str(lines))
    assert found.code == 2 and "a.txt, line 2, byte 0 (0xff) is not UTF-8" in found.err
    found = cli("translate", str(run), str(lines), "--read", "encoding=latin-1", "--beam", "1")
    assert found.code == 0 and len(found.out.splitlines()) == 2
    found = cli("translate", str(run), str(lines), "-o", str(lines))
    assert found.code == 2 and "is the file that is read" in found.err
    assert lines.read_bytes() == b"one\n\xff\n"


def test_a_table_is_written_again_with_translations_beside_it(cli: Cli, run: Path, tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text("id,text\n7,one two three\n8,five one two\n")
    found = cli("predict", str(run), str(table), "--text", "text")
    rows = [line.split(",")[:3] for line in found.out.splitlines()]
    assert rows == [["id", "text", "predicted"], ["7", "one two three", "3 2 1"], ["8", "five one two", "2 1 5"]]


def test_a_run_is_measured_on_what_it_held_out_by_length(cli: Cli, run: Path, pairs: Path) -> None:
    found = cli("evaluate", str(run), str(pairs), "--json")
    told = json.loads(found.out)
    assert told["part"] == "test" and told["exact"] > 0.8
    assert "held out by the run: 69 of 343 pairs" in found.err
    assert [row["tokens"] for row in told["by_length"]] == ["1 to 10"]
    assert told["signature"].startswith("nrefs:1|case:mixed|eff:no|tok:13a")
    assert f"signature  {told['signature']}" in cli("evaluate", str(run), str(pairs)).out
