"""Tokens that the two sides of pairs share: pieces of words, whole words or characters. Knows neither pairs nor marks.

A text comes back as it was, in the normal form C, white space included: a space belongs to the word behind it, and each
text is read as if one stood before it, so that a word is the same token wherever it stands.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from tidegate.data.checks import check_texts
from tidegate.data.cutting import PIECE
from tidegate.data.decoding import BYTES
from tidegate.data.decoding import Decoder as Spelling
from tidegate.data.graphemes import find_all
from tidegate.data.tokenizer import UNKNOWN_ID, Tokenizer, from_json, train_bpe, train_graphemes, train_pieces
from tidegate.errors import DataError, OptionError
from tidegate.ragged import Ragged

Units: TypeAlias = Literal["subwords", "characters", "words"]

LEAST, MOST = 1000, 16_000
"""Between these the number of subwords lies that is found by itself."""

_PER_ROOT = 9  # subwords for each root of a word of the text
_TWICE = 2  # how often a pair of pieces must stand in the text to become a piece itself
_SEEN = 1_000_000  # distinct words or characters, at most, where no number is named


@dataclass(frozen=True)
class Subwords:
    """Turn texts into ids and back. Made by `train_subwords` or `from_json`; never changes.

    tokenizer: knows the tokens, of which id 0 is `<unk>`.
    units: what a token is.
    """

    tokenizer: Tokenizer
    units: Units

    @property
    def size(self) -> int:
        """Count the tokens: ids lie in [0, size)."""
        return self.tokenizer.size

    @property
    def unknown(self) -> int:
        """The id of what is no token; there is none such of subwords, as each byte is one."""
        return UNKNOWN_ID

    @property
    def vocabulary(self) -> list[str]:
        """List the tokens in the order of their ids, bytes spelled as letters; see `show`."""
        return self.tokenizer.vocabulary

    def encode(self, texts: Sequence[str]) -> Ragged:
        """Turn B texts into a Ragged of int32 ids [N]; an empty text has none.

        Raises InputError for a single string, DataError for what is no text.

        >>> subwords = train_subwords(["ein Hund", "ein Mann"], units="words")
        >>> subwords.encode(["Mann ein", ""]).to_list()[0].tolist()
        [3, 1]
        """
        check_texts(texts, allow_empty=True)
        return self.tokenizer.encode([self._read(text) for text in texts])  # [N]

    def tokenize(self, text: str) -> list[str]:
        """List the tokens of a text as they are read, one for each id, with the space before them.

        >>> train_subwords(["ein Hund."], units="words").tokenize("ein Pudel.")
        [' ein', ' Pudel', '.']
        """
        return self.tokenizer.tokenize(self._read(text)) if text else []

    def decode(self, ids: Iterable[int]) -> str:
        r"""Turn ids into a text; an unknown one becomes `<unk>`, and bytes that make no character a replacement mark.

        >>> subwords = train_subwords(["Ein  Hund,\u00a0groß."], units="words")
        >>> subwords.decode(subwords.encode(["Ein  Hund,\u00a0groß."])[0])
        'Ein  Hund,\xa0groß.'
        """
        decoder = self.decoder()
        return "".join(map(decoder.feed, map(int, ids))) + decoder.finish()

    def decoder(self) -> Decoder:
        """Begin to turn ids back into text, one at a time."""
        return Decoder(self.tokenizer.decoder(), spaced=self._spaced)

    def show(self, token: str) -> str:
        """Write a token of the vocabulary for a reader, without the space before it.

        >>> train_subwords(["groß"] * 9).show("ĠgroÃŁ")
        'groß'
        """
        if self.units == "subwords":
            token = bytes(BYTES[letter] for letter in token if letter in BYTES).decode(errors="replace")
        return token.strip(" ") or token

    def join(self, tokens: Iterable[str]) -> str:
        """Put tokens as `tokenize` lists them together to a text.

        >>> train_subwords(["ein Hund."], units="words").join([" ein", " Pudel", "."])
        'ein Pudel.'
        """
        text = "".join(tokens)
        return text.removeprefix(" ") if self._spaced else text

    def words(self, text: str) -> Words:
        """Say which words a text has, and to which of them each of its tokens belongs."""
        if self.units == "subwords":
            return self.words_of(self.encode([text])[0])
        return self.words_in(self.tokenize(text))

    def words_of(self, ids: Iterable[int]) -> Words:
        """Say which words ids spell, and to which of them each belongs.

        >>> subwords = train_subwords(["rot grün"] * 3 + ["rote"], 262)
        >>> found = subwords.words("rote, rot")
        >>> found.words, found.owners.tolist()
        (['rote', ',', 'rot'], [0, 0, 1, 2])
        """
        decoder = self.tokenizer.decoder()
        pieces = [decoder.feed(int(token)) for token in ids]
        return self.words_in(pieces, decoder.finish())

    def words_in(self, pieces: Sequence[str], rest: str = "") -> Words:
        """Say which words tokens put together, as `tokenize` lists them; a `rest` belongs to the last one."""
        if self.units == "words":
            return Words([piece.strip(" ") or piece for piece in pieces], np.arange(len(pieces)))
        found = find_all(PIECE, "".join(pieces) + rest)
        begins = np.cumsum([0, *map(len, pieces)])[:-1]
        owners = np.searchsorted([begin for _, begin, _ in found], begins, side="right") - 1
        return Words([word.strip(" ") or word for word, _, _ in found], owners.astype(np.int64))

    def to_json(self) -> dict[str, Any]:
        """Give it as plain values, to be stored with a model."""
        return {"units": self.units, "tokenizer": self.tokenizer.to_json()}

    def to_tokenizer(self) -> str:
        """Write a `tokenizer.json` that does all that `encode` and `decode` do, for the package tokenizers alone.

        >>> import tokenizers
        >>> subwords = train_subwords(["ein Hund", "ein Mann"], units="words")
        >>> tokenizer = tokenizers.Tokenizer.from_str(subwords.to_tokenizer())
        >>> tokenizer.encode("Mann ein").ids, tokenizer.decode([3, 1])
        ([3, 1], 'Mann ein')
        """
        content = json.loads(self.tokenizer.to_json())
        spaced = [{"type": "Prepend", "prepend": " "}] if self._spaced else []
        strip = [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if self._spaced else []
        spelled = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
        bytewise = [spelled] if self.units == "subwords" else []
        content["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "NFC"}, *spaced]}
        content["decoder"] = {"type": "Sequence", "decoders": [*bytewise, {"type": "Fuse"}, *strip]}
        return json.dumps(content, ensure_ascii=False)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Subwords:
        """Restore it from `to_json`; raises DataError, KeyError or TypeError for anything else."""
        units, found = stored["units"], from_json(stored["tokenizer"])
        if units not in get_args(Units) or (found.spelling == "bytes") != (units == "subwords"):
            raise DataError(f"these are no {units!r} that Tidegate wrote.")
        return cls(found, units)

    @property
    def _spaced(self) -> bool:
        """Whether a text is read as if a space stood before it."""
        return self.units != "characters"

    def _read(self, text: str) -> str:
        text = text if text.isascii() else unicodedata.normalize("NFC", text)
        return f" {text}" if text and self._spaced else text


@dataclass(frozen=True, eq=False)
class Words:
    """Hold the words of a text, marks among them, and to which one each token belongs: `owners` [N].

    With it what was read of tokens is added up to what was read of words.
    """

    words: list[str]
    owners: npt.NDArray[np.int64]


class Decoder:
    """Turn one id after the other into text, without the space that each text was read behind."""

    def __init__(self, spelling: Spelling, *, spaced: bool) -> None:
        self._spelling, self._spaced = spelling, spaced

    def feed(self, token: int) -> str:
        """Return what the next token adds to the text, which may be nothing yet."""
        return self._trimmed(self._spelling.feed(token))

    def finish(self) -> str:
        """Return what was held back."""
        return self._trimmed(self._spelling.finish())

    def _trimmed(self, piece: str) -> str:
        if piece and self._spaced:
            self._spaced = False
            return piece.removeprefix(" ")
        return piece


def train_subwords(
    texts: Sequence[str], size: int | Literal["auto"] = "auto", *, units: Units = "subwords"
) -> Subwords:
    """Learn the tokens of texts, those of both sides together; the same texts always give the same tokens.

    Subwords are pairs of bytes joined again and again (Sennrich et al. 2016), the most frequent ones first, as long as
    they stand in the texts twice. How many are best depends on how much there is to learn from, and little text wants
    few (Sennrich & Zhang 2019): "auto" takes 9 for each square root of a word, to the next hundred, between 1,000 and
    16,000. Words and characters are all taken that there are.

    Args:
        texts: those of training, at least one, none empty.
        size: the most tokens, `<unk>` included, and of subwords the 256 bytes.
        units: what a token is: `subwords`; `words`, or marks between them; `characters` as a reader takes them.

    Raises:
        OptionError: there are no such units.
        DataError: there are no texts, or one is empty or no text.
        InputError: texts are a single string, or the size is too small.

    >>> train_subwords(["abab"] * 2, units="characters").vocabulary
    ['<unk>', 'a', 'b']
    """
    if units not in get_args(Units):
        raise OptionError.unknown("units", units, get_args(Units))
    check_texts(texts)
    composed = [unicodedata.normalize("NFC", text) for text in texts]
    if units == "characters":
        return Subwords(train_graphemes(composed, _SEEN if size == "auto" else size), units)
    spaced = [f" {text}" for text in composed]
    if units == "words":
        return Subwords(train_pieces(spaced, _SEEN if size == "auto" else size), units)
    return Subwords(train_bpe(spaced, auto_size(texts) if size == "auto" else size, min_count=_TWICE), units)


def auto_size(texts: Sequence[str]) -> int:
    """Say how many subwords suit texts, as `train_subwords` has it.

    >>> auto_size(["ein Hund"] * 350_000), auto_size(["ein Hund"])
    (7500, 1000)
    """
    words = sum(len(text.split()) for text in texts)
    return int(min(max(round(_PER_ROOT * words**0.5 / 100) * 100, LEAST), MOST))
