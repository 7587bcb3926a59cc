"""Pairs by name: tiny files in upstream's layouts are read, and damage is named."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tidegate import data
from tidegate.data.pairs import multi30k
from tidegate.errors import DataError, DownloadError, InputError, OptionError
from tidegate.fetch.remote import Remote

CAPTIONS = {
    "train": {"de": "Ein Hund.\nEin Mann.\n", "en": "A dog.\nA man.\n", "fr": "Un chien.\nUn homme.\n"},
    "val": {"de": "Ja.\n", "en": "Yes.\n", "fr": "Oui.\n"},
    "test_2016_flickr": {"de": "Nein.\n", "en": "No.\n", "fr": "Non.\n"},
    "test_2017_mscoco": {"de": "Gut.\n", "en": "Good.\n"},
}
SPLITS = {"train": "0\n2\n3\n", "dev": "1\n", "test": "4\n"}
ROWS = "Hi.\tHallo!\nRun!\tLauf!\nHi.\tTag!\nGo.\tGeh.\nNo.\tNein.\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIDEGATE_DATA", str(tmp_path))
    monkeypatch.setenv("TIDEGATE_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def captions(home: Path) -> Path:
    folder = home / "multi30k"
    folder.mkdir()
    for stem, texts in CAPTIONS.items():
        for language, text in texts.items():
            (folder / f"{stem}.{language}.gz").write_bytes(gzip.compress(text.encode()))
    return folder


def put_anki(home: Path, text: str = ROWS, splits: Mapping[str, str] = SPLITS, member: str = "deu.txt") -> Path:
    folder = home / "anki_deu"
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / "deu-eng.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, text)
        archive.writestr("_about.txt", "not read")
    for part, rows in splits.items():
        (folder / f"deu.split.{part}.txt").write_text(rows)
    return folder


def test_captions_are_read_in_every_direction(captions: Path) -> None:
    found = data.load("multi30k", from_="de", to="en")
    assert (found.train.x, found.train.y) == (["Ein Hund.", "Ein Mann."], ["A dog.", "A man."])
    assert found.valid is not None and found.test is not None
    assert (found.valid.x, found.test.x, found.test.y) == (["Ja."], ["Nein."], ["No."])
    assert found.summary() == "from: de, to: en; 2 + 1 + 1 pairs"
    back = data.load("multi30k", from_="en", to="fr")
    assert (back.train.x, back.train.y) == (["A dog.", "A man."], ["Un chien.", "Un homme."])
    assert data.path("multi30k") == captions


def test_other_tests_of_the_captions_have_names(captions: Path) -> None:
    found = data.load("multi30k", from_="de", to="en", test="2017_mscoco")
    assert found.test is not None
    assert (found.test.x, found.test.y) == (["Gut."], ["Good."])
    with pytest.raises(OptionError, match="2016_flickr, 2017_flickr, 2017_mscoco"):
        data.load("multi30k", from_="de", to="en", test="2018")


@pytest.mark.parametrize(
    ("options", "error", "complaint"),
    [
        ({}, InputError, r"three languages.*from='de' and to='en'"),
        ({"from": "de"}, InputError, "three languages"),
        ({"from": "de", "to": "de"}, InputError, "both 'de'"),
        ({"from": "cs", "to": "en"}, OptionError, "de, en, fr"),
        ({"from": "de", "to": "en", "column": "x"}, InputError, "to choose are from, to, test"),
    ],
)
def test_captions_want_two_languages(
    captions: Path, options: dict[str, str], error: type[Exception], complaint: str
) -> None:
    with pytest.raises(error, match=complaint):
        data.load("multi30k", **options)  # type: ignore[arg-type]


def test_captions_that_do_not_fit_are_refused(captions: Path) -> None:
    (captions / "train.en.gz").write_bytes(gzip.compress(b"A dog.\n"))
    with pytest.raises(DataError, match=r"train.de.gz has 2 lines and .*train.en.gz has 1"):
        data.load("multi30k", from_="de", to="en")


def test_captions_that_are_not_here_are_fetched_from_their_makers(
    captions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def fetch(name: str, remote: object, _progress: object) -> Path:
        asked.append((name, remote))
        return captions / remote.file  # type: ignore[attr-defined, no-any-return]

    monkeypatch.setattr(multi30k, "fetch_remote", fetch)
    data.load("multi30k", from_="fr", to="en")
    name, remote = asked[0]
    assert name == "multi30k"
    assert remote == Remote(
        "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw/train.fr.gz",
        604_242,
        "622e75069e9f4c577425c4f277116ce66e63a2401c0a2312d90073cb12379a3c",
    )
    assert [one.file for _, one in asked if "de" in one.file] == []  # type: ignore[attr-defined]


def test_sentences_are_parted_by_the_files_beside_them(home: Path) -> None:
    put_anki(home)
    found = data.load("anki_deu", from_="de")
    assert (found.train.x, found.train.y) == (["Hallo!", "Tag!", "Geh."], ["Hi.", "Hi.", "Go."])
    assert found.valid is not None and found.test is not None
    assert (found.valid.x, found.test.y) == (["Lauf!"], ["No."])
    assert found.train.groups is None
    assert data.load("anki_deu", to="de").train.x == ["Hi.", "Hi.", "Go."]


def test_without_those_files_pairs_that_share_a_side_stay_together(home: Path) -> None:
    put_anki(home, splits={}, text=ROWS.replace("Nein.", "Nein.\tCC-BY 2.0"))  # as later archives have it
    found = data.load("anki_deu", from_="en")
    assert found.test is None and found.train.groups is not None
    assert found.train.groups.tolist() == [0, 1, 0, 3, 4]


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"splits": {"train": "0\n", "dev": "1\n"}}, "has deu.split.train.txt, deu.split.dev.txt, but not the others"),
        ({"splits": SPLITS | {"dev": "5\n"}}, "dev.txt, line 1: '5' is no row .* 5 rows, counted from 0"),
        ({"splits": SPLITS | {"dev": "1\n-1\n"}}, "dev.txt, line 2: '-1'"),
        ({"splits": SPLITS | {"dev": "²\n"}}, "dev.txt, line 1"),
        ({"text": "Hi.\n"}, "line 1 has 1 columns; 2 or 3"),
        ({"text": ""}, "is empty"),
        ({"member": "fra.txt"}, "holds no deu.txt"),
    ],
)
def test_sentences_that_are_damaged_are_refused(home: Path, changed: dict[str, object], complaint: str) -> None:
    put_anki(home, **changed)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=complaint):
        data.load("anki_deu", from_="de")


def test_an_archive_that_is_none_or_a_bomb_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = put_anki(home)
    monkeypatch.setenv("TIDEGATE_MAX_BYTES", "10")
    with pytest.raises(DataError, match="unpacks to more than 10"):
        data.load("anki_deu", from_="de")
    (folder / "deu-eng.zip").write_bytes(b"PK no zip")
    with pytest.raises(DataError, match="cut off or damaged"):
        data.load("anki_deu", from_="de")


def test_sentences_want_a_direction_and_an_archive(home: Path) -> None:
    with pytest.raises(InputError, match="in both directions"):
        data.load("anki_deu")
    with pytest.raises(InputError, match="both 'de'"):
        data.load("anki_deu", from_="de", to="de")
    with pytest.raises(OptionError, match="Known: de, en"):
        data.load("anki_deu", from_="fr")
    with pytest.raises(DownloadError, match=r"Put deu-eng.zip of .*manythings.org/anki"):
        data.load("anki_deu", from_="de")
