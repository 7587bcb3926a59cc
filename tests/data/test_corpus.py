"""Corpora: what a document is in each layout, and the language reference that every Python brings along."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidegate import data
from tidegate.errors import DataError, InputError, OptionError


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_text_file_is_one_document_or_one_per_line(tmp_path: Path) -> None:
    file = write(tmp_path / "novel.txt", "One.\n\n  \nTwo.\n")
    assert data.load(file, kind="corpus").train.x == ["One.\n\n  \nTwo.\n"]
    lines = data.load(file, kind="corpus", documents="line")
    assert lines.train.x == ["One.", "Two."]
    assert (lines.name, lines.kind, lines.train.y, lines.classes) == ("novel.txt", "corpus", None, ())


def test_a_folder_holds_a_document_per_file_and_may_have_parts(tmp_path: Path) -> None:
    for name, text in (("b", "Bee."), ("a", "Ant.")):
        write(tmp_path / "plain" / f"{name}.txt", text)
        write(tmp_path / "parts" / "train" / f"{name}.txt", text)
    write(tmp_path / "parts" / "dev.txt", "Cat.")
    write(tmp_path / "parts" / "test.csv", "id,text\n1,Dog.\n2,Eel.\n")
    assert data.load(tmp_path / "plain", kind="corpus").train.x == ["Ant.", "Bee."]
    parts = data.load(tmp_path / "parts", kind="corpus")
    assert [part and part.x for part in (parts.train, parts.valid, parts.test)] == [
        ["Ant.", "Bee."], ["Cat."], ["Dog.", "Eel."],
    ]  # fmt: skip


def test_a_table_gives_its_text_column(tmp_path: Path) -> None:
    file = write(tmp_path / "posts.csv", "who,post\nann,Hi.\nbob,Ho.\n")
    assert data.load(file, kind="corpus", text="post").train.x == ["Hi.", "Ho."]
    assert data.load(write(tmp_path / "only.csv", "whatever\nHi.\n"), kind="corpus").train.x == ["Hi."]
    with pytest.raises(DataError, match=r"no column that is clearly the text.*'who', 'post'.*text=\.\.\."):
        data.load(file, kind="corpus")
    with pytest.raises(DataError, match=r"no column 'posst'.*'who', 'post'"):
        data.load(file, kind="corpus", text="posst")


def test_a_part_can_be_held_out(tmp_path: Path) -> None:
    file = write(tmp_path / "lines.txt", "\n".join(f"line {number}" for number in range(10)))
    found = data.load(file, kind="corpus", documents="line", split=0.2)
    assert found.test is not None
    assert (len(found.train), len(found.test)) == (8, 2)
    assert sorted([*found.train.x, *found.test.x]) == [f"line {number}" for number in range(10)]


@pytest.mark.parametrize(
    ("content", "options", "error", "message"),
    [
        (" \n\t\n", {}, DataError, r"texts.txt has an empty text"),
        (" \n\t\n", {"documents": "line"}, DataError, "no line with a text in it"),
        ("a", {"documents": "lines"}, OptionError, "Did you mean 'line'"),
        ("a", {"text": "post"}, InputError, "names a column of a table"),
        ("a", {"unlabelled": True}, InputError, "no unlabelled part"),
        (
            "a",
            {"label": "x"},
            InputError,
            "label says how to read a file of the kind 'text'.*read as one of the kind 'corpus'",
        ),
    ],
)
def test_what_cannot_be_used_is_named(
    content: str, options: dict[str, object], error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        data.load(write(tmp_path / "texts.txt", content), kind="corpus", **options)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="every row is a document"):
        data.load(write(tmp_path / "t.csv", "text\na\n"), kind="corpus", documents="line")


def test_pydocs_is_the_language_reference_cut_by_topic() -> None:
    from pydoc_data.topics import topics

    pydocs = data.load("pydocs")
    parts = [part.x for part in (pydocs.train, pydocs.valid, pydocs.test) if part is not None]
    assert sorted(text for part in parts for text in part) == sorted(topics.values())
    assert [topics["assert"] in part for part in parts] == [False, True, False]  # by CRC-32
    sizes = [sum(map(len, part)) for part in parts]
    assert 0.03 < sizes[1] / sum(sizes) < 0.15
    assert 0.03 < sizes[2] / sum(sizes) < 0.15
    with pytest.raises(InputError, match="no unlabelled part"):
        data.load("pydocs", unlabelled=True)
    with pytest.raises(InputError, match="holds data of the kind 'corpus', not 'text'"):
        data.load("pydocs", kind="text")
