"""TMX: the memory of other programs, with their mark-up, and documents that mean harm."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from tidegate import data
from tidegate.data import Dataset
from tidegate.errors import DataError, DataWarning

DOCUMENT = """<?xml version="1.0" encoding="{encoding}"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4">
  <header creationtool="x" srclang="{source}" datatype="plaintext"><note>not a text</note></header>
  <body>{units}</body>
</tmx>
"""
UNIT = (
    '<tu><note>no</note><tuv xml:lang="de-DE"><seg>{german}</seg></tuv><tuv lang="en"><seg>{english}</seg></tuv></tu>'
)


def write(path: Path, units: str, *, source: str = "*all*", encoding: str = "UTF-8") -> Path:
    path.write_bytes(DOCUMENT.format(units=units, source=source, encoding=encoding).encode(encoding))
    return path


def load(path: Path, **options: Any) -> Dataset:
    return data.load(path, kind="pairs", **options)


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16", "ISO-8859-1"])
def test_units_become_pairs(tmp_path: Path, encoding: str) -> None:
    units = UNIT.format(german="Grüße &amp; Küsse", english="love\n      and kisses") + UNIT.format(
        german="Ja", english="Yes"
    )
    found = load(write(tmp_path / "a.tmx", units, encoding=encoding), **{"from": "de", "to": "en"})
    assert (found.train.x, found.train.y) == (["Grüße & Küsse", "Ja"], ["love and kisses", "Yes"])
    assert found.taken == {"from": "de-DE", "to": "en"}


def test_what_marks_a_text_up_is_left_out_and_what_is_marked_stays(tmp_path: Path) -> None:
    german = 'Ein <bpt i="1">&lt;b&gt;<sub>Titel</sub></bpt>Hund<ept i="1">&lt;/b&gt;</ept> <hi>rennt</hi><ph/>.'
    found = load(write(tmp_path / "a.tmx", UNIT.format(german=german, english="A dog runs.")), **{"from": "de"})
    assert found.train.x == ["Ein Hund rennt."]


def test_the_header_may_say_what_is_translated(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tmx", UNIT.format(german="Ja", english="Yes"), source="en")
    assert load(path).train.x == ["Yes"]
    assert load(path, to="en").train.x == ["Ja"]


def test_a_packed_memory_and_a_folder_of_some_are_read(tmp_path: Path) -> None:
    for part in ("train", "test"):
        path = write(tmp_path / f"{part}.tmx", UNIT.format(german=part, english="x"), source="de-DE")
        (tmp_path / f"{part}.tmx.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    found = load(tmp_path)
    assert found.test is not None
    assert (found.train.x, found.test.x) == (["train"], ["test"])


def test_units_without_one_of_the_languages_are_told_of(tmp_path: Path) -> None:
    lone = '<tu><tuv xml:lang="fr"><seg>Oui</seg></tuv><tuv xml:lang="en"><seg>Yes</seg></tuv></tu>'
    path = write(tmp_path / "a.tmx", lone + UNIT.format(german="Ja", english="Yes"))
    with pytest.warns(DataWarning, match="1 of 2 units are not in both fr and en"):
        assert load(path, **{"from": "fr", "to": "en"}).train.x == ["Oui"]
    with pytest.raises(DataError, match=r"languages de-DE, en, fr\. Name two"):
        load(path)
    with pytest.raises(DataError, match="but not 'nl'"):
        load(path, **{"from": "nl", "to": "en"})
    with pytest.raises(DataError, match="no unit in both fr and de-DE"):
        load(path, **{"from": "fr", "to": "de"})


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is no XML"),
        (b"<html></html>", "no TMX: it begins with <html>"),
        (b"<tmx><body><tu>", "is no XML"),
        (b"<tmx><body/></tmx>", "holds the languages .none."),
        (b"<tmx><tu><tuv><seg>a</seg></tuv></tu></tmx>", "unit 1 has a text that names no language"),
        (b'<!DOCTYPE tmx [<!ENTITY a "b">]><tmx><body>&a;</body></tmx>', "declares a document type"),
        (b'<!DOCTYPE tmx SYSTEM "file:///etc/passwd"><tmx><body>&secret;</body></tmx>', "refers to &secret;"),
        (b"<tmx>" + b"<a>" * 200 + b"</a>" * 200 + b"</tmx>", "nests more than 100"),
        (b'<?xml version="1.0" encoding="rot13"?><tmx/>', "encoding that is not read|is no XML"),
        (b'<tmx><tu><tuv lang="de"><seg>a\xff</seg></tuv></tu></tmx>', "is no XML"),
        ('<tmx><tu><tuv lang="de"><seg>a\x92</seg></tuv><tuv lang="en"><seg>b</seg></tuv></tu></tmx>'.encode(),
         r"unit 1 holds the control character U\+0092"),
    ],
)  # fmt: skip
def test_documents_that_are_broken_or_mean_harm_are_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    (tmp_path / "a.tmx").write_bytes(content)
    with pytest.raises(DataError, match=complaint):
        load(tmp_path / "a.tmx", **{"from": "de", "to": "en"})
