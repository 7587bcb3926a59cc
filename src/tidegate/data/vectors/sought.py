"""The words that vectors are sought for, and what a file has given for them so far. Knows no format."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, TypeAlias
from unicodedata import normalize

import numpy as np
import numpy.typing as npt

from tidegate.data.checks import LARGEST
from tidegate.errors import DataError

Array: TypeAlias = npt.NDArray[Any]
Fold: TypeAlias = Callable[[str], str]


def folded(word: str) -> str:
    r"""Write a word in lower case, its marks put together (NFC), as vocabularies of words have it.

    >>> folded("Cafe\u0301")
    'café'
    """
    return (word if word.isascii() else normalize("NFC", word)).lower()


class Match(IntEnum):
    """Say how well a vector speaks for a word of ours, the best first."""

    SAME = 0  # the word as it stands
    LOWER = 1  # its lower-case form
    FOLDED = 2  # a word that ours is the folded form of
    PARTS = 3  # what it is made of: fastText's n-grams
    NONE = 4


@dataclass(frozen=True, eq=False)
class Vectors:
    """Hold what a file gave for V words.

    rows: [V, D] float32, zeros for words that were not found.
    match: [V] how each word was found, as numbers of `Match`.
    form: what kind of file it is.
    duplicates: lines for a word of ours that came again; the first one counts.
    sha256: of the file.
    """

    rows: Array
    match: Array
    form: str
    duplicates: int
    sha256: str

    @property
    def found(self) -> npt.NDArray[np.bool_]:
        """Tell which words were found, [V]."""
        return np.asarray(self.match < Match.NONE)

    @property
    def made_of_parts(self) -> int:
        """Count the words that the file lacks, and whose vector is made of n-grams."""
        return int((self.match == Match.PARTS).sum())


class Sought:
    """Gather vectors for words, the best match of each; of equally good ones the first.

    Args:
        path: the file, for messages.
        words: distinct, of our vocabulary.
        fold: brings a word of the file into the form in which our vocabulary has it, where that is not its own.

    >>> sought = Sought(Path("some.vec"), ["cat", "Dog"])
    >>> [sought.places("dog"), sought.places("CAT"), sought.places("cow")]
    [[1], [0], []]
    """

    def __init__(self, path: Path, words: Sequence[str], fold: Fold = folded) -> None:
        self.path, self.words, self._fold = path, words, fold
        self.seen: list[str] = []  # the first words of the file
        self._same = {word: index for index, word in enumerate(words)}
        self._lower: defaultdict[str, list[int]] = defaultdict(list)
        for index, word in enumerate(words):
            if word.lower() != word:
                self._lower[word.lower()].append(index)
        self._known = {*self._same, *self._lower}
        self._match = [Match.NONE] * len(words)
        self._rows: dict[int, Array] = {}
        self._duplicates = 0

    def places(self, word: str) -> list[int]:
        """Take note of a word of the file; return which of our words its vector is the best for that came so far."""
        if len(self.seen) < 5:
            self.seen.append(word)
        plain = self._fold(word)
        if word not in self._known and plain not in self._same:
            return []  # nearly all words of a large file
        places = []
        if (same := self._same.get(word)) is not None:
            self._duplicates += self._match[same] == Match.SAME
            places += self._better([same], Match.SAME)
        places += self._better(self._lower.get(word, []), Match.LOWER)
        if plain != word and plain in self._same:
            places += self._better([self._same[plain]], Match.FOLDED)
        return places

    def put(self, places: Sequence[int], numbers: Array, where: str) -> None:
        """Keep a vector [D]; raises DataError, naming where it stands, for one that cannot be computed with."""
        with np.errstate(invalid="ignore"):
            bad = np.flatnonzero(~(np.abs(numbers) <= LARGEST))  # NaN is not
        if len(bad):
            raise DataError(
                f"{where} gives {self.words[places[0]]!r} the number {numbers[bad[0]]:g}; wanted finite ones. "
                "Take the line out, or fetch the file again."
            )
        row = np.asarray(numbers, np.float32)
        self._rows.update(dict.fromkeys(places, row))

    def put_parts(self, place: int, numbers: Array, where: str) -> None:
        """Keep the vector of a word that is not in the file, made of its parts."""
        if self._better([place], Match.PARTS):
            self.put([place], numbers, where)

    @property
    def missing(self) -> list[int]:
        """List the words that nothing was found for."""
        return [place for place, match in enumerate(self._match) if match == Match.NONE]

    def gathered(self, size: int, *, form: str, sha256: str) -> Vectors:
        """Put the rows together; raises DataError where no word was found."""
        if not self._rows:
            theirs, ours = (", ".join(map(repr, some)) for some in (self.seen, self.words[1:6]))
            raise DataError(
                f"{self.path} has no vector for any of {len(self.words)} words. It begins with {theirs}; wanted are "
                f"words such as {ours}. Is it of another language, or of other tokens?"
            )
        rows = np.zeros((len(self.words), size), np.float32)
        for place, row in self._rows.items():
            rows[place] = row
        return Vectors(rows, np.array(self._match, np.int8), form, self._duplicates, sha256)

    def _better(self, places: list[int], match: Match) -> list[int]:
        """Keep those of which no match as good is known; they have this one now."""
        better = [place for place in places if self._match[place] > match]
        for place in better:
            self._match[place] = match
        return better
