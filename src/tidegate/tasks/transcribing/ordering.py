"""The two orders of a text: that of its signal, in which frames name symbols, and that in which it is read.

They differ for lines of writing alone, where letters from right to left stand on them; sound runs as it is read.
"""

from __future__ import annotations

import unicodedata

from tidegate.data.transcribed.recordings import Reads
from tidegate.data.transcribed.writing import is_leftward, logical_order, visual_order


def as_shown(text: str, reads: Reads) -> str:
    """Put a text into the order of its signal: from left to right on a line, in time elsewhere.

    Raises DataError or MissingPackageError as `visual_order` does.

    >>> as_shown("ab", "line")
    'ab'
    """
    return visual_order(text) if reads == "line" else text


def as_read(shown: str, reads: Reads) -> str:
    """Put what frames named, one symbol after the other, into the order in which it is read."""
    return logical_order(shown) if reads == "line" else shown


def reading_order(shown: str, reads: Reads) -> list[int]:
    """Say where each character of the text that is read stands in what frames named.

    Letters from right to left stand mirrored; a stretch among them that runs from left to right keeps its order, and
    is found as the longest one that does.

    >>> reading_order("ab", "line")
    [0, 1]
    """
    if reads != "line" or not is_leftward(shown):
        return list(range(len(shown)))
    text, order, at = logical_order(shown), list[int](), 0
    while at < len(text):
        end = _run(text, shown, at)
        order += range(len(text) - end, len(text) - at)
        at = end
    return order


def _run(text: str, shown: str, at: int) -> int:
    """Find where the stretch from left to right that begins at a character of a text ends; the next one if none does.

    A number after letters from left to right belongs to them (rule W7 of Unicode Standard Annex 9); blanks part other
    numbers.
    """
    last, rightward = at + 1, False
    for end in range(at + 1, len(text) + 1):
        symbol = text[end - 1]
        if is_leftward(symbol) or (symbol.isspace() and not rightward):
            break
        rightward = rightward or unicodedata.bidirectional(symbol) == "L"
        if not symbol.isspace() and text[at:end] == shown[len(text) - end : len(text) - at]:
            last = end
    return last
