"""Texts from right to left: in logical order outside, in the visual order of the line inside. Needs python-bidi.

A network reads a line from left to right, so its labels must follow each other as the glyphs do.
"""

from __future__ import annotations

import unicodedata
from importlib.util import find_spec

from tidegate.errors import DataError, MissingPackageError

_LEFTWARD = frozenset(("R", "AL"))


def is_leftward(text: str) -> bool:
    """Tell whether a text holds letters that are written from right to left."""
    return not text.isascii() and any(unicodedata.bidirectional(character) in _LEFTWARD for character in text)


def visual_order(text: str, where: str = "the text") -> str:
    """Put the characters of a logical text into the order in which its line shows them, from left to right.

    A text without letters from right to left comes back as it is. Numbers in one with such letters keep their order,
    and brackets are mirrored (Unicode Standard Annex 9).

    Raises:
        DataError: the text does not come back by `logical_order`; `where` names it.
        MissingPackageError: python-bidi is not installed.
    """
    if not is_leftward(text):
        return text
    shown = _turned(text)
    if _turned(shown) != text:
        told = f"{where} mixes directions so that its line does not say in which order it is read: {text!r:.60}"
        raise DataError(f"{told}. Leave it out, or part it.")
    return shown


def logical_order(shown: str) -> str:
    """Put the characters of a line, from left to right, into the order in which they are read.

    >>> logical_order("abc 12")
    'abc 12'
    """
    return _turned(shown) if is_leftward(shown) else shown


def _turned(text: str) -> str:
    if find_spec("bidi") is None:
        raise MissingPackageError.of("python-bidi", "lines", "text from right to left")
    from bidi import get_display

    found = get_display(text, base_dir="R")
    assert isinstance(found, str), "a text gives a text"
    return found
