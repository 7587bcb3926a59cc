"""What commands print where the terminal cannot spell it, nobody reads it, or it cannot be written."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tidegate as tg
from commands import Cli
from tidegate.cli import main
from tidegate.cli.output import say

SMALL: dict[str, Any] = {"hidden_size": 4, "epochs": 1, "validation_fraction": 0}
TEXT = "日本 grüße 😀"
ENCODINGS = ("cp1252", "ascii", "gbk", "latin-1", "utf-8", "utf-16")
Spoken = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tg.TextClassifier(**SMALL).fit(["good grüße", "bad 😀"] * 8, ["größer ✓", "→"] * 8).save(folder / "texts")
    tg.TokenTagger(**SMALL).fit([["日本", "grüße"], ["so", "😀"]] * 8, [["B-人", "O"]] * 16).save(folder / "tags")
    tg.LanguageModel(tokens="characters", **SMALL).fit(["日本😀" * 9]).save(folder / "language")
    return folder


@pytest.fixture
def spoken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Spoken:
    """Call a command line whose stdout and stderr have an encoding; return the code, and both as they can be read.

    Errors of usage are typer's, which writes UTF-8 where it is told of ASCII.
    """

    def call(encoding: str, *argv: object, stdin: str = "") -> tuple[int, str, str]:
        streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
        (tmp_path / "stdin").write_text(stdin, encoding="utf-8")
        with monkeypatch.context() as patch, (tmp_path / "stdin").open() as file:
            patch.setattr(sys, "stdin", file)
            patch.setattr(sys, "stdout", streams[0])
            patch.setattr(sys, "stderr", streams[1])
            code = main([str(part) for part in argv])
        found = []
        for stream in streams:
            stream.flush()
            written = stream.buffer.getvalue()
            found.append(written.decode("utf-8" if encoding == "ascii" else encoding))
        return code, found[0], found[1]

    return call


def spelled(text: str, encoding: str) -> str:
    return text.encode(encoding, "backslashreplace").decode(encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_a_stream_cannot_spell_is_escaped(models: Path, spoken: Spoken, encoding: str) -> None:
    code, out, _ = spoken(encoding, "predict", models / "texts", TEXT)
    assert (code, out.rstrip().split("\t")[-1]) == (0, spelled(TEXT, encoding))
    code, out, _ = spoken(encoding, "predict", models / "texts", "--stream", stdin=f"{TEXT}\n")
    assert (code, out.rstrip().split("\t")[-1]) == (0, spelled(TEXT, encoding))
    code, out, _ = spoken(encoding, "predict", models / "tags", TEXT)
    assert (code, [line.split("\t")[0] for line in out.split("\n")[:3]]) == (0, spelled(TEXT, encoding).split())
    code, out, _ = spoken(encoding, "generate", models / "language", "--prompt", "日本", "--length", "3")
    assert (code, out.startswith(spelled("日本", encoding))) == (0, True)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json_can_be_read_in_any_encoding(models: Path, spoken: Spoken, encoding: str) -> None:
    for more, stdin in (((TEXT,), ""), (("--stream",), f"{TEXT}\n")):
        _, out, _ = spoken(encoding, "predict", models / "texts", "--json", *more, stdin=stdin)
        found = json.loads(out)
        assert found["input"] == TEXT
        assert set(found["probabilities"]) == {"größer ✓", "→"}
        assert out.isascii() == (not encoding.startswith("utf"))
    _, out, _ = spoken(encoding, "predict", models / "tags", "--json", TEXT)
    assert [word["word"] for word in json.loads(out)["words"]] == TEXT.split()
    _, out, _ = spoken(encoding, "info", models / "texts", "--json")
    assert "größer ✓" in json.dumps(json.loads(out), ensure_ascii=False)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_errors_and_warnings_can_be_told_in_any_encoding(
    spoken: Spoken, encoding: str, tmp_path: Path, models: Path
) -> None:
    code, _, err = spoken(encoding, "predict", tmp_path / "größe→😀", "x")
    assert (code, "Traceback" in err) == (1, False)
    assert spelled("größe→😀: no such file", encoding) in err
    for argv in (["größe→"], ["train", "x.csv", "--größe→"], ["predict", models / "texts", "--read", "größe→"]):
        code, _, err = spoken(encoding, *argv)
        assert (code, "Traceback" in err) == (2, False)


def test_a_file_whose_name_is_no_text_is_told(spoken: Spoken, tmp_path: Path) -> None:
    data = tmp_path / "t\udcff.csv"
    data.write_text("text,label\n" + "good one,a\nbad one,b\n" * 9, encoding="utf-8")
    train = ["train", data, "--hidden-size", "4", "--epochs", "1", "--out", tmp_path / "run"]
    code, _, err = spoken("utf-8", *train)
    assert (code, "file name 't\\udcff.csv' is no valid Unicode" in err) == (2, True)
    (tmp_path / "t.csv").write_bytes(data.read_bytes())
    train[1], train[-1] = tmp_path / "t.csv", tmp_path / "r\udcff"
    code, out, _ = spoken("utf-8", *train)
    assert (code, "r\\udcff" in out) == (0, True)
    assert (tmp_path / "r\udcff" / "report.html").exists()
    assert spoken("utf-8", "evaluate", tmp_path / "r\udcff", data)[0] == 0


def test_lines_of_stdin_end_as_lines_of_files_do(models: Path, cli: Cli) -> None:
    for stream in ((), ("--stream",)):
        answer = cli("predict", models / "texts", *stream, "--json", stdin="a\u2028b\r\nc\x85d\re\x0cf\n".encode())
        assert [json.loads(line)["input"] for line in answer.out.split("\n")[:-1]] == ["a\u2028b", "c\x85d", "e\x0cf"]


def piped(shell: str) -> subprocess.CompletedProcess[bytes]:
    """Run a shell command in which `tidegate` writes through a buffer, as it does where nothing else is asked."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        ["bash", "-c", shell.replace("tidegate", f'"{sys.executable}" -m tidegate')],
        capture_output=True,
        env=env,
        check=False,
    )


@pytest.mark.parametrize("buffered", [True, False])
def test_a_reader_who_has_seen_enough_is_no_error(models: Path, buffered: bool) -> None:
    unbuffered = "" if buffered else "PYTHONUNBUFFERED=1 "
    for command in (f"predict {models}/texts --stream", f"generate {models}/language --length 9999 --endless"):
        shell = f"(yes good | head -n 20000 | {unbuffered}tidegate {command}; echo $? >&2) | head -c 1 > /dev/null"
        assert piped(shell).stderr == b"0\n"


def test_work_goes_on_where_nobody_reads_how_far_it_is(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("text,label\n" + "good one,a\nbad one,b\n" * 9, encoding="utf-8")
    train = f"tidegate train {tmp_path}/t.csv --hidden-size 4 --epochs 3 --out {tmp_path}/run"
    done = piped(f"({train} 2>&1; echo $? >&2) | true")
    assert done.stderr == b"0\n"
    assert (tmp_path / "run" / "model.safetensors").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_result_that_cannot_be_written_is_told() -> None:
    done = piped("tidegate data list > /dev/full")
    assert (done.returncode, done.stderr) == (1, b"error: stdout cannot be written: No space left on device\n")


def test_what_is_said_to_nobody_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        with pytest.raises(BrokenPipeError):
            print("nobody reads this", file=stream, flush=True)
        monkeypatch.setattr(sys, "stderr", stream)
        say("one")
        say("two")
        monkeypatch.undo()
        assert os.fstat(writing).st_rdev == Path(os.devnull).stat().st_rdev
