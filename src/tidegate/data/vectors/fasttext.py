"""Models of fastText in its own binary form: words, the n-grams that they are made of, and a row for each.

Written from the layout that version 12 of the format has (Bojanowski et al. 2017; `fasttext.cc`, `dictionary.cc`): the
arguments, the dictionary, and the matrix of the input, of which a word has a row and each bucket of n-grams another.
The file is mapped into memory, so that of the matrix only the rows are read that are needed.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tidegate.data.vectors.sought import Array, Sought
from tidegate.errors import DataError

MAGIC = struct.pack("<i", 793712314)
_VERSIONS = (11, 12)
_SUPERVISED = 3
_END_OF_SENTENCE = "</s>"
_ARGUMENTS = struct.Struct("<12id")
_COUNTS = struct.Struct("<3i2q")
_SIZES = struct.Struct("<2q")
_LABEL = 1


@dataclass(frozen=True)
class Grams:
    """Say which n-grams a word is made of, and in which of so many buckets they lie.

    >>> grams = Grams(shortest=3, longest=3, buckets=1000)
    >>> list(grams.of("sea"))
    [b'<se', b'sea', b'ea>']
    """

    shortest: int
    longest: int
    buckets: int

    def of(self, word: str) -> Iterator[bytes]:
        """Cut a word, with a border on either side, into n-grams of characters; a border alone is none."""
        letters = [letter.encode() for letter in f"<{word}>"]
        for begin in range(len(letters)):
            for length in range(self.shortest, min(self.longest, len(letters) - begin) + 1):
                if length > 1 or 0 < begin < len(letters) - 1:
                    yield b"".join(letters[begin : begin + length])

    def bucket(self, gram: bytes) -> int:
        """Find the bucket of an n-gram: 32 bits of FNV-1a, in which bytes are signed, as fastText has it.

        >>> Grams(3, 6, 2_000_000).bucket(b"<se")
        351175
        """
        code = 2166136261
        for byte in gram:
            code = ((code ^ (byte if byte < 128 else byte | 0xFFFFFF00)) * 16777619) & 0xFFFFFFFF
        return code % self.buckets


def size_of(head: bytes, path: Path) -> int:
    """Tell how many numbers a row has, from the beginning of a file."""
    if len(head) < 12:
        raise DataError(f"{path} ends too early, after {len(head)} bytes: it was cut off. Fetch it again.")
    return int(struct.unpack_from("<i", head, 8)[0])


class Model:
    """Find the rows of words in a file that is mapped into memory.

    Raises DataError where the file is cut off, claims what it cannot hold, or is of a kind that has no plain rows.
    """

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path, self._data, self._at = path, data, 4
        (version,) = self._take(struct.Struct("<i"))
        if version not in _VERSIONS:
            raise DataError(f"{path} is of version {version} of fastText's format; wanted {_VERSIONS[-1]}.")
        self.size, *_, kind, buckets, shortest, longest, _, _ = self._take(_ARGUMENTS)
        if version == 11 and kind == _SUPERVISED:
            longest = 0  # as fastText reads models of that time
        self.grams = Grams(max(shortest, 1), longest, buckets) if longest > 0 and buckets > 0 else None
        self.entries, self.words, _, _, pruned = self._take(_COUNTS)
        if not 0 < self.words <= self.entries or not 0 < self.size < 1 << 20 or 2 * self.words > len(data):
            told = f"it claims {self.words:,} words of {self.size:,} numbers in {len(data):,} bytes"
            raise DataError(f"{path} is damaged: {told}. Fetch it again.")
        self._pruned = max(pruned, 0)

    def read(self, sought: Sought) -> None:
        """Keep the vectors of the words that are sought; those that the dictionary lacks are made of their n-grams."""
        wanted = list(self._wanted(sought))
        first = self._first_row()
        for index, word, places in wanted:
            rows = [index, *self._buckets(word)]
            sought.put(places, self._mean(first, rows), f"{self.path}, word {index + 1:,}")
        for place in sought.missing:
            word = sought.words[place]
            if rows := [] if word == "<unk>" else self._buckets(word):
                sought.put_parts(place, self._mean(first, rows), f"{self.path}, the n-grams of {word!r}")

    def _wanted(self, sought: Sought) -> Iterator[tuple[int, str, list[int]]]:
        """Walk through the dictionary; yield the row, the word, and the places of ours that it is for."""
        for index in range(self.entries):
            end = self._data.find(b"\0", self._at)
            if end < 0 or end + 10 > len(self._data):
                raise self._cut()
            name, is_label = self._data[self._at : end], self._data[end + 9] == _LABEL
            self._at = end + 10
            if is_label or index >= self.words:
                continue
            try:
                word = name.decode()
            except UnicodeDecodeError:
                continue
            if places := sought.places(word):
                yield index, word, places

    def _first_row(self) -> int:
        """Find where the rows of the input begin, behind the dictionary."""
        if self._pruned:
            raise self._packed()
        (packed,) = self._take(struct.Struct("<?"))
        if packed:
            raise self._packed()
        rows, columns = self._take(_SIZES)
        wanted = self.words + (self.grams.buckets if self.grams else 0)
        if columns != self.size or rows < wanted:
            told = f"its matrix has {rows:,} rows of {columns:,} numbers, its words want {wanted:,} of {self.size:,}"
            raise DataError(f"{self.path} is damaged: {told}. Fetch it again.")
        if self._at + 4 * rows * columns > len(self._data):
            raise self._cut()
        return self._at

    def _mean(self, first: int, rows: list[int]) -> Array:
        """Average rows [D]; that of numbers which are not finite is not, either."""
        width = 4 * self.size
        begins = [first + row * width for row in rows]
        # Slices are copies: a view would keep the map from being closed.
        found = [np.frombuffer(self._data[begin : begin + width], "<f4") for begin in begins]
        with np.errstate(invalid="ignore", over="ignore"):
            return np.asarray(np.mean(found, axis=0, dtype=np.float64))

    def _buckets(self, word: str) -> list[int]:
        if self.grams is None or word == _END_OF_SENTENCE:
            return []
        return [self.words + self.grams.bucket(gram) for gram in self.grams.of(word)]

    def _take(self, form: struct.Struct) -> tuple[int, ...]:
        if self._at + form.size > len(self._data):
            raise self._cut()
        self._at += form.size
        return form.unpack_from(self._data, self._at - form.size)

    def _cut(self) -> DataError:
        size = len(self._data)
        return DataError(f"{self.path} ends too early, after {size:,} bytes: it was cut off. Fetch it again.")

    def _packed(self) -> DataError:
        return DataError(f"{self.path} is a quantized model of fastText, which has no rows. Take the .bin file.")
