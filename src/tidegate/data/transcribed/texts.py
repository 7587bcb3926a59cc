"""Texts as they are learned: composed (NFC), one line, without control characters; and what of them is new."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from tidegate.errors import DataError


def clean_text(text: str, where: str) -> str:
    """Compose a text (NFC), make tabs and white space of any kind one space, and drop what is around it.

    Raises DataError, naming `where`, for other control characters, line ends among them.

    >>> clean_text(" Zu\u0308rich  West ", "a.gt.txt")
    'Zürich West'
    """
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cs") and character != "\t":
            what = "a line end" if character in "\r\n" else f"the control character U+{ord(character):04X}"
            raise DataError(f"{where} holds {what}; a text is one line of characters. Remove it.")
    return " ".join(unicodedata.normalize("NFC", text).split())


def count_composed(texts: Iterable[str]) -> int:
    """Count the texts that are not composed (NFC).

    >>> count_composed(["Zürich", "Zu\u0308rich"])
    1
    """
    return sum(not unicodedata.is_normalized("NFC", text) for text in texts)


def unseen_symbols(texts: Sequence[str], known: Iterable[str]) -> Counter[str]:
    """Count the symbols of texts that are not among those `known`, such as the symbols that training saw.

    >>> unseen_symbols(["abba", "cab"], "ab")
    Counter({'c': 1})
    """
    there = set(known)
    return Counter(symbol for text in texts for symbol in text if symbol not in there)
