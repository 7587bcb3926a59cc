"""The formats of transcripts by name, one function each: signals in, one document out.

Documents of places in pixels (hOCR, ALTO) are refused for sound, and those of times (CTM, SRT) for lines.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePath
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from tidegate.errors import InputError, OptionError
from tidegate.transcripts.written import Span, Told, Unit, Written

_LONGEST_CAPTION, _LONGEST_LINE = 7.0, 42  # seconds and characters that a reader follows with ease
_ALTO = "http://www.loc.gov/standards/alto/ns-v4#"
_XHTML = "http://www.w3.org/1999/xhtml"
_UNITS: dict[str, Unit] = {"hocr": "pixels", "alto": "pixels", "ctm": "seconds", "srt": "seconds"}
_QUOTED = str.maketrans({'"': "%22", ";": "%3B"})  # what would end a name in a title of hOCR


def spell(form: str, found: Sequence[Written]) -> str:
    """Write transcripts down, in one document that ends with a line end.

    Args:
        form: one of `FORMATS`.
        found: what is to be written.

    Raises as `check_form` does.
    """
    check_form(form, [(each.name, each.unit) for each in found])
    return FORMATS[form](found)


def check_form(form: str, given: Sequence[tuple[str, Unit]]) -> None:
    """See that signals, of which names and units of places are given, can be written in a format.

    Raises:
        OptionError: the format is not known.
        InputError: it is one of places in pixels, and sound came, or the other way round; or one of captions, and
            several signals came.
    """
    if form not in FORMATS:
        raise OptionError.unknown("format", form, FORMATS)
    for name, unit in given:
        if _UNITS.get(form, unit) != unit:
            *others, last = [*SEVERAL, *(other for other, wanted in _UNITS.items() if wanted == unit)]
            told = f"{form} wants places in {_UNITS[form]}, but those of {name} are {unit}"
            raise InputError(f"{told}. Take {', '.join(others)} or {last}.")
    if form == "srt" and len(given) > 1:
        raise InputError(f"srt is a file of captions for one recording, but {len(given)} came. Ask for one at a time.")


def as_text(found: Sequence[Written]) -> str:
    """Write a line for each signal: its text, and behind tabs other readings, the next best first."""
    readings = [(each.told.text, *(other.text for other in each.told.alternatives)) for each in found]
    return "".join("\t".join(texts) + "\n" for texts in readings)


def as_json(found: Sequence[Written]) -> str:
    """Write a line of JSON for each signal, with the places of symbols and words, and other readings."""
    return "".join(json.dumps(_plain(each), ensure_ascii=False, allow_nan=False) + "\n" for each in found)


def as_hocr(found: Sequence[Written]) -> str:
    """Write hOCR 1.2: a page for each picture, in it its line, in that its words, in logical order."""
    root = Element("html", {"xmlns": _XHTML})
    head = SubElement(root, "head")
    SubElement(head, "title").text = "Transcripts"
    SubElement(head, "meta", {"name": "ocr-system", "content": "tidegate"})
    SubElement(head, "meta", {"name": "ocr-capabilities", "content": "ocr_page ocr_line ocrx_word"})
    body = SubElement(root, "body")
    for number, each in enumerate(found, 1):
        width, height = each.size
        box = f"bbox 0 0 {width} {height}"
        named = f'image "{_printable(each.name.translate(_QUOTED))}"'
        page = SubElement(body, "div", {"class": "ocr_page", "id": f"page_{number}", "title": f"{named}; {box}"})
        line = SubElement(page, "span", {"class": "ocr_line", "id": f"line_{number}_1", "title": box})
        for place, word in enumerate(each.told.words, 1):
            left, right = _pixels(word, width)
            title = f"bbox {left} 0 {right} {height}; x_wconf {round(100 * word.confidence)}"
            spelled = SubElement(line, "span", {"class": "ocrx_word", "id": f"word_{number}_{place}", "title": title})
            spelled.text, spelled.tail = _printable(word.text), " "
    return "<!DOCTYPE html>\n" + _document(root)


def as_alto(found: Sequence[Written]) -> str:
    """Write ALTO 4: a page for each picture, in it a block with its line, in that strings and the spaces between.

    Strings come in logical order, so that of a line from right to left each lies left of the one before.
    """
    root = Element("alto", {"xmlns": _ALTO})
    about = SubElement(root, "Description")
    SubElement(about, "MeasurementUnit").text = "pixel"
    if len(found) == 1:  # ALTO names one picture
        source = SubElement(about, "sourceImageInformation")
        SubElement(source, "fileName").text = _printable(found[0].name)
    layout = SubElement(root, "Layout")
    for number, each in enumerate(found, 1):
        width, height = each.size
        box = _box(0, width, height)
        size = {"WIDTH": str(width), "HEIGHT": str(height)}
        page = SubElement(layout, "Page", {"ID": f"page_{number}", "PHYSICAL_IMG_NR": str(number), **size})
        block = SubElement(SubElement(page, "PrintSpace", box), "TextBlock", {"ID": f"block_{number}", **box})
        line = SubElement(block, "TextLine", {"ID": f"line_{number}", **box})
        boxes = [_pixels(word, width) for word in each.told.words]
        for place, (word, (left, right)) in enumerate(zip(each.told.words, boxes, strict=True)):
            if place:
                begin, end = _between(boxes[place - 1], boxes[place])
                SubElement(line, "SP", {"HPOS": str(begin), "VPOS": "0", "WIDTH": str(end - begin)})
            spelled = {"CONTENT": _printable(word.text), "WC": f"{word.confidence:.4f}"}
            SubElement(line, "String", _box(left, right, height) | spelled)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + _document(root)


def as_ctm(found: Sequence[Written]) -> str:
    """Write a line for each word, as NIST has it: name, channel, beginning, length in seconds, word, how sure.

    A name is that of the file without folder and suffix, or with them where it needs them to be told from another.
    """
    names = _short([each.name for each in found])
    return "".join(
        f"{names[each.name]} 1 {word.start:.3f} {word.end - word.start:.3f} {word.text} {word.confidence:.4f}\n"
        for each in found
        for word in each.told.words
    )


def as_srt(found: Sequence[Written]) -> str:
    """Write captions of one recording, of at most 7 seconds and 42 characters."""
    captions = [caption for each in found for caption in _captions(each.told)]
    return "\n".join(
        f"{number}\n{_clock(words[0].start)} --> {_clock(words[-1].end)}\n{' '.join(word.text for word in words)}\n"
        for number, words in enumerate(captions, 1)
    )


FORMATS: dict[str, Callable[[Sequence[Written]], str]] = {
    "text": as_text,
    "json": as_json,
    "hocr": as_hocr,
    "alto": as_alto,
    "ctm": as_ctm,
    "srt": as_srt,
}
"""The formats by name: each takes what is to be written, and gives the document."""
SEVERAL = tuple(form for form in FORMATS if form not in _UNITS)
"""Those with a place for several readings of a signal, and for places of either unit."""


def _short(names: Sequence[str]) -> dict[str, str]:
    """Give each name its shortest form that tells it from the others, without spaces."""
    forms: list[Callable[[PurePath], str]] = [lambda path: path.stem, lambda path: (path.parent / path.stem).as_posix()]
    for form in (*forms, PurePath.as_posix):
        short = {name: form(PurePath(name)).replace(" ", "_") for name in names}
        if len(set(short.values())) == len(short):
            break
    return short


def _plain(each: Written) -> dict[str, Any]:
    told = each.told
    words, symbols = ([_spelled(span) for span in spans] for spans in (told.words, told.symbols))
    others = [_read(other) for other in told.alternatives]
    about = {"unit": each.unit, "words": words, "symbols": symbols, "alternatives": others}
    return {"file": each.name, **_read(told), **about}


def _read(told: Told) -> dict[str, Any]:
    return {"text": told.text, "confidence": told.confidence, "score": told.score}


def _spelled(span: Span) -> dict[str, Any]:
    return {"text": span.text, "start": span.start, "end": span.end, "confidence": span.confidence}


def _pixels(word: Span, width: int) -> tuple[int, int]:
    """Give the whole pixels that a word covers, inside its picture."""
    left = min(max(int(word.start), 0), width)
    return left, min(max(-int(-word.end // 1), left), width)


def _between(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    """Give the pixels between two words, whichever of them lies left; none where they touch."""
    begin = min(one[1], other[1])
    return begin, max(begin, one[0], other[0])


def _box(left: int, right: int, height: int) -> dict[str, str]:
    return {"HPOS": str(left), "VPOS": "0", "WIDTH": str(right - left), "HEIGHT": str(height)}


def _printable(text: str) -> str:
    """Replace what XML cannot hold."""
    return "".join(
        c if c >= " " and c not in "\ufffe\uffff" and not "\ud800" <= c <= "\udfff" else "\ufffd" for c in text
    )


def _document(root: Element) -> str:
    indent(root)
    return tostring(root, encoding="unicode") + "\n"


def _captions(told: Told) -> Iterator[list[Span]]:
    caption: list[Span] = []
    for word in told.words:
        length = sum(len(each.text) + 1 for each in caption) + len(word.text)
        if caption and (word.end - caption[0].start > _LONGEST_CAPTION or length > _LONGEST_LINE):
            yield caption
            caption = []
        caption.append(word)
    if caption:
        yield caption


def _clock(seconds: float) -> str:
    whole = round(max(seconds, 0) * 1000)
    return f"{whole // 3_600_000:02}:{whole // 60_000 % 60:02}:{whole // 1000 % 60:02},{whole % 1000:03}"
