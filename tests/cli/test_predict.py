"""`tidegate predict`, called as `main(argv)`: texts and sequences as arguments and from stdin, and bad ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tidegate as tg
from commands import Answer, Cli
from tidegate import data


def test_predict_answers_each_text_with_what_the_model_says(cli: Cli, reviews_run: Path) -> None:
    texts = ["the film was good", "so dull"]
    model = tg.load(reviews_run)
    rows, labels = model.predict_proba(texts), model.predict(texts).tolist()
    plain = cli("predict", reviews_run, *texts)
    assert (plain.code, plain.err) == (0, "")
    assert plain.out.splitlines() == [
        f"{label}\t{row.max():.4f}\t{text}" for label, row, text in zip(labels, rows, texts, strict=True)
    ]
    spoken = [
        json.loads(line)
        for line in cli("predict", reviews_run / "model.safetensors", *texts, "--json").out.splitlines()
    ]
    assert [line["label"] for line in spoken] == labels == ["pos", "neg"]
    assert [line["input"] for line in spoken] == texts
    assert [list(line["probabilities"]) for line in spoken] == [["neg", "pos"]] * 2
    assert [list(map(np.float32, line["probabilities"].values())) for line in spoken] == rows.tolist()


@pytest.mark.parametrize("dash", [(), ("-",)])
def test_predict_reads_lines_from_stdin(cli: Cli, reviews_run: Path, dash: tuple[str, ...]) -> None:
    answer = cli("predict", reviews_run, *dash, stdin="\ufeffso good\r\nso dull\nfine 好".encode())
    assert [line.split("\t")[2] for line in answer.out.splitlines()] == ["so good", "so dull", "fine 好"]


def test_lines_before_one_that_cannot_be_read_are_answered(cli: Cli, reviews_run: Path) -> None:
    answer = cli("predict", reviews_run, stdin=b"good\nbad\n\xe4h\n")
    assert answer.code == 2
    assert len(answer.out.splitlines()) == 2
    assert "line 3 of stdin is not UTF-8: byte 0 is 0xe4" in answer.err


@pytest.mark.parametrize("stream", [(), ("--stream",)])
def test_every_line_of_text_gets_its_answer_blank_ones_too(
    cli: Cli, reviews_run: Path, stream: tuple[str, ...]
) -> None:
    stdin, nothing = b"so good\n\n \t\r\nso dull\n\n", tg.load(reviews_run).predict_proba([""])[0]
    answer = cli("predict", reviews_run, *stream, "--json", stdin=stdin)
    spoken = [json.loads(line) for line in answer.out.splitlines()]
    assert (answer.code, answer.err) == (0, "")
    assert [line["input"] for line in spoken] == ["so good", "", " \t", "so dull", ""]
    for blank in (1, 2, 4):
        assert list(map(np.float32, spoken[blank]["probabilities"].values())) == nothing.tolist()
    assert len(cli("predict", reviews_run, *stream, stdin=stdin).out.splitlines()) == 5
    assert cli("predict", reviews_run, "").out == f"{spoken[1]['label']}\t{max(nothing):.4f}\t\n"


def test_a_blank_line_is_a_sequence_without_steps(cli: Cli, digits_run: Path) -> None:
    blank, written = cli("predict", digits_run, stdin=b"\n"), cli("predict", digits_run, "[]")
    assert blank.code == written.code == 0
    assert blank.out.split("\t")[:2] == written.out.split("\t")[:2]


def test_a_line_far_down_is_named_by_its_number(cli: Cli, reviews_run: Path) -> None:
    answer = cli(
        "predict", reviews_run, stdin=b"so good, so very good\n" * 5000 + b"\xff\n"
    )  # more than one read brings
    assert len(answer.out.splitlines()) == 5000
    assert "line 5001 of stdin" in answer.err


def test_predict_with_no_input_at_all_answers_nothing(cli: Cli, reviews_run: Path) -> None:
    assert cli("predict", reviews_run) == Answer(0, "", "")


def test_predict_takes_sequences_as_json(cli: Cli, digits_run: Path) -> None:
    test = data.load("digits").test
    assert test is not None
    sequence = test.x[0]
    assert not isinstance(sequence, str)
    answer = cli("predict", digits_run, "--json", stdin=json.dumps(sequence.tolist()).encode() + b"\n")
    assert json.loads(answer.out)["label"] == tg.load(digits_run).predict(test.x)[0]


@pytest.mark.parametrize(
    "line", ["good", "[[1, 2]]", "[[1, 2", '{"a": 1}', "3", '[["a"]]', "[[NaN, 0, 0, 0, 0, 0, 0, 0]]"]
)
def test_a_sequence_that_cannot_be_used_is_told(cli: Cli, digits_run: Path, line: str) -> None:
    answer = cli("predict", digits_run, line)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("error: ")


def test_a_model_that_cannot_be_read_is_told_and_exits_1(cli: Cli, reviews_run: Path, tmp_path: Path) -> None:
    whole = (reviews_run / "model.safetensors").read_bytes()
    for name, content in {
        "truncated": whole[: len(whole) // 2],
        "empty": b"",
        "altered": whole[:-9] + b"\1" * 9,
    }.items():
        (tmp_path / name).write_bytes(content)
        answer = cli("predict", tmp_path / name, "good")
        assert (answer.code, answer.out) == (1, ""), name
        assert answer.err.startswith(f"error: {tmp_path / name}"), name
    assert cli("predict", tmp_path / "absent", "good").code == 1


@pytest.mark.parametrize("command", [("data", "path", "digits"), ("predict", "RUN", "[[0, 0, 0, 0, 0, 0, 0, 1]]")])
def test_a_reader_who_goes_away_is_no_error_to_speak_of(digits_run: Path, command: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    arguments = [str(digits_run) if part == "RUN" else part for part in command]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    line = [sys.executable, "-m", "tidegate", *arguments]
    done = subprocess.run(line, stdout=writing, stderr=subprocess.PIPE, env=buffered, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_streams_that_were_closed_before_are_no_error(tmp_path: Path) -> None:
    shell = f'"{sys.executable}" -m tidegate data path digits >&- 2>&- <&-'
    assert subprocess.run(["sh", "-c", shell], check=False).returncode == 0


def test_an_argument_that_is_not_utf8_is_told(reviews_run: Path) -> None:
    line: list[str | bytes] = [sys.executable, "-m", "tidegate", "predict", str(reviews_run), b"so \xff good"]
    done = subprocess.run(line, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"error: ")
