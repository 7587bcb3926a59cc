"""Vectors as word2vec writes them in binary: a line with two counts, then each word, a space and float32 numbers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tidegate.data.vectors.opening import Bytes
from tidegate.data.vectors.sought import Sought
from tidegate.errors import DataError

LONGEST_WORD = 4096  # bytes
_BLOCK = 1 << 20


def read_entries(stream: Bytes, count: int, size: int, sought: Sought) -> None:
    """Read a file from behind its first line to its end, and keep the vectors of the words that are sought.

    A word that is no UTF-8, as a few are that word2vec has cut, is none of ours. Raises DataError, naming the entry.
    """
    for number, word, numbers in _entries(stream, count, size, str(sought.path)):
        try:
            name = word.decode()
        except UnicodeDecodeError:
            continue
        if places := sought.places(name):
            sought.put(places, np.frombuffer(numbers, "<f4"), f"{sought.path}, word {number:,}")


def _entries(stream: Bytes, count: int, size: int, path: str) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield the number of each word from 1, the word, and the bytes of its vector."""
    block, at, width = b"", 0, 4 * size
    for number in range(1, count + 1):
        if len(block) - at < LONGEST_WORD + width + 2:
            block, at = block[at:] + stream.read(_BLOCK + LONGEST_WORD + width), 0
        space = block.find(b" ", at, at + LONGEST_WORD)
        begin, end = space + 1, space + 1 + width
        if space < 0 and len(block) - at >= LONGEST_WORD:
            raise DataError(f"{path}, word {number:,} has no end: wanted a space behind it and {size} float32 numbers.")
        if space < 0 or end > len(block):
            told = f"{path} ends within word {number:,} of {count:,}"
            raise DataError(f"{told}: it was cut off. Fetch it again.")
        yield number, block[at:space].lstrip(b"\n"), block[begin:end]
        at = end
    if (block[at:] + stream.read(_BLOCK)).strip(b"\n"):
        raise DataError(
            f"{path} goes on after the {count:,} words of {size} numbers that its first line claims: it is damaged, or "
            "no file of word2vec. Fetch it again."
        )
