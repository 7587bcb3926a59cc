"""Turn ids back into text, one at a time, so that a text can be shown while it comes. Knows tokens, not models."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import Literal

Spelling = Literal["words", "characters", "bytes"]
"""How tokens spell a text: words with spaces between them, characters, or pieces of UTF-8 in the manner of BPE."""

_CLOSING = frozenset(".,;:!?)]}%…»”’")
_OPENING = frozenset("([{«“‘$")


class Decoder:
    """Turn one id after the other into text.

    Words are set apart by spaces, but for marks that lean on a neighbour; characters stand as they are; bytes are held
    back until they make a character.

    Args:
        vocabulary: the tokens in the order of their ids.
        spelling: how they spell a text.

    >>> decoder = Decoder(["Yes", ",", "we", "(", "can", ")"], "words")
    >>> "".join(decoder.feed(token) for token in range(6))
    'Yes, we (can)'
    """

    def __init__(self, vocabulary: Sequence[str], spelling: Spelling) -> None:
        self._vocabulary, self._spelling = vocabulary, spelling
        self._before = ""
        self._bytes = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, token: int) -> str:
        """Return what the next token adds to the text, which may be nothing yet."""
        piece = self._vocabulary[token]
        if self._spelling == "characters":
            return piece
        if self._spelling == "bytes":
            return self._bytes.decode(bytes(BYTES.get(letter, 63) for letter in piece))
        joined = not self._before or piece in _CLOSING or self._before in _OPENING
        self._before = piece
        return piece if joined else f" {piece}"

    def finish(self) -> str:
        """Return what was held back: a replacement mark where the last bytes make no character."""
        return self._bytes.decode(b"", final=True)


def _letters() -> dict[str, int]:
    """List the letters by which byte-level BPE writes bytes: those that can be seen as themselves, others from U+0100.

    The table of Radford et al. 2019, which `tokenizers` uses.
    """
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in visible]
    return {chr(byte): byte for byte in visible} | {chr(256 + place): byte for place, byte in enumerate(hidden)}


BYTES = _letters()
