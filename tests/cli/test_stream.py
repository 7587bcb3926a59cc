"""`tidegate predict --stream`: each line answered as it comes; bad lines told and left out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tidegate as tg
from commands import Cli

ROWS = np.random.default_rng(3).standard_normal((6, 2)).round(3)


@pytest.fixture(scope="module")
def sensors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    X = [rng.standard_normal((length, 2)) + length % 2 * 3 for length in range(4, 24)]
    model = tg.SequenceClassifier(hidden_size=4, epochs=2, batch_size=4, bidirectional=False)
    path = tmp_path_factory.mktemp("sensors") / "model.safetensors"
    model.fit(X, ["odd" if len(x) % 2 else "even" for x in X]).save(path)
    return path


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "model.safetensors"
    model = tg.TextClassifier(hidden_size=4, epochs=1, batch_size=4, validation_fraction=0)
    model.fit(["good fun", "bad film"] * 8, ["pos", "neg"] * 8).save(path)
    return path


@pytest.fixture(scope="module")
def hourly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    hours = np.datetime64("2026-01-01T00:00", "ms") + np.arange(60) * np.timedelta64(3_600_000, "ms")
    path = tmp_path_factory.mktemp("hourly") / "model.safetensors"
    model = tg.Forecaster(lookback=4, horizon=2, hidden_size=4, epochs=1)
    model.fit({"unique_id": ["a"] * 60, "ds": hours, "y": np.arange(60.0) % 7}).save(path)
    return path


def csv(rows: object) -> str:
    return "".join(",".join(map(str, row)) + "\n" for row in rows)  # type: ignore[attr-defined]


def test_each_row_is_answered_with_the_classes_so_far(cli: Cli, sensors: Path) -> None:
    answer = cli("predict", sensors, "--stream", "--json", stdin=csv(ROWS).encode())
    model = tg.load(sensors)
    want = [model.predict_proba([ROWS[: step + 1]])[0] for step in range(6)]
    found = [json.loads(line) for line in answer.out.splitlines()]
    assert (answer.code, answer.err) == (0, "")
    assert [list(each["probabilities"].values()) for each in found] == [row.tolist() for row in want]
    assert [each["step"] for each in found] == [1, 2, 3, 4, 5, 6]
    plain = cli("predict", sensors, "--stream", "-", stdin=("x,y\n" + csv(ROWS)).encode()).out
    assert plain.splitlines()[-1] == f"{found[-1]['label']}\t{max(want[-1]):.4f}"


@pytest.mark.parametrize(("header", "group"), [("x,machine,y\n", "machine"), ("", "1"), ("x,machine,y\n", "1")])
def test_groups_are_sequences_of_their_own(cli: Cli, sensors: Path, header: str, group: str) -> None:
    rows = [(x, "left" if step % 2 else "right", y) for step, (x, y) in enumerate(ROWS)]
    answer = cli("predict", sensors, "--stream", "--group", group, "--json", stdin=(header + csv(rows)).encode())
    found, model = [json.loads(line) for line in answer.out.splitlines()], tg.load(sensors)
    assert [each["group"] for each in found] == ["right", "left"] * 3
    for start in (0, 1):
        want = model.predict_proba([ROWS[start::2]])[0]
        assert list(found[4 + start]["probabilities"].values()) == want.tolist()


def test_a_bad_line_is_told_with_its_number_and_left_out(cli: Cli, sensors: Path) -> None:
    lines = csv(ROWS).splitlines()
    spoiled = [lines[0], "1.0,nan", "1.0", "1.0,two", "1.0,2.0,3.0", *lines[1:]]
    answer = cli("predict", sensors, "--stream", stdin="\n".join(spoiled).encode() + b"\n\xff\xfe,1")
    fine = cli("predict", sensors, "--stream", stdin=csv(ROWS).encode())
    assert (answer.code, fine.code) == (1, 0)
    assert answer.out == fine.out
    told = answer.err.splitlines()
    assert [line.partition(":")[0] for line in told] == [f"line {number}" for number in (2, 3, 4, 5, 11)]
    assert "nan as feature 1" in told[0]
    assert "'two' is no number" in told[2]
    assert "not UTF-8" in told[4]


def test_an_empty_line_begins_a_new_sequence(cli: Cli, sensors: Path) -> None:
    twice = cli("predict", sensors, "--stream", stdin=(csv(ROWS) + "\n" + csv(ROWS)).encode()).out.splitlines()
    assert twice[:6] == twice[6:]
    assert twice[0] != twice[5]


def test_each_line_of_text_is_a_text(cli: Cli, texts: Path) -> None:
    answer = cli("predict", texts, "--stream", stdin=b"good fun\n\nbad \xff\nbad film\n")
    assert answer.code == 1
    assert answer.out == cli("predict", texts, "good fun", "", "bad film").out
    assert [line.partition(":")[0] for line in answer.err.splitlines()] == ["line 3"]


def test_a_series_is_forecast_from_each_row_on(cli: Cli, hourly: Path) -> None:
    rows = [f"2026-02-01T{hour:02d}:00,b,{hour % 7}" for hour in range(8)]
    answer = cli("predict", hourly, "--stream", "--json", stdin="\n".join(["ds,unique_id,y", *rows]).encode())
    found = [json.loads(line) for line in answer.out.splitlines()]
    assert [each["ds"][0] for each in found] == [f"2026-02-01 {hour:02d}:00:00" for hour in range(4, 9)]
    table = {"unique_id": ["b"] * 8, "ds": [row[:16] for row in rows], "y": [hour % 7 for hour in range(8)]}
    (want,) = tg.load(hourly).predict(table)
    assert found[-1]["mean"]["y"] == want.mean[:, 0].tolist()
    gap = cli("predict", hourly, "--stream", stdin="\n".join(["ds,unique_id,y", *rows[:5], *rows[6:]]).encode())
    assert gap.code == 0
    assert gap.err == "line 7: 2026-02-01 05:00:00 was to come, not 2026-02-01 06:00:00: the series begins anew.\n"
    assert len(gap.out.splitlines()) == 2 * 3
    headless = cli("predict", hourly, "--stream", stdin=b"1.0\n")
    assert headless.code == 1
    assert "need a beginning" in headless.err


def test_options_that_do_not_fit_are_refused(cli: Cli, sensors: Path, texts: Path) -> None:
    for arguments, complaint in (
        ((texts, "--stream", "a text"), "--stream reads stdin"),
        ((texts, "--stream", "--group", "a"), "for models of sequences"),
        ((texts, "--group", "a"), "are for --stream"),
        ((sensors, "--stream", "--lookahead", "3"), "reads forwards and needs none"),
    ):
        answer = cli("predict", *arguments)
        assert answer.code == 2
        assert complaint in answer.err
    named = cli("predict", sensors, "--stream", "--group", "machine", stdin=b"1,2\n")
    assert named.code == 1
    assert "--group machine: no header names such a column" in named.err


def start(model: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tidegate", "predict", str(model), "--stream"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1,
    )  # fmt: skip


def test_answers_come_before_the_input_ends_and_an_interrupt_is_130(sensors: Path) -> None:
    with start(sensors) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        for _ in range(2):
            process.stdin.write("0.5,0.5\n")
            process.stdin.flush()
            assert process.stdout.readline().split("\t")[0] in ("odd", "even")
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == ""
        assert process.wait() == 130


def test_a_reader_who_goes_away_ends_it_without_a_word(sensors: Path) -> None:
    with start(sensors) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write("0.5,0.5\n")
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.close()
        try:
            for _ in range(200):
                process.stdin.write("0.5,0.5\n")
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), process.stdin.fileno())
        process.stdin.close()
        assert process.stderr.read() == ""
        assert process.wait() == 0


def test_a_line_that_no_table_has_is_left_out_and_a_return_alone_ends_one(cli: Cli, sensors: Path) -> None:
    lines = [b"1.0,2.0", b"1.0,2.0\r3.0,4.0", b"1.0," + b"2" * 200_000, b"1.0,2.0"]
    answer = cli("predict", sensors, "--stream", stdin=b"\n".join(lines))
    assert answer.code == 1
    assert len(answer.out.splitlines()) == 4
    assert [line.split(": ")[0] for line in answer.err.splitlines()] == ["line 4"]


def test_options_of_other_tasks_are_refused_beside_stream_too(cli: Cli, sensors: Path, hourly: Path) -> None:
    for option in (("--picture", "x.png"), ("--read", "repair=sort"), ("--spans",)):
        answer = cli("predict", sensors, "--stream", *option)
        assert answer.code == 2
        assert option[0] in answer.err
    assert cli("predict", hourly, "--stream", "--picture", "x.png").code == 2
