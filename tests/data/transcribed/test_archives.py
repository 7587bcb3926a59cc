"""Transcribed data sets by name: tiny archives in their layouts are read by their splits, and damage is named."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

import tidegate as tg
from tidegate.data import Dataset, Examples, Recordings
from tidegate.errors import DataError, DataWarning, DownloadError, InputError, OptionError
from transcribed import put_clip, put_line


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_DATA", str(tmp_path))
    monkeypatch.setenv("TIDEGATE_CACHE", str(tmp_path / "cache"))


def pack(path: Path, members: Mapping[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def clip(folder: Path, steps: int) -> bytes:
    put_clip(folder / "clip.wav", steps)
    return (folder / "clip.wav").read_bytes()


def of(part: Examples | None) -> Recordings:
    assert part is not None
    assert isinstance(part.x, Recordings)
    return part.x


def an4() -> dict[str, bytes]:
    frames = np.arange(13, dtype=">f4")
    names = {
        "train": "an4_clstk/fash/a-fash-b",
        "dev": "an4_clstk/mblb/b-mblb-b",
        "test": "an4test_clstk/fcaw/c-fcaw-b",
    }
    members = {f"an4/split.{part}.txt": f"{name}\n".encode() for part, name in names.items()}
    for count, name in enumerate(names.values(), 1):
        content = np.array([13 * count], ">i4").tobytes() + np.tile(frames, count).tobytes()
        members[f"an4/feat/{name}.mfc"] = content
    members["an4/etc/an4_train.transcription"] = b"<s> YES </s> (a-fash-b)\nGO  ON (b-mblb-b)\n"
    members["an4/etc/an4_test.transcription"] = b"B A (c-fcaw-b)\n"
    return members


def load(name: str, **columns: str) -> Dataset:
    with pytest.warns(DataWarning, match="is another archive than that which numbers were measured on"):
        return tg.data.load(name, **columns)  # type: ignore[arg-type]


def test_an4_is_read_by_its_splits_with_its_speakers(tmp_path: Path) -> None:
    pack(tmp_path / "an4" / "an4.tar.gz", an4())
    dataset = load("an4")
    parts = [of(part) for part in (dataset.train, dataset.valid, dataset.test)]
    assert [part.texts for part in parts] == [["YES"], ["GO ON"], ["B A"]]
    assert [part.groups for part in parts] == [["fash"], ["mblb"], ["fcaw"]]
    assert [part.lengths.tolist() for part in parts] == [[1], [2], [3]]
    np.testing.assert_array_equal(parts[0].signals[0][0], np.arange(13))
    assert parts[2].place(0, 50) == 0.5


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("an4/split.dev.txt", "holds no split.dev.txt"),
        ("an4/feat/an4_clstk/fash/a-fash-b.mfc", "holds no feat/an4_clstk"),
    ],
)
def test_what_is_missing_in_an_archive_is_named(tmp_path: Path, gone: str, message: str) -> None:
    pack(tmp_path / "an4" / "an4.tar.gz", {name: content for name, content in an4().items() if name != gone})
    with pytest.warns(DataWarning), pytest.raises(DataError, match=message):
        tg.data.load("an4")


def test_prompts_without_speech_and_long_ones_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = {"a.wav": "Thank you.", "beep.wav": "[a beep]", "long.wav": "Very long.", "b.wav": "No.", "c.wav": "Yes."}
    members = {f"en/{name}": clip(tmp_path, 161_000 if name == "long.wav" else 8) for name in rows}
    members["en/manifest.tsv"] = b"path\ttext\n" + "".join(f"{k}\t{v}\n" for k, v in rows.items()).encode()
    splits = {"train": "a.wav\nbeep.wav\nlong.wav\n", "dev": "b.wav\n", "test": "c.wav\n"}
    members |= {f"en/split.{part}.txt": names.encode() for part, names in splits.items()}
    pack(tmp_path / "asterisk_en" / "asterisk-core-sounds-en.tar.gz", members)
    dataset = load("asterisk_en")
    assert of(dataset.train).texts == ["Thank you."]
    assert of(dataset.train).dropped == {"longer than 20 s": 1, "without speech": 1}
    assert dataset.summary().endswith("left out: 1 longer than 20 s, 1 without speech")


@pytest.mark.parametrize(("name", "file"), [("fraktur19", "fraktur19.tar.gz"), ("timeus_hand", "timeus_hand48.tar.gz")])
def test_lines_are_read_with_their_books_and_narrow_ones_left_out(tmp_path: Path, name: str, file: str) -> None:
    pytest.importorskip("PIL")
    put_line(tmp_path / "line.png", (24, 40))  # 80 pixels wide at a height of 48
    picture = (tmp_path / "line.png").read_bytes()
    members = {}
    for number, (part, text) in enumerate({"train": "Jrr", "dev": "ſeyn", "test": "a" * 21}.items()):
        place = f"data/book{number}/000"
        members[f"x/split.{part}.txt"] = f"{place}.png\n".encode()
        members |= {f"x/{place}.png": picture, f"x/{place}.gt.txt": f"{text}\n".encode()}
    pack(tmp_path / name / file, members)
    dataset = load(name, height="12")
    assert (of(dataset.train).texts, of(dataset.train).groups) == (["Jrr"], ["book0"])
    assert (of(dataset.train).width, of(dataset.train).place(0, 20)) == (12, 40.0)
    assert of(dataset.test).dropped == {"of less than 4 pixels a character": 1}


def test_what_has_no_address_says_where_to_put_it(tmp_path: Path) -> None:
    for name in ("an4", "fsdd"):
        with pytest.raises(DownloadError, match=rf"\$TIDEGATE_DATA/{name}"):
            tg.data.load(name)


def spoken(tmp_path: Path) -> None:
    """Pack three speakers who say 0 and 1 eleven times; how long a clip is tells who says what."""
    members = {
        f"recordings/{digit}_{speaker}_{number}.wav": clip(tmp_path, 100 * digit + 10 * at + 20)
        for at, speaker in enumerate(("ann", "bob", "cid"))
        for digit in (0, 1)
        for number in range(11)
    }
    pack(tmp_path / "fsdd" / "free-spoken-digit-dataset.tar.gz", members)


def test_strings_of_digits_are_composed_of_clips_of_one_speaker(tmp_path: Path) -> None:
    spoken(tmp_path)
    dataset = tg.data.load("fsdd")
    train = of(dataset.train)
    assert train.texts is not None
    assert train.groups is not None
    for signal, text, speaker in zip(train, train.texts, train.groups, strict=True):
        digits = [["zero", "one"].index(word) for word in text.split()]
        said = sum(100 * digit + 10 * ("ann", "bob", "cid").index(speaker) + 20 for digit in digits)
        gaps = len(signal) - said
        assert 160 * len(digits) <= gaps <= 1600 * len(digits)  # 0.02 to 0.2 s after each
        assert int(np.count_nonzero(signal)) == said
    again = tg.data.load("fsdd", seed="1").train.x
    assert isinstance(again, Recordings)
    assert again.texts != train.texts
    assert of(tg.data.load("fsdd").train).texts == train.texts


def test_a_speaker_who_is_left_out_is_tested_alone(tmp_path: Path) -> None:
    spoken(tmp_path)
    dataset = tg.data.load("fsdd", speaker="bob", strings="false")
    assert set(of(dataset.test).groups or []) == {"bob"}
    assert set(of(dataset.train).groups or []) == {"ann", "cid"}
    assert len(of(dataset.test)) == 22
    assert set(of(dataset.test).texts or []) == {"zero", "one"}
    with pytest.raises(OptionError, match="unknown speaker 'bab'"):
        tg.data.load("fsdd", speaker="bab")
    with pytest.raises(InputError, match="strings=no"):
        tg.data.load("fsdd", strings="no")


def test_lines_of_digits_to_test_on_hold_no_digit_of_training() -> None:
    pytest.importorskip("sklearn")
    dataset = tg.data.load("digit_lines")
    for part, count in ((dataset.train, 2000), (dataset.valid, 200), (dataset.test, 300)):
        found = of(part)
        assert len(found) == count
        assert found.texts is not None
        assert {len(text) for text in found.texts} == set(range(3, 9))
        assert {
            len(text) * 9 <= len(line) <= len(text) * 22 + 4 for line, text in zip(found, found.texts, strict=True)
        } == {True}
        assert max(float(line.max()) for line in found) == 1.0
    assert of(dataset.train).texts != of(tg.data.load("digit_lines", seed="1").train).texts
