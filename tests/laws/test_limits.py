"""What is too large or no file is told in one line, before memory runs out; nothing waits for ever."""

from __future__ import annotations

import io
import os
import resource
import tarfile
from pathlib import Path

import numpy as np
import pytest

import tidegate as tg
from commands import Cli
from tidegate import data
from tidegate.data.archive import read_members
from tidegate.data.tokenizer import train_words
from tidegate.errors import DataError, InputError


def test_a_small_parquet_file_does_not_become_a_large_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"text": ["a word " * 20] * 600_000, "label": ["a", "b"] * 300_000})
    file = tmp_path / "bomb.parquet"
    parquet.write_table(table, file)
    assert file.stat().st_size < 100_000
    with pytest.raises(DataError, match=r"unpacks to more than 67,108,864.*TIDEGATE_MAX_BYTES"):
        data.load(file)
    monkeypatch.setenv("TIDEGATE_MAX_BYTES", "1000000000")
    assert len(data.load(file).train) == 600_000
    monkeypatch.setenv("TIDEGATE_MAX_BYTES", "much")
    with pytest.raises(InputError, match="whole number of bytes"):
        data.load(file)


def test_a_word_that_the_tokenizer_library_cannot_take_is_refused() -> None:
    tokenizer = train_words(["a word"])
    assert tokenizer.encode(["x" * (2**24 + 1)]).values.tolist() == [0]  # which the core reads
    with pytest.raises(DataError, match="16,777,217 characters in one piece"):
        tokenizer.encode(["x" * 2**24 + "\u0301"])


@pytest.mark.parametrize(
    ("features", "classes", "said"), [(0, 2, "input_size is 0"), (1, 65_537, "out_features is 65537")]
)
def test_data_of_which_no_network_can_be_made_are_refused_in_words(features: int, classes: int, said: str) -> None:
    X = np.zeros((2 * classes, 1, features), np.float32)
    with pytest.raises(InputError, match=said):
        tg.SequenceClassifier(validation_fraction=0, scale=False).fit(X, np.arange(2 * classes) % classes)


def test_a_pipe_is_no_data_file(cli: Cli, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    answer = cli("train", tmp_path / "pipe.csv")
    assert (answer.code, answer.out) == (2, "")
    assert "no file but a pipe" in answer.err


def test_an_empty_name_of_a_folder_is_refused(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in (("train", "digits", "--out", ""), ("train", "--resume", ""), ("lab", "--out", "")):
        answer = cli(*arguments)
        assert (answer.code, (tmp_path / "runs").exists()) == (2, False)
        assert "an empty name" in answer.err


@pytest.mark.parametrize("arguments", [("train",), ("evaluate", "model"), ("search",), ("compare", "imdb", "imdb")])
def test_an_empty_name_of_data_is_not_the_folder_one_stands_in(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    for label in ("good", "bad"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "1.txt").write_text(label)
    monkeypatch.chdir(tmp_path)
    answer = cli(*arguments[:2], "") if len(arguments) < 3 else cli("compare", "")
    assert answer.code == 2
    assert "an empty name" in answer.err


@pytest.mark.parametrize("command", ["predict", "transcribe", "translate", "generate", "evaluate", "info", "align"])
def test_an_empty_name_of_a_model_is_refused(cli: Cli, command: str) -> None:
    answer = cli(command, "", "x", *(["x"] if command == "align" else []))
    assert answer.code == 2
    assert "an empty name" in answer.err


def test_no_memory_is_told_in_one_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate 7 TiB")

    monkeypatch.setattr("tidegate.data.loading.load", full)
    answer = cli("train", "digits")
    assert (answer.code, answer.out, answer.err.count("\n")) == (1, "", 1)
    assert "memory is not enough (Unable to allocate 7 TiB)" in answer.err


def test_a_process_with_too_many_open_files_is_told_so(tmp_path: Path) -> None:
    model = tg.SequenceClassifier(epochs=1, hidden_size=2, validation_fraction=0).fit(np.ones((4, 2, 1)), [0, 1, 0, 1])
    model.save(tmp_path / "model")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open(tmp_path, os.O_RDONLY)
    os.close(lowest)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
        with pytest.raises(OSError, match="Too many open files"):
            tg.load(tmp_path / "model")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_header_of_an_archive_that_makes_no_sense_is_told_as_damage(tmp_path: Path) -> None:
    file = tmp_path / "odd.tar.gz"
    with tarfile.open(file, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("a.txt")
        member.size = 3
        member.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "3"}
        tar.addfile(member, io.BytesIO(b"one"))
    with pytest.raises(DataError, match=r"damaged|refused"):
        list(read_members(file, lambda _: True))
