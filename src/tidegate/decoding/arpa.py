"""ARPA files of n-grams, read and written. Knows text and arrays.

What is read is bounded: a line, what a packed file unpacks to, and a claim of more n-grams than the file has bytes.
"""

from __future__ import annotations

import gzip
import math
import os
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.decoding.counting import NEVER
from tidegate.errors import DataError

Array: TypeAlias = npt.NDArray[Any]
Spell: TypeAlias = Callable[[str], str]
Read: TypeAlias = tuple[tuple[str, ...], Array, Array, Array, Array, Array]

MARKS = ("<unk>", "<s>", "</s>")
_UNKNOWN = -100.0  # log10, where the file says nothing of unknown tokens
_LINE = 2**16  # bytes of one line
_GROWTH = 64  # times that a packed file may unpack to
_LEAST_BOUND = 2**26  # bytes that any packed file may unpack to
_MOST_ORDER = 10
_LARGEST = 1e4  # of a logarithm
_CLAIM = re.compile(r"ngram\s+(\d{1,3})\s*=\s*(\d{1,18})$")


def read(path: str | os.PathLike[str], spell: Spell) -> Read:
    """Read a file; see `NgramModel.from_arpa`. Returns the vocabulary, and the arrays of an `NgramModel`."""
    place = Path(path)
    if not place.is_file():
        raise DataError(
            f"{place} {'is no file' if place.exists() else 'is not there'}; wanted an ARPA file of n-grams."
        )
    try:
        with place.open("rb") as plain:
            packed = plain.peek(2)[:2] == b"\x1f\x8b"
            size = place.stat().st_size
            bound = max(_LEAST_BOUND, _GROWTH * size) if packed else size
            stream = gzip.GzipFile(fileobj=plain) if packed else plain
            return _Reader(_lines(stream, bound, place), bound, place, spell).read()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{place} is a packed file that is damaged or cut off ({error}).") from None
    except OSError as error:
        raise DataError(f"{place} cannot be read: {error.strerror or error}.") from None


def _lines(stream: Any, bound: int, place: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not empty, with their numbers."""
    left = bound
    for number in range(1, bound + 2):
        line = stream.readline(_LINE + 1)
        left -= len(line)
        if len(line) > _LINE or left < 0:
            what = (
                f"line {number} is longer than {_LINE:,} bytes"
                if left >= 0
                else f"it unpacks to more than {bound:,} bytes"
            )
            raise DataError(f"{place}: {what}; no ARPA file of n-grams does that.")
        if not line:
            return
        try:
            text = line.decode().strip(" \t\r\n")
        except UnicodeDecodeError:
            raise DataError(f"{place}, line {number}: it is not UTF-8. Convert the file first.") from None
        if text:
            yield number, text


class _Reader:
    """Read the n-grams of one file, length by length."""

    def __init__(self, lines: Iterator[tuple[int, str]], bound: int, place: Path, spell: Spell) -> None:
        self._lines, self._bound, self._place, self._spell = lines, bound, place, spell
        self._line = 0
        self._number: dict[str, int] = {}

    def read(self) -> Read:
        while (text := self._next()) != "\\data\\":
            if text.startswith("\\"):
                raise self._wrong(f"{text!r:.40} came where \\data\\ was wanted")
        claims: list[int] = []
        while found := _CLAIM.match(text := self._next()):
            if int(found[1]) != len(claims) + 1 or len(claims) == _MOST_ORDER:
                raise self._wrong(f"{text!r:.40} came; lengths must ascend from 1, to {_MOST_ORDER} at most")
            claims.append(int(found[2]))
        if not claims or sum(claims) > self._bound // 4:
            raise self._wrong(f"the file claims {sum(claims):,} n-grams, which its {self._bound:,} bytes cannot hold")
        levels = [self._unigrams(claims[0], text)]
        index = {str(node): node for node in self._number.values()}
        for length, claim in enumerate(claims[1:], 2):
            level, index = self._level(length, claim, index, self._next())
            levels.append(level)
        if (text := self._next()) != "\\end\\":
            raise self._wrong(f"{text!r:.40} came where \\end\\ was wanted")
        return self._arrays(levels)

    def _unigrams(self, claim: int, heading: str) -> list[Array]:
        rows = {"<unk>": (_UNKNOWN, 0.0), "<s>": (NEVER, 0.0), "</s>": (NEVER, 0.0)}
        seen: set[str] = set()
        for tokens, probability, backoff in self._rows(1, claim, heading):
            try:
                token = tokens[0] if tokens[0] in MARKS else self._spell(tokens[0])
            except ValueError as error:
                raise self._wrong(str(error)) from None
            if token in seen:
                raise self._wrong(f"{token!r:.40} comes twice")
            seen.add(token)
            rows[token] = (probability, backoff)
            self._number[tokens[0]] = len(self._number)
        if missing := {"<s>", "</s>"} - seen:
            raise self._wrong(f"{min(missing)} is not among the single tokens, and texts must begin and end")
        self.vocabulary = (*MARKS, *(token for token in rows if token not in MARKS))
        ids = {token: index for index, token in enumerate(self.vocabulary)}
        self._number = {
            spelled: ids[spelled if spelled in MARKS else self._spell(spelled)] for spelled in ("<unk>", *self._number)
        }
        values = np.array([rows[token] for token in self.vocabulary])
        return [np.zeros(len(values), np.int64), np.arange(len(values)), values[:, 0], values[:, 1]]

    def _level(
        self, length: int, claim: int, index: dict[str, int], heading: str
    ) -> tuple[list[Array], dict[str, int]]:
        """Read the n-grams of one length; `index` numbers those one shorter by their ids."""
        names: list[str] = []
        parents: list[int] = []
        lasts: list[int] = []
        numbers: list[tuple[float, float]] = []
        for tokens, probability, backoff in self._rows(length, claim, heading):
            try:
                ids = [self._number[token] for token in tokens]
            except KeyError as error:
                raise self._wrong(f"{str(error.args[0])!r:.40} is not among the single tokens") from None
            context = " ".join(map(str, ids[:-1]))
            if context not in index:
                raise self._wrong(f"the file lacks {' '.join(tokens[:-1])!r:.60}, which this n-gram goes on from")
            names.append(f"{context} {ids[-1]}")
            parents.append(index[context])
            lasts.append(ids[-1])
            numbers.append((probability, backoff))
        parent, last = np.array(parents, np.int64), np.array(lasts, np.int64)
        order = np.lexsort((last, parent))
        parent, last = parent[order], last[order]
        twice = np.flatnonzero((parent[1:] == parent[:-1]) & (last[1:] == last[:-1]))
        if len(twice):
            raise self._wrong(f"an n-gram of {length} tokens comes twice")
        values = np.array(numbers).reshape(-1, 2)[order]
        return [parent, last, values[:, 0], values[:, 1]], {names[old]: new for new, old in enumerate(order.tolist())}

    def _rows(self, length: int, claim: int, heading: str) -> Iterator[tuple[list[str], float, float]]:
        if heading != f"\\{length}-grams:":
            raise self._wrong(f"{heading!r:.40} came where \\{length}-grams: was wanted; the counts may be wrong")
        for _ in range(claim):
            parts = self._next().split()
            if not length + 1 <= len(parts) <= length + 2:
                raise self._wrong(
                    f"{len(parts)} columns; wanted a logarithm, {length} tokens, and at most a back-off weight"
                )
            backoff = self._logarithm(parts[length + 1]) if len(parts) > length + 1 else 0.0
            probability = self._logarithm(parts[0])
            if probability > 0:
                raise self._wrong(f"{parts[0]} is no logarithm of a probability")
            yield parts[1 : length + 1], probability, backoff

    def _logarithm(self, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise self._wrong(f"{text!r:.40} is no number") from None
        if not abs(value) <= _LARGEST or math.isnan(value):
            raise self._wrong(f"{text!r:.40} is no logarithm from -10,000 to 10,000")
        return value

    def _next(self) -> str:
        found = next(self._lines, None)
        if found is None:
            raise DataError(
                f"{self._place} ends after line {self._line}, before \\end\\; it is no ARPA file, or cut off."
            )
        self._line, text = found
        return text

    def _wrong(self, why: str) -> DataError:
        return DataError(f"{self._place}, line {self._line}: {why}.")

    def _arrays(self, levels: list[list[Array]]) -> Read:
        sizes = [len(level[0]) for level in levels]
        following = [np.bincount(longer[0], minlength=size) for size, longer in zip(sizes, levels[1:], strict=False)]
        return (
            self.vocabulary,
            np.array(sizes, np.int64),
            np.concatenate([level[1] for level in levels]).astype(np.int32),
            np.concatenate([*following, np.zeros(sizes[-1])]).astype(np.int32),
            np.concatenate([level[2] for level in levels]).astype(np.float32),
            np.concatenate([level[3] for level in levels]).astype(np.float32),
        )


def _opened(place: Path) -> IO[str]:
    if place.suffix == ".gz":
        return gzip.open(place, "wt", encoding="utf-8")
    return place.open("w", encoding="utf-8")


def write(
    path: str | os.PathLike[str],
    spelled: Sequence[str],
    counts: Array,
    tokens: Array,
    children: Array,
    probability: Array,
    backoff: Array,
) -> None:
    """Write what `read` reads; nine digits bring every float32 back."""
    place = Path(path)
    with _opened(place) as file:
        file.write("\\data\\\n" + "".join(f"ngram {k}={count}\n" for k, count in enumerate(counts.tolist(), 1)))
        begin, before = 0, [""]
        parents = np.zeros(int(counts[0]), np.int64)
        for length, count in enumerate(counts.tolist(), 1):
            end, last = begin + count, length == len(counts)
            words = [
                f"{before[parent]}{spelled[token]}" for parent, token in zip(parents, tokens[begin:end], strict=True)
            ]
            file.write(f"\n\\{length}-grams:\n")
            for node, text in enumerate(words, begin):
                weight = "" if last else f"\t{backoff[node]:.9g}"
                file.write(f"{probability[node]:.9g}\t{text}{weight}\n")
            parents = np.repeat(np.arange(count), children[begin:end])
            begin, before = end, [f"{text} " for text in words]
        file.write("\n\\end\\\n")
