r"""What a reader takes for one character: the pieces of a text that nothing may cut, as UAX #29 has them.

A letter and its marks, a picture and its skin tone, pictures joined to one, a flag, a keycap, a syllable of jamo.
Patterns are those of Oniguruma, which the package `tokenizers` brings, so that a text is cut here as inside a
tokenizer. Knows no words.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers.pre_tokenizers import Split

# Scripts in which a sign joins the consonants around it to one, and these signs: the property InCB=Linker of Unicode
# 17, but for ancient scripts. Oniguruma's \X does not know the rule (GB9c), which is of 2023.
_JOINED = (
    r"[\p{Devanagari}\p{Bengali}\p{Gujarati}\p{Oriya}\p{Telugu}\p{Malayalam}\p{Myanmar}\p{Khmer}\p{Tai_Tham}"
    r"\p{Balinese}\p{Sundanese}\p{Javanese}\p{Meetei_Mayek}&&\p{L}]"
)
_LINKERS = r"\x{094D}\x{09CD}\x{0ACD}\x{0B4D}\x{0C4D}\x{0D4D}\x{1039}\x{17D2}\x{1A60}\x{1B44}\x{1BAB}\x{A9C0}\x{AAF6}"
CLUSTER = rf"\X(?:(?<=[{_LINKERS}]|[{_LINKERS}]\x{{200D}})(?={_JOINED})\X)*"
"""The pattern of one character of a reader, white space included."""
EXTENDERS = r"\p{M}\x{200C}\x{200D}\x{1F3FB}-\x{1F3FF}\x{E0020}-\x{E007F}"
"""What never stands alone, to be put into the brackets of a pattern: marks, joiners, skin tones, tags of flags."""

_HALF = re.compile("[\ud800-\udfff]")


def find_all(pattern: str, text: str) -> list[tuple[str, int, int]]:
    r"""List what a pattern matches in a text, one match after the other, with begin and end.

    Half of a surrogate pair, which is no character, is cut as one that is not known.

    >>> find_all(r"\p{N}+", "7 of 10")
    [('7', 0, 1), ('10', 5, 7)]
    """
    whole = _HALF.sub("\ufffd", text)
    return [(text[start:end], start, end) for _, (start, end) in _splitter(pattern).pre_tokenize_str(whole)]


def split_graphemes(text: str) -> list[str]:
    """Cut a text into what a reader takes for its characters, white space included.

    >>> [len(piece) for piece in split_graphemes("Zu\u0308rich")]
    [1, 2, 1, 1, 1, 1]
    """
    return list(text) if text.isascii() and "\r" not in text else [piece for piece, _, _ in find_all(CLUSTER, text)]


@cache
def _splitter(pattern: str) -> Split:
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import Split

    return Split(Regex(pattern), behavior="removed", invert=True)
