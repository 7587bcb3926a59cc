"""Read the text of a file and cut it into lines: the one place that knows encodings and line ends.

Knows no format; what the lines mean is for others to say.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tidegate.errors import Argument, DataError, OptionError

_BYTE_ORDER_MARK = "\ufeff"
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # UTF-32 little-endian begins with the first of them, too
_LINE_END = re.compile("\r\n|\n|\r")
_LINE_END_OF_BYTES = re.compile(_LINE_END.pattern.encode())


def read_text(file: Path, encoding: str | None = None) -> str:
    """Read the text of a file, in UTF-8 unless an encoding is named.

    Raises:
        DataError: the file cannot be read, or it is not in that encoding; the byte is named.
        OptionError: there is no such encoding.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}.") from error
    return decode(content, str(file), encoding)


def decode(content: bytes, where: str, encoding: str | None = None) -> str:
    r"""Decode bytes, with or without a byte order mark; `where` names them in a message.

    Nothing is guessed: what is not UTF-8 is refused (DataError) unless an encoding is named, such as `latin-1`. A name
    that Python does not know raises OptionError.

    >>> decode(b"Z\xfcrich", "towns.txt", "latin-1")
    'Zürich'
    """
    known = codec_name(encoding)
    try:
        text = content.decode(known)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{where}, byte {error.start} (0x{content[error.start]:02x}) is not {(encoding or 'utf-8').upper()}. ",
            *(_ADVICE if encoding is None else ["Name the encoding that the file is in."]),
            *(_LIKE_UTF16 if content.startswith(_UTF16_MARKS) else ()),
        ) from error
    if encoding is None and 4 * content[:4096].count(0) >= min(len(content), 4096) > 0:
        raise DataError(
            f"{where} is full of zero bytes, as UTF-16 is. Name its encoding: ", Argument("encoding", "utf-16-le")
        )
    return text.removeprefix(_BYTE_ORDER_MARK)


_ADVICE = (
    "Save the file as UTF-8, or name its encoding, such as ", Argument("encoding", "latin-1"), " or ",
    Argument("encoding", "cp1252"), ".",
)  # fmt: skip
_LIKE_UTF16 = (" It begins like UTF-16: ", Argument("encoding", "utf-16"), ".")


def codec_name(encoding: str | None) -> str:
    """Give Python's name for an encoding of text, UTF-8 for None; raises OptionError where it knows none."""
    try:
        known = codecs.lookup("utf-8" if encoding is None else encoding)
        bytes(4).decode(known.name)  # zeros, which codecs of bytes to bytes, such as base64, refuse
    except (LookupError, UnicodeError, ValueError):
        raise OptionError(
            f"encoding={encoding!r} is none that Python knows. Names are such as utf-8, latin-1, cp1252, utf-16."
        ) from None
    return known.name


def split_lines(text: str) -> list[str]:
    r"""Cut a text into lines, without their ends: `\n`, `\r\n`, or `\r` alone as in old files, and nothing else.

    What Python's `splitlines` takes for a line end besides, such as U+2028 or U+0085, is part of a line. The text after
    the last line end is a line unless it is empty.

    >>> split_lines("one\r\ntwo\u2028and a half\rthree\n")
    ['one', 'two\u2028and a half', 'three']
    """
    lines = _LINE_END.split(text)
    return lines if lines[-1] else lines[:-1]


def complete_lines(chunks: Iterable[bytes]) -> Iterator[list[bytes]]:
    r"""Cut what comes in chunks into lines as `split_lines` does, each as soon as its end is there.

    >>> list(complete_lines([b"one\r", b"\ntwo\nth", b"ree"]))
    [[b'one'], [b'two'], [b'three']]
    """
    pieces: list[bytes] = []  # of a line that is not complete
    returned = False  # whether the chunk before ended with \r, to which a \n may still belong
    for chunk in chunks:
        end, *lines = _LINE_END_OF_BYTES.split(chunk[1:] if returned and chunk.startswith(b"\n") else chunk)
        returned = chunk.endswith(b"\r")
        pieces.append(end)
        if lines:
            yield [b"".join(pieces), *lines[:-1]]
            pieces = [lines[-1]]
    if rest := b"".join(pieces):
        yield [rest]
