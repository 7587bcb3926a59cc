"""Formats of transcripts: well-formed, in units of the original, and read again as the same words."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from xml.etree import ElementTree

import pytest

from tidegate.errors import InputError, OptionError
from tidegate.transcripts import FORMATS, Written, spell


@dataclass(frozen=True)
class Word:
    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Told:
    text: str
    confidence: float
    symbols: tuple[Word, ...] = ()
    words: tuple[Word, ...] = ()
    alternatives: tuple[Told, ...] = ()
    score: float = -1.0


WORDS = (Word("Jrrthum", 10.4, 80.2, 0.875), Word('<&"\x07>', 95.0, 140.0, 0.5))
LINE = Written("scans/leaf 1.png", Told("Jrrthum <&>", 0.7, (), WORDS), "pixels", (130, 40))
CALL = Written(
    "calls/one.wav",
    Told(
        "thank you", 0.9, (), (Word("thank", 0.25, 0.5, 0.9), Word("you", 3661.0, 3661.5, 1.0)), (Told("thanks", 0.1),)
    ),
    "seconds",
)


def test_hocr_has_a_page_a_line_and_words_in_their_boxes() -> None:
    document = spell("hocr", [LINE, LINE])
    root = ElementTree.fromstring(document.partition("\n")[2])
    space = "{http://www.w3.org/1999/xhtml}"
    pages = [div for div in root.iter(f"{space}div") if div.get("class") == "ocr_page"]
    assert [page.get("title") for page in pages] == ['image "scans/leaf 1.png"; bbox 0 0 130 40'] * 2
    words = [span for span in pages[0].iter(f"{space}span") if span.get("class") == "ocrx_word"]
    assert [word.get("title") for word in words] == ["bbox 10 0 81 40; x_wconf 88", "bbox 95 0 130 40; x_wconf 50"]
    assert [word.text for word in words] == ["Jrrthum", '<&"\ufffd>']
    assert len({element.get("id") for element in root.iter() if element.get("id")}) == 2 + 2 + 4


def test_alto_has_strings_with_the_space_between() -> None:
    root = ElementTree.fromstring(spell("alto", [LINE]).encode())
    space = "{http://www.loc.gov/standards/alto/ns-v4#}"
    assert root.tag == f"{space}alto"
    line = next(root.iter(f"{space}TextLine"))
    told = [(part.tag.removeprefix(space), part.get("HPOS"), part.get("WIDTH"), part.get("WC")) for part in line]
    assert told == [("String", "10", "71", "0.8750"), ("SP", "81", "14", None), ("String", "95", "35", "0.5000")]
    assert [part.get("CONTENT") for part in line.iter(f"{space}String")] == ["Jrrthum", '<&"\ufffd>']


def test_alto_is_read_again_as_the_same_line() -> None:
    from tidegate.data.transcribed.pages import read_page

    page = read_page(spell("alto", [LINE]).encode(), "leaf.xml")
    assert [line.text for line in page.lines] == ['Jrrthum <&"\ufffd>']
    assert page.lines[0].polygon.tolist() == [[0, 0], [130, 0], [130, 40], [0, 40]]


RIGHT_TO_LEFT = (Word("שלום", 80.0, 120.0, 0.9), Word("12", 50.0, 70.0, 0.8), Word("עולם", 5.0, 40.0, 0.7))
HEBREW = Written("leaf.png", Told("שלום 12 עולם", 0.7, (), RIGHT_TO_LEFT), "pixels", (130, 40))


def test_alto_of_a_line_from_right_to_left_is_read_again_as_the_same_text() -> None:
    from tidegate.data.transcribed.pages import read_page

    document = spell("alto", [HEBREW])
    assert [line.text for line in read_page(document.encode(), "leaf.xml").lines] == ["שלום 12 עולם"]
    line = next(element for element in ElementTree.fromstring(document.encode()).iter() if "TextLine" in element.tag)
    told = [(part.tag.rpartition("}")[2], part.get("HPOS"), part.get("WIDTH")) for part in line]
    assert told == [
        ("String", "80", "40"), ("SP", "70", "10"), ("String", "50", "20"), ("SP", "40", "10"), ("String", "5", "35")
    ]  # fmt: skip


def test_hocr_of_a_line_from_right_to_left_has_its_words_in_the_order_of_the_text() -> None:
    root = ElementTree.fromstring(spell("hocr", [HEBREW]).partition("\n")[2])
    words = [element for element in root.iter() if element.get("class") == "ocrx_word"]
    assert " ".join(word.text or "" for word in words) == HEBREW.told.text
    assert [(word.get("title") or "").partition(";")[0] for word in words] == [
        "bbox 80 0 120 40", "bbox 50 0 70 40", "bbox 5 0 40 40"
    ]  # fmt: skip


@pytest.mark.parametrize("words", [((10, 50), (40, 90)), ((40, 90), (10, 50)), ((10, 90), (20, 30))])
def test_words_that_overlap_have_an_empty_space_between(words: tuple[tuple[int, int], tuple[int, int]]) -> None:
    told = Told("a b", 1.0, (), tuple(Word("ab"[place], left, right, 1.0) for place, (left, right) in enumerate(words)))
    root = ElementTree.fromstring(spell("alto", [Written("a.png", told, "pixels", (100, 40))]).encode())
    space = next(element for element in root.iter() if element.tag.endswith("}SP"))
    assert space.get("WIDTH") == "0"
    assert 10 <= int(space.get("HPOS", "-1")) <= 90


def test_ctm_tells_beginning_and_length_in_seconds() -> None:
    assert spell("ctm", [CALL]) == "one 1 0.250 0.250 thank 0.9000\none 1 3661.000 0.500 you 1.0000\n"


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (("a/1.wav", "b/2.wav"), ["1", "2"]),
        (("a/1.wav", "b/1.wav"), ["a/1", "b/1"]),
        (("a/1.wav", "a/1.flac"), ["a/1.wav", "a/1.flac"]),
        (("a b/1.wav", "a b/1.wav"), ["1", "1"]),
        (("a b/1.wav", "1.wav"), ["a_b/1", "1"]),
    ],
)
def test_ctm_tells_files_of_one_name_apart(files: tuple[str, str], names: list[str]) -> None:
    document = spell(
        "ctm", [Written(file, Told("a", 1.0, (), (Word("a", 0.0, 1.0, 1.0),)), "seconds") for file in files]
    )
    assert [line.split(" 1 ")[0] for line in document.splitlines()] == names


def test_a_name_cannot_end_the_title_of_hocr() -> None:
    document = spell("hocr", [Written('a";b.png', Told("", 1.0), "pixels", (1, 1))])
    root = ElementTree.fromstring(document.partition("\n")[2])
    titles = [element.get("title") for element in root.iter() if element.get("class") == "ocr_page"]
    assert titles == ['image "a%22%3Bb.png"; bbox 0 0 1 1']


def test_srt_parts_captions_that_are_too_long() -> None:
    assert spell("srt", [CALL]) == (
        "1\n00:00:00,250 --> 00:00:00,500\nthank\n\n2\n01:01:01,000 --> 01:01:01,500\nyou\n"
    )
    many = tuple(Word("word", number / 10, number / 10 + 0.1, 1.0) for number in range(30))
    captions = spell("srt", [Written("a.wav", Told("", 1.0, (), many), "seconds")]).split("\n\n")
    lines = [caption.strip().split("\n")[2] for caption in captions]
    assert max(map(len, lines)) <= 42
    assert " ".join(lines) == " ".join(["word"] * 30)


def test_json_tells_everything_a_line_for_each() -> None:
    rows = [json.loads(line) for line in spell("json", [LINE, CALL]).splitlines()]
    assert [row["unit"] for row in rows] == ["pixels", "seconds"]
    assert rows[1]["words"][0] == {"text": "thank", "start": 0.25, "end": 0.5, "confidence": 0.9}
    assert rows[1]["score"] == -1.0
    assert rows[1]["alternatives"] == [{"text": "thanks", "confidence": 0.1, "score": -1.0}]


def test_text_is_a_line_for_each_with_other_readings_behind_tabs() -> None:
    assert spell("text", [CALL, LINE]) == "thank you\tthanks\nJrrthum <&>\n"


def test_alto_of_one_picture_names_it() -> None:
    from tidegate.data.transcribed.pages import read_page

    assert read_page(spell("alto", [LINE]).encode(), "a.xml").picture == "scans/leaf 1.png"
    assert read_page(spell("alto", [LINE, LINE]).encode(), "a.xml").picture == ""


@pytest.mark.parametrize("form", ["hocr", "alto"])
def test_a_name_that_xml_cannot_hold_gives_a_document(form: str) -> None:
    odd = Written("a\x01\udcff.png", Told("a", 1.0), "pixels", (1, 1))
    assert "a\ufffd\ufffd.png" in next(
        text
        for element in ElementTree.fromstring(spell(form, [odd]).partition("\n")[2]).iter()
        for text in (element.text or "", element.get("title", ""))
        if ".png" in text
    )


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_nothing_that_was_read_is_a_document_too(form: str) -> None:
    unit = "pixels" if form in ("hocr", "alto") else "seconds"
    document = spell(form, [Written("a", Told("", 1.0), unit, (0, 0))])  # type: ignore[arg-type]
    assert re.search('class="ocrx_word"|<String|-->|"start"', document) is None
    if form in ("hocr", "alto"):
        ElementTree.fromstring(document.partition("\n")[2])


def test_places_of_another_unit_are_refused() -> None:
    for form, given, others in (
        ("hocr", CALL, "text, json, ctm or srt"),
        ("alto", CALL, "text, json, ctm or srt"),
        ("ctm", LINE, "text, json, hocr or alto"),
        ("srt", Written("a.npy", Told("", 1.0), "steps"), "text or json"),
    ):
        with pytest.raises(InputError, match=rf"{form} wants places in .* Take {others}\."):
            spell(form, [given])
    with pytest.raises(InputError, match="srt is a file of captions for one recording, but 2 came"):
        spell("srt", [CALL, CALL])
    with pytest.raises(OptionError, match="unknown format 'hcor'"):
        spell("hcor", [LINE])
