"""Pairs of texts from files of users: each layout as others write it, and each way in which one can be broken."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tidegate import data
from tidegate.data import Dataset
from tidegate.errors import DataError, DataWarning, InputError, OptionError

NESTED = """{"id": 1, "translation": {"en": "Hello.", "de": "Guten Tag."}}
{"id": 2, "translation": {"de": "Ja.", "en": "Yes."}}
"""
HELLO = (["Guten Tag.", "Ja."], ["Hello.", "Yes."])


def load(path: Path, **options: Any) -> Dataset:
    return data.load(path, kind="pairs", **options)


def sides(dataset: Dataset) -> tuple[list[str], list[str]]:
    assert isinstance(dataset.train.x, list)
    return dataset.train.x, dataset.train.y


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def lines(folder: Path, **files: str | bytes) -> Path:
    """Write files of lines; `train_de` stands for `train.de`, and `train_de_gz` for the same, packed."""
    for name, text in files.items():
        write(folder / name.replace("_", "."), text)
    return folder


# --- tables -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("a.tsv", "Guten Tag.\tHello.\nJa.\tYes.\n", {}),
        ("a.txt", "Guten Tag.\tHello.\r\nJa.\tYes.", {}),
        ("a.tsv", "\ufeffGuten Tag.\tHello.\nJa.\tYes.\n", {}),
        ("a.tsv", "source\ttarget\nGuten Tag.\tHello.\nJa.\tYes.\n", {}),
        ("a.tsv", "Hello.\tx\tGuten Tag.\nYes.\ty\tJa.\n", {"from": "3", "to": "1"}),
        ("a.tsv", "en\tnote\tde\nHello.\tx\tGuten Tag.\nYes.\ty\tJa.\n", {"from": "de", "to": "en"}),
        ("a.tsv", "word\tsound\nGuten Tag.\tHello.\nJa.\tYes.\n", {"header": "true"}),
        ("a.csv", 'Guten Tag.,"Hello."\nJa.,Yes.\n', {}),
        ("a.csv", "de;en\nGuten Tag.;Hello.\nJa.;Yes.\n", {"from": "de"}),
        ("a.csv", "Guten Tag.|Hello.\nJa.|Yes.\n", {"delimiter": "pipe"}),
        ("a.jsonl", '{"de": "Guten Tag.", "en": "Hello."}\n{"en": "Yes.", "de": "Ja."}\n', {"from": "de", "to": "en"}),
        ("a.jsonl", '{"id": 1, "src": "Guten Tag.", "tgt": "Hello."}\n{"id": 2, "src": "Ja.", "tgt": "Yes."}\n', {}),
        (
            "a.jsonl",
            NESTED,
            {"from": "de", "to": "en"},
        ),
    ],
)
def test_tables_are_read(tmp_path: Path, name: str, content: str, options: dict[str, str]) -> None:
    assert sides(load(write(tmp_path / name, content), **options)) == HELLO


def test_parquet_is_read(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pyarrow.table({"translation": [{"de": "Guten Tag.", "en": "Hello."}, {"de": "Ja.", "en": "Yes."}]})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert sides(load(tmp_path / "a.parquet", **{"from": "de", "to": "en"})) == HELLO


def test_what_was_taken_is_told(tmp_path: Path) -> None:
    found = load(write(tmp_path / "a.tsv", "Guten Tag.\tHello.\nJa.\tYes.\n"))
    assert found.summary() == "from: 1, to: 2; 2 pairs"
    assert (found.kind, found.classes, found.valid, found.test) == ("pairs", (), None, None)


@pytest.mark.parametrize(
    ("name", "content", "options", "complaint"),
    [
        ("a.tsv", "", {}, "a.tsv is empty"),
        ("a.tsv", "source\ttarget\n", {}, "it has no rows"),
        ("a.tsv", "Guten Tag.\nJa.\n", {}, "a pair has two sides. It holds no tab"),
        ("a.tsv", "a\tb\nc\td\te\n", {}, "line 2 has 3 columns, the first line 2. A tab within"),
        ("a.tsv", "a\tb\tc\n", {}, "no two columns that are clearly source and target.*from='1' and to='3'"),
        ("a.tsv", "a\tb\n", {"from": "3"}, "no column '3'. Its columns are: '1', '2'"),
        ("a.tsv", "en\tde\nYes.\tJa.\n", {"from": "fr"}, "no column 'fr'. Its columns are: 'en', 'de'"),
        ("a.tsv", "Ja.\tYes\x07.\n", {}, r"line 1 holds the control character U\+0007"),
        ("a.tsv", "Ja.\tYes\x85.\n", {}, None),
        ("a.tsv", "Ja.\tYes\x92.\n", {}, r"line 1 holds the control character U\+0092.*name the encoding"),
        ("a.jsonl", '{"de": "Ja.", "en": "Yes."}\n{"de": "Ja."}\n', {"from": "de"}, "row 2 .* no field 'en'"),
        ("a.jsonl", '{"de": "Ja.", "en": null}\n', {}, "row 1 .* has nothing in 'en', where a text is wanted"),
        ("a.jsonl", '{"de": "Ja.", "en": ["Yes"]}\n', {}, "has list .* in 'en'"),
        ("a.jsonl", '{"de": "Ja."\n', {}, "row 1 .* is not JSON"),
        ("a.jsonl", '{"translation": {"de": "Ja."}}\n', {"from": "de", "to": "en"}, "no text in 'en' in its field"),
        ("a.jsonl", '{"translation": {"de": "Ja."}}\n', {}, "no two columns"),
        ("a.jsonl", '{"src": "\\ud800", "tgt": "x"}\n', {}, r"control character U\+D800"),
    ],
)  # fmt: skip
def test_tables_that_are_broken_are_refused(
    tmp_path: Path, name: str, content: str, options: dict[str, str], complaint: str | None
) -> None:
    path = write(tmp_path / name, content)
    if complaint is None:
        assert sides(load(path, **options)) == (["Ja."], ["Yes ."])
    else:
        with pytest.raises(DataError, match=f"(?s){complaint}"):
            load(path, **options)


def test_options_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    table = write(tmp_path / "a.tsv", "a\tb\n")
    with pytest.raises(InputError, match="from and to are both '1'"):
        load(table, **{"from": "1", "to": "1"})
    with pytest.raises(InputError, match="header='maybe': wanted true or false"):
        load(table, header="maybe")
    with pytest.raises(InputError, match="no unlabelled part"):
        data.load(table, kind="pairs", unlabelled=True)
    with pytest.raises(InputError, match="has no header"):
        load(write(tmp_path / "a.jsonl", '{"src": "a", "tgt": "b"}'), header="true")
    with pytest.raises(InputError, match="'pairs'"):
        data.load(table, from_="1")
    with pytest.raises(InputError, match="delimiter says nothing"):
        load(lines(tmp_path / "lines", a_de="a", a_en="b") / "a.de", to="en", delimiter="tab")
    with pytest.raises(InputError, match="a TMX file, of which encoding says nothing"):
        load(write(tmp_path / "a.tmx", "<tmx/>"), encoding="utf-16")


def test_a_text_is_composed_and_stripped_and_else_left_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", " Zu\u0308rich  \u00a0!\t\u05e9\u05dc\u05d5\u05dd \u202f\u0661\u0662\n")
    with pytest.warns(DataWarning, match="1 texts were not composed"):
        found = load(path)
    assert sides(found) == (["Z\u00fcrich  \u00a0!"], ["\u05e9\u05dc\u05d5\u05dd \u202f\u0661\u0662"])


def test_other_encodings_are_read_when_they_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "Zürich\tGrüße\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"0xfc\) is not UTF-8"):
        load(path)
    assert sides(load(path, encoding="latin-1")) == (["Zürich"], ["Grüße"])


def test_empty_sides_stay_and_are_counted(tmp_path: Path) -> None:
    found = load(write(tmp_path / "a.tsv", "a\t\nb\tc\n \td\n"))
    assert sides(found) == (["a", "b", ""], ["", "c", "d"])
    assert found.summary().endswith("3 pairs; 2 have an empty side")


# --- files of lines ---------------------------------------------------------------------------------------------------


def test_a_folder_of_two_languages_is_read_by_its_parts(tmp_path: Path) -> None:
    folder = lines(
        tmp_path, train_de="Guten Tag.\nJa.\n", train_en="Hello.\nYes.\n", dev_de_gz="Nein.\n", dev_en_gz="No.\n",
        test_de="Gut.\r\n", test_en="Good.",
    )  # fmt: skip
    write(folder / "README", "not read")
    found = load(folder, **{"from": "de", "to": "en"})
    assert sides(found) == HELLO
    assert found.valid is not None and found.test is not None
    assert (found.valid.x, found.valid.y, found.test.x, found.test.y) == (["Nein."], ["No."], ["Gut."], ["Good."])
    assert found.summary() == "from: de, to: en; 2 + 1 + 1 pairs"
    back = load(folder, **{"from": "en"})  # of two languages, one names the other
    assert sides(back) == HELLO[::-1]


def test_one_of_two_files_names_the_other(tmp_path: Path) -> None:
    folder = lines(tmp_path, a_de="Guten Tag.\nJa.\n", a_en_gz="Hello.\nYes.\n")
    assert sides(load(folder / "a.de")) == HELLO
    assert sides(load(folder / "a.en.gz", to="de")) == HELLO[::-1]
    assert sides(load(folder / "a.de", to="a.en.gz")) == HELLO
    first, second = (
        write(tmp_path / "x" / "first.txt", "Guten Tag.\nJa.\n"),
        write(tmp_path / "y" / "second.txt", "Hello.\nYes."),
    )
    assert sides(load(first, to=str(second))) == HELLO
    assert sides(load(folder, **{"from": "de"})) == HELLO  # a folder of nothing else


def test_what_two_named_files_are_in_is_told_and_a_language_is_no_file(tmp_path: Path) -> None:
    folder = lines(tmp_path, a_de="Guten Tag.\nJa.\n", a_en_gz="Hello.\nYes.\n", b_fr="Bonjour.\nOui.\n", en="not this")
    assert load(folder / "a.de", to="a.en.gz").taken == {"from": "de", "to": "en"}
    assert load(folder / "a.de", to="en").train.y == ["Hello.", "Yes."]
    assert load(folder / "a.de", to="b.fr", **{"from": "gsw"}).taken == {"from": "gsw", "to": "fr"}


def test_a_sign_that_looks_like_a_line_end_is_none(tmp_path: Path) -> None:
    folder = lines(tmp_path, train_de="eins\u2028zwei\ndrei\n", train_en="one two\nthree\n")
    assert sides(load(folder, **{"from": "de"})) == (["eins zwei", "drei"], ["one two", "three"])


@pytest.mark.parametrize(
    ("german", "english", "complaint"),
    [
        ("a\n\nb\n", "a\nb\n", "de has 3 lines and .*en has 2.*The first empty line is line 2 of .*train.de"),
        ("a\nb\n", "a\nb\n \n\n", "de has 2 lines and .*en has 4.*The first empty line is line 3 of .*train.en"),
        ("a\nb\n", "a\n", "Neither has an empty line"),
        ("", "", "are empty"),
        ("a\n", b"\xff\xfea\x00", "train.en, byte 0 .0xff. is not UTF-8.*encoding='utf-16'"),
        ("a\x00\n", "b\n", "train.de is full of zero bytes"),
        ("ok\na\x1bb\n", "ok\nb\n", r"train.de, line 2 holds the control character U\+001B"),
    ],
)
def test_files_of_lines_that_do_not_fit_are_refused(
    tmp_path: Path, german: str, english: str | bytes, complaint: str
) -> None:
    with pytest.raises(DataError, match=f"(?s){complaint}"):
        load(lines(tmp_path, train_de=german, train_en=english), **{"from": "de"})


@pytest.mark.parametrize(
    ("files", "options", "complaint"),
    [
        (("train.de", "train.en", "train.fr"), {"from": "de"}, "languages de, en, fr. Name two: from='de' and to='fr'"),
        (("train.de", "train.en"), {}, "languages de, en. Name two"),
        (("train.de", "train.en"), {"from": "fr"}, "languages de, en, but not 'fr'"),
        (("train.de", "train.en"), {"from": "de", "to": "de"}, "de was named for both sides"),
        (("train.de", "train.en", "train.de.gz"), {}, "has train.de twice, once packed"),
        (("test.de", "test.en"), {}, "no train part. Wanted: .*there is test"),
        (("train.de", "train.en", "train.tsv"), {}, "more than one train part: train.tsv, train"),
        (("train.de-DE", "train.de-AT", "train.en"), {"from": "de", "to": "en"}, "'de' may be several"),
        ((), {}, "there is nothing of the kind"),
    ],
)
def test_folders_that_do_not_say_what_they_hold_are_refused(
    tmp_path: Path, files: tuple[str, ...], options: dict[str, str], complaint: str
) -> None:
    for name in files:
        write(tmp_path / name, "a\tb\n" if name.endswith("tsv") else "a\n")
    with pytest.raises(DataError, match=complaint):
        load(tmp_path, **options)


def test_a_file_alone_is_no_pair(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file of pairs that is known.*to='FILE'"):
        load(lines(tmp_path, a_de="a") / "a.de", to="en")
    with pytest.raises(DataError, match="no file of pairs that is known"):
        load(write(tmp_path / "notes.md", "a"))


def test_packed_files_that_are_damaged_or_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = lines(tmp_path, train_de_gz="a\n" * 100, train_en_gz="b\n" * 100)
    monkeypatch.setenv("TIDEGATE_MAX_BYTES", "199")
    with pytest.raises(DataError, match="unpacks to more than 199"):
        load(folder, **{"from": "de"})
    monkeypatch.delenv("TIDEGATE_MAX_BYTES")
    whole = (folder / "train.de.gz").read_bytes()
    (folder / "train.de.gz").write_bytes(whole[:-9])
    with pytest.raises(DataError, match="cut off or damaged"):
        load(folder, **{"from": "de"})
    (folder / "train.de.gz").write_bytes(b"a\n" * 100)
    with pytest.raises(DataError, match="cut off or damaged"):
        load(folder, **{"from": "de"})


# --- splits, and the ways of the command line -------------------------------------------------------------------------


def test_a_split_keeps_pairs_together_that_share_a_side(tmp_path: Path) -> None:
    rows = [f"frage {i}\tquestion {i // 2}" for i in range(40)] + ["frage 0\tquery"]
    found = load(write(tmp_path / "a.tsv", "\n".join(rows)), split=0.25)
    assert found.test is not None and 5 <= len(found.test) <= 15
    assert not set(found.train.x) & set(found.test.x)
    assert not set(found.train.y) & set(found.test.y)


def test_python_names_a_side_with_an_underscore(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", json.dumps({"de": "Ja.", "en": "Yes."}))
    assert sides(data.load(path, kind="pairs", from_="en", to="de")) == (["Yes."], ["Ja."])


def test_a_kind_that_is_not_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="pairs"):
        data.load(write(tmp_path / "a.tsv", "a\tb\n"), kind="pair")  # type: ignore[arg-type]
