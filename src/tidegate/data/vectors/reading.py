"""Reads the vectors of the words of a vocabulary out of a file, whatever its form. Knows no vocabulary of its own."""

from __future__ import annotations

import gzip
import mmap
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from tidegate.data.vectors import fasttext, text, word2vec
from tidegate.data.vectors.opening import most_bytes, opened
from tidegate.data.vectors.sought import Fold, Sought, Vectors, folded
from tidegate.errors import DataError

Form: TypeAlias = Literal["glove", "text", "word2vec", "fasttext"]

WIDEST = 2**16
"""The most numbers of a vector: what an embedding can have."""

_SEEN = 4096  # bytes that tell text from binary numbers
_HEADER = re.compile(rb"[ \t]*(\d{1,18})[ \t]+(\d{1,18})[ \t]*\r?\n")
_NOT_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_OTHERS = {
    b"PK\x03\x04": "a zip archive, to be unpacked first",
    b"\x80": "a pickle, such as gensim saves; let it write `save_word2vec_format`",
    b"\x89HDF": "an HDF5 file",
    b"BZh": "packed with bzip2, to be unpacked first",
    b"\xfd7zXZ": "packed with xz, to be unpacked first",
}
_FORMS = "GloVe's or word2vec's text, word2vec's binary file or fastText's .bin"


@dataclass(frozen=True)
class Shape:
    """Say what a file is: its form, the numbers of each vector, and how many words it claims, if it does."""

    form: Form
    size: int
    count: int | None = None


def width(path: str | os.PathLike[str]) -> int:
    """Tell how many numbers the vectors of a file have, from its beginning; raises DataError as `read` does."""
    return _shape(Path(path)).size


def sha256(path: str | os.PathLike[str]) -> str:
    """Hash a file, as `read` does; raises DataError where it cannot be read."""
    with opened(Path(path)) as (source, _):
        return source.sha256()


def read(path: str | os.PathLike[str], words: Sequence[str], *, fold: Fold = folded) -> Vectors:
    r"""Read the vectors of words, and of no others: the file goes by, and is never held as a whole.

    A word is looked up as it stands, then in lower case; then the first word of the file stands for it whose folded
    form it is (`Paris` for `paris`). In a model of fastText a word that it lacks is the mean of its n-grams.

    Args:
        path: the text of GloVe or word2vec (the `.vec` files of fastText are such), or word2vec's binary file, each of
            which may be gzipped; or a `.bin` model of fastText.
        words: distinct ones.
        fold: brings a word of the file into the form that `words` have.

    Raises:
        DataError: the file is missing, damaged or of another kind, or has none of the words; the line is named.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp(), "small.txt")
    >>> _ = file.write_text("sea 1 2\nWood 3 4\n")
    >>> vectors = read(file, ["wood", "sea", "tide"])
    >>> vectors.rows.tolist(), vectors.found.tolist()
    ([[3.0, 4.0], [1.0, 2.0], [0.0, 0.0]], [True, True, False])
    """
    file, sought = Path(path), Sought(Path(path), words, fold)
    shape = _shape(file)
    with opened(file) as (source, stream):
        match shape.form:
            case "fasttext":
                _read_mapped(file, sought)
            case "word2vec":
                assert shape.count is not None, "its first line was read"
                stream.readline(text.LONGEST)
                word2vec.read_entries(stream, shape.count, shape.size, sought)
            case _:
                text.read_lines(stream, text.Lines(shape.size, shape.count), sought)
        return sought.gathered(shape.size, form=shape.form, sha256=source.sha256())


def _read_mapped(path: Path, sought: Sought) -> None:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        fasttext.Model(path, data).read(sought)


def _shape(path: Path) -> Shape:
    """Find out from the beginning of a file what it is."""
    with opened(path) as (_, stream):
        head, most = stream.read(text.LONGEST), most_bytes(path, stream)
        packed = isinstance(stream, gzip.GzipFile)
    head = head.removeprefix(text.BOM)
    if not head.strip():
        raise DataError(f"{path} is empty; wanted {_FORMS}.")
    if head.startswith(fasttext.MAGIC) and packed:
        raise DataError(f"{path} is a packed model of fastText, which has to be read here and there. Unpack it.")
    if head.startswith(fasttext.MAGIC):
        return Shape("fasttext", _checked(path, fasttext.size_of(head, path)))
    if header := _HEADER.match(head):
        count, size = (int(number) for number in header.groups())
        _check_claim(path, count, _checked(path, size), most)
        return Shape("text" if _is_written(head[header.end() :], size) else "word2vec", size, count)
    return Shape("glove", _checked(path, _first_size(path, head)))


def _checked(path: Path, size: int) -> int:
    if not 1 <= size <= WIDEST:
        raise DataError(f"{path} claims vectors of {size:,} numbers; wanted 1 to {WIDEST:,}.")
    return size


def _check_claim(path: Path, count: int, size: int, most: int) -> None:
    """Refuse what cannot be in so many bytes: a word, and of each number a digit and what parts it, at the least."""
    if not count:
        raise DataError(f"{path} claims in its first line that it has no words.")
    if count * (2 * size + 1) > most:
        told = f"its first line claims {count:,} words of {size:,} numbers, more than it can hold"
        raise DataError(f"{path}: {told}. If it was cut off, fetch it again; else correct that line.")


def _is_written(body: bytes, size: int) -> bool:
    """Tell text from numbers in binary, by what follows the first line."""
    line = body.partition(b"\n")[0]
    fields = line.split()
    if len(fields) > size and all(map(text.is_number, fields[-size:])):
        return True
    some = body[:_SEEN]
    try:
        some.decode()
    except UnicodeDecodeError as error:
        return error.end >= _SEEN - 4 and not _NOT_TEXT.search(some)  # a letter that is cut in two
    return not _NOT_TEXT.search(some)


def _first_size(path: Path, head: bytes) -> int:
    """Count the numbers of the first vector; raises DataError where it has none."""
    line = head.lstrip(b"\r\n").partition(b"\n")[0]
    fields = [] if _NOT_TEXT.search(line) else line.split()
    numbers = 0
    while numbers < len(fields) - 1 and text.is_number(fields[-1 - numbers]):
        numbers += 1
    if not numbers:
        known = next((f": it is {kind}" for magic, kind in _OTHERS.items() if head.startswith(magic)), "")
        raise DataError(f"{path} is no file of vectors{known}; wanted {_FORMS}.")
    return numbers
