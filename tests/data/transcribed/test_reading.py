"""Layouts of others: each gives the same recordings, and what is missing or twice is named with its line."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate as tg
from tidegate.data import Dataset, Recordings
from tidegate.data.transcribed.reading import read_files
from tidegate.errors import DataError, DataWarning, InputError, OptionError
from transcribed import put_clip, put_line


def load(path: Path, **columns: Any) -> Dataset:
    return tg.data.load(path, kind="transcribed", **columns)


def recordings(path: Path, **columns: str) -> Recordings:
    found = load(path, **columns).train.x
    assert isinstance(found, Recordings)
    return found


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A folder with two clips of two speakers: `1-2-0000.wav` of four samples, `7-2-0001.wav` of six."""
    put_clip(tmp_path / "1-2-0000.wav", 4)
    put_clip(tmp_path / "7-2-0001.wav", 6)
    return tmp_path


def layouts(folder: Path) -> dict[str, Path]:
    """Write the texts of the clips in every layout, each beside them or in a folder of its own."""
    pairs = [("1-2-0000", "NO", "1"), ("7-2-0001", "YES PLEASE", "7")]
    tsv = folder / "list.tsv"
    tsv.write_text("speaker\tpath\ttext\n" + "".join(f"{who}\t{name}.wav\t{text}\n" for name, text, who in pairs))
    jsonl = folder / "list.jsonl"
    rows = [{"audio_filepath": f"{name}.wav", "text": text, "speaker": who} for name, text, who in pairs]
    jsonl.write_text("".join(json.dumps(row) + "\n" for row in rows))
    kaldi, libri = folder / "kaldi", folder / "libri"
    for place in (kaldi, libri):
        place.mkdir()
    (kaldi / "wav.scp").write_text("".join(f"{name} {folder / name}.wav\n" for name, _, _ in pairs))
    (kaldi / "text").write_text("".join(f"{name} {text}\n" for name, text, _ in pairs))
    (kaldi / "utt2spk").write_text("".join(f"{name} {who}\n" for name, _, who in pairs))
    for name, _, _ in pairs:
        (libri / f"{name}.wav").write_bytes((folder / f"{name}.wav").read_bytes())
    (libri / "all.trans.txt").write_text("".join(f"{name} {text}\n" for name, text, _ in pairs))
    return {"tsv": tsv, "jsonl": jsonl, "kaldi": kaldi, "librispeech": libri}


@pytest.mark.parametrize("layout", ["tsv", "jsonl", "kaldi", "librispeech"])
def test_every_layout_gives_the_same_recordings(clips: Path, layout: str) -> None:
    found = recordings(layouts(clips)[layout])
    assert (found.texts, found.groups) == (["NO", "YES PLEASE"], ["1", "7"])
    assert (found.lengths.tolist(), found.rate, found.reads) == ([4, 6], 8000.0, "sound")


def test_a_command_of_kaldi_is_not_run(clips: Path) -> None:
    place = layouts(clips)["kaldi"]
    (place / "wav.scp").write_text("1-2-0000 touch pwned |\n")
    with pytest.raises(DataError, match="is a command, which is not run"):
        load(place)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("path\ttext\nabsent.wav\tno\n", r"list.tsv, row 1 \(line 2\) names 'absent.wav', but there is no file"),
        ("path\tlabel\n1-2-0000.wav\tno\n", "has no column that is clearly the text"),
        ("path\ttext\n1-2-0000.wav\tn\x07o\n", r"row 1 \(line 2\) holds the control character U\+0007"),
    ],
)
def test_a_manifest_that_is_wrong_is_told_by_its_row(clips: Path, content: str, message: str) -> None:
    (clips / "list.tsv").write_text(content)
    with pytest.raises(DataError, match=message):
        load(clips / "list.tsv")


def test_names_that_come_twice_are_refused(clips: Path) -> None:
    place = layouts(clips)["kaldi"]
    (place / "text").write_text("1-2-0000 NO\n1-2-0000 YES\n")
    with pytest.raises(DataError, match="text, line 2: '1-2-0000' names it again"):
        load(place)


@pytest.mark.filterwarnings("ignore::tidegate.errors.DataWarning")  # what is left after the filter is silent
def test_clips_of_other_rates_are_refused_by_name(clips: Path) -> None:
    put_clip(clips / "7-2-0001.wav", 6, rate=16000)
    with pytest.raises(DataError, match=r"7-2-0001\.wav has 16000 samples a second, but 8000 are wanted"):
        load(layouts(clips)["tsv"])
    assert recordings(clips / "list.tsv", resample="true").lengths.tolist() == [4, 3]


def test_texts_are_composed_and_what_has_none_is_counted(clips: Path) -> None:
    (clips / "list.tsv").write_text("path\ttext\n1-2-0000.wav\t\ufeffZu\u0308rich  West\n7-2-0001.wav\t \n")
    with pytest.warns(DataWarning, match=r"1 texts were not composed \(NFC\)"):
        dataset = load(clips / "list.tsv")
    found = dataset.train.x
    assert isinstance(found, Recordings)
    assert found.dropped == {"without a text": 1}
    assert found.texts is not None
    assert found.texts[0].endswith("Zürich West")
    assert dataset.summary().endswith("; left out: 1 without a text")


def test_a_cell_without_a_value_is_no_text(clips: Path) -> None:
    rows: list[dict[str, Any]] = [{"path": "1-2-0000.wav", "text": None}, {"path": "7-2-0001.wav", "text": 5}]
    (clips / "list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = recordings(clips / "list.jsonl")
    assert (found.texts, found.dropped) == (["5"], {"without a text": 1})
    for wrong in (["no"], True, {"said": "no"}):
        rows[1]["text"] = wrong
        (clips / "list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        with pytest.raises(DataError, match=rf"row 2 \(line 2\) has a {type(wrong).__name__} in the column 'text'"):
            load(clips / "list.jsonl")


def test_where_nothing_is_left_it_is_said_why(clips: Path) -> None:
    (clips / "list.tsv").write_text("path\ttext\n1-2-0000.wav\t\n")
    with pytest.raises(DataError, match="has no recording to learn from; left out were 1 without a text"):
        load(clips / "list.tsv")


@pytest.mark.parametrize("layout", ["kaldi", "jsonl"])
def test_parts_of_a_sound_are_cut_where_they_lie(clips: Path, layout: str) -> None:
    put_clip(clips / "long.wav", 4000, rate=1000)
    place = clips / "list.jsonl"
    if layout == "kaldi":
        (place := clips / "kaldi").mkdir()
        (place / "wav.scp").write_text(f"call {clips / 'long.wav'}\n")
        (place / "segments").write_text("one call 0.5 1.25\ntwo call 3 -1\n")
        (place / "text").write_text("one yes\ntwo no\n")
    else:
        rows = [{"path": "long.wav", "text": "yes", "offset": 0.5, "duration": 0.75},
                {"path": "long.wav", "text": "no", "offset": 3, "duration": 1.4}]  # fmt: skip
        place.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = recordings(place)
    assert (found.texts, found.lengths.tolist()) == (["yes", "no"], [750, 1000])
    whole = read_files([clips / "long.wav"]).signals[0]
    np.testing.assert_array_equal(found.signals[0], whole[500:1250])
    assert (found.place(0, 0), found.place(1, 1000)) == (0.5, 4.0)
    assert len(set(found.names)) == 2


@pytest.mark.parametrize(
    ("segment", "message"),
    [
        ("one other 0 1", "wanted are a recording of wav.scp, its first and its last second"),
        ("one call 0", "wanted are a recording of wav.scp"),
        ("one call 2 1", "is said to lie at '2', '1'; wanted are the seconds it begins and ends at"),
        ("one call -1 1", "is said to lie at"),
        ("one call nan 1", "is said to lie at"),
        ("one call 5 6", "lies at 5 to 6 s, but the sound has 4 s"),
        ("one call 0 4.6", "lies at 0 to 4.6 s, but the sound has 4 s"),
    ],
)
def test_a_part_that_is_not_there_is_refused(clips: Path, segment: str, message: str) -> None:
    put_clip(clips / "long.wav", 4000, rate=1000)
    (clips / "wav.scp").write_text("call long.wav\n")
    (clips / "segments").write_text(segment + "\n")
    (clips / "text").write_text("one yes\n")
    with pytest.raises(DataError, match=message):
        load(clips)


def test_a_part_of_features_by_seconds_is_refused(clips: Path) -> None:
    np.save(clips / "a.npy", np.zeros((4, 2), np.float32))
    (clips / "list.jsonl").write_text(json.dumps({"path": "a.npy", "text": "no", "offset": 0.5}) + "\n")
    with pytest.raises(DataError, match="which are cut out of sound alone"):
        load(clips / "list.jsonl")


def test_clipped_and_silent_clips_are_told_once(clips: Path) -> None:
    put_clip(clips / "1-2-0000.wav", 4, value=1.0)
    put_clip(clips / "7-2-0001.wav", 6, value=0.0)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        recordings(layouts(clips)["tsv"])
    said = sorted(str(warning.message) for warning in told)
    first, second = clips / "1-2-0000.wav", clips / "7-2-0001.wav"
    assert said == [
        f"1 of 2 are clipped: {first}", f"1 of 2 are off its zero: {first}", f"1 of 2 are silent: {second}"
    ]  # fmt: skip


def test_lines_are_paired_with_their_texts_and_grouped_by_folder(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    for book, name in (("a", "1"), ("b", "1"), ("b", "2")):
        (tmp_path / book).mkdir(exist_ok=True)
        put_line(tmp_path / book / f"{name}.png", (24, 100))
        (tmp_path / book / f"{name}.gt.txt").write_text(f"{book}{name}\n")
    put_line(tmp_path / "b" / "3.png", (24, 100))
    (tmp_path / "b" / "4.gt.txt").write_text("alone\n")
    found = recordings(tmp_path, height="12")
    assert (found.texts, found.groups) == (["a1", "b1", "b2"], ["a", "b", "b"])
    assert found.dropped == {".gt.txt without a picture": 1, "pictures without .gt.txt": 1}
    assert (found.width, found.lengths.tolist(), found.place(0, 25)) == (12, [50] * 3, 50.0)


def test_lines_are_paired_with_the_forms_of_their_picture_that_ocropus_writes(tmp_path: Path) -> None:
    for name in ("1.bin.png", "2.nrm.png", "2.bin.png", "3.nrm.png", "4.png", "4.bin.png", "5.x.png", "6.dew.png"):
        put_line(tmp_path / name, (48, 60))
    for truth in ("1", "2", "3", "4", "5.x"):
        (tmp_path / f"{truth}.gt.txt").write_text(truth)
    found = tg.data.load(tmp_path, kind="transcribed").train.x
    assert isinstance(found, Recordings)
    named = [Path(name).name for name in found.names]
    assert named == ["1.bin.png", "2.bin.png", "3.nrm.png", "4.png", "5.x.png"]
    assert found.texts == ["1", "2", "3", "4", "5.x"]
    assert found.dropped == {"further files of a line": 2, "pictures without .gt.txt": 1}


def test_a_split_never_tears_a_book_apart(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    for number in range(12):
        folder = tmp_path / f"book{number % 4}"
        folder.mkdir(exist_ok=True)
        put_line(folder / f"{number}.png", (9, 20))
        (folder / f"{number}.gt.txt").write_text(str(number))
    parts = tg.data.load(tmp_path, kind="transcribed", split=0.25)
    assert parts.test is not None
    assert isinstance(parts.train.x, Recordings)
    assert isinstance(parts.test.x, Recordings)
    assert parts.train.x.groups is not None
    assert parts.test.x.groups is not None
    assert len(parts.test) == 3
    assert not set(parts.train.x.groups) & set(parts.test.x.groups)


def test_white_on_black_is_told_and_inverted_when_asked(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    put_line(tmp_path / "a.png", (48, 60), paper=0)
    with pytest.warns(DataWarning, match="1 of 1 look white on black"):
        seen = read_files([tmp_path / "a.png"])
    assert seen.texts is None
    (tmp_path / "a.gt.txt").write_text("a")
    assert recordings(tmp_path, invert="true").signals[0].mean() < 0.1 < seen.signals[0].mean()


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"reads": "sounds"}, OptionError, "unknown kind of signal 'sounds'. Did you mean 'sound'"),
        ({"channel": "middle"}, OptionError, "unknown channel 'middle'"),
        ({"rate": "8k"}, InputError, "rate='8k': wanted a whole number"),
        ({"invert": "1"}, InputError, "invert='1': wanted true or false"),
        ({"split_by": "x"}, InputError, "split_by names a column that"),
    ],
)
def test_choices_that_cannot_be_are_refused(
    clips: Path, columns: dict[str, str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        load(layouts(clips)["tsv"], **columns)


def test_a_folder_of_nothing_says_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no transcribed signals\. Wanted: pictures with \.gt\.txt"):
        load(tmp_path)


def test_signals_without_texts_are_read_for_answers(clips: Path) -> None:
    found = read_files(sorted(clips.glob("*.wav")))
    assert (found.texts, found.names) == (None, [str(clips / "1-2-0000.wav"), str(clips / "7-2-0001.wav")])
    np.testing.assert_array_equal(found.signals[0], np.full((4, 1), 0.25, np.float32) * [[1], [-1], [1], [-1]])


def test_files_of_one_name_in_several_folders_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        put_clip(tmp_path / folder / "1.wav", 4, value=0.0)
    with pytest.warns(DataWarning, match=r"2 of 2 are silent: a.1\.wav, b.1\.wav"):
        found = read_files([Path("a/1.wav"), Path("b/1.wav")])
    assert found.names == [str(Path("a/1.wav")), str(Path("b/1.wav"))]
