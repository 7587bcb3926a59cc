"""Vectors as text, a line for each word: what GloVe, word2vec and fastText write. Knows no other file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tidegate.data.vectors.opening import Bytes
from tidegate.data.vectors.sought import Array, Sought
from tidegate.errors import DataError

LONGEST = 1 << 21  # bytes of a line; the widest vectors that a network takes need no more
BOM = b"\xef\xbb\xbf"
_BLANKS = b" \t\r\n"


@dataclass(frozen=True)
class Lines:
    """Say how the lines are written.

    size: numbers of each vector.
    count: words, as the first line claims; None where it claims nothing.
    """

    size: int
    count: int | None


def read_lines(stream: Bytes, lines: Lines, sought: Sought) -> None:
    """Read a file to its end, and keep the vectors of the words that are sought; no other number is looked at.

    Raises DataError, naming the line.
    """
    words = 0
    for number, line in numbered(stream, sought.path):
        if number == 1 and lines.count is not None:
            continue
        words += 1
        name, _, numbers = line.partition(b" ")
        try:
            if numbers.count(b" ") != lines.size - 1 or b"\t" in line:
                name, numbers = _parted(line, lines.size)  # of all but a few lines, what was cut off is the word
            if places := sought.places(name.decode()):
                sought.put(places, _numbers(name, numbers, lines.size), f"{sought.path}, line {number}")
        except UnicodeDecodeError:
            told = f"begins with {name[:20]!r}, which is no UTF-8. Write the file in UTF-8."
            raise DataError(f"{sought.path}, line {number} {told}") from None
        except _BadLineError as error:
            raise DataError(f"{sought.path}, line {number} {error}") from None
    if lines.count is not None and words != lines.count:
        raise DataError(
            f"{sought.path} has {words:,} words, but its first line claims {lines.count:,}. If it was cut off, fetch "
            "it again; else correct that line, or take it out."
        )


def numbered(stream: Bytes, path: object) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank, and their numbers from 1; raises DataError for one without an end."""
    number = 0
    while line := stream.readline(LONGEST):
        number += 1
        if len(line) == LONGEST:
            raise DataError(f"{path}, line {number} is longer than {LONGEST:,} bytes: this is no file of vectors.")
        line = (line.removeprefix(BOM) if number == 1 else line).rstrip(_BLANKS)
        if line:
            yield number, line


def is_number(field: bytes) -> bool:
    """Tell whether a field of a line is a number."""
    try:
        float(field)
    except ValueError:
        return False
    return b"_" not in field


class _BadLineError(Exception):
    """Say what is wrong with a line, which the message does not name yet."""


def _parted(line: bytes, size: int) -> tuple[bytes, bytes]:
    """Part a line into its word, which may hold spaces as some of GloVe's do, and its numbers."""
    fields = line.split()
    extra = len(fields) - size
    if extra == 0 and line[:1] in b" \t":
        return b"", line  # a word of nothing but white space
    if extra < 1 or any(map(is_number, fields[1:extra])):
        raise _other_width(fields[0], len(fields) - 1, size)
    return b" ".join(fields[:extra]), b" ".join(fields[extra:])


def _numbers(word: bytes, text: bytes, size: int) -> Array:
    """Read the numbers of a vector [size]."""
    fields = text.split()
    if len(fields) != size:
        raise _other_width(word, len(fields), size)
    if wrong := [field for field in fields if not is_number(field)]:
        raise _BadLineError(f"has {wrong[0].decode(errors='replace')!r:.40} where a number was wanted.")
    return np.array(list(map(float, fields)))


def _other_width(word: bytes, count: int, size: int) -> _BadLineError:
    name = word.decode(errors="replace")
    return _BadLineError(
        f"has {count} numbers after the word {name!r:.40}; wanted {size}, as many as the file begins with. "
        "Was the line cut, or pasted together?"
    )
