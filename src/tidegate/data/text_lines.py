"""The lines of a text file one at a time, as they stand and with their ends. Knows no format."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tidegate.data.plain_text import BYTE_ORDER_MARK, codec_name
from tidegate.errors import DataError


class TextLines:
    r"""Read the lines of a file, whose ends are `\n`, `\r\n` or `\r`, and write text in its encoding.

    Args:
        path: the file.
        encoding: UTF-8 by default, with or without a byte order mark.

    Raises:
        OptionError: there is no such encoding.
        DataError: the file cannot be opened; later on, a line is in another encoding.
    """

    def __init__(self, path: Path, encoding: str | None = None) -> None:
        self.path, self.number = path, 0
        name = codec_name(encoding)
        try:
            self._file = path.open("rb")
            self._size = max(path.stat().st_size, 1)
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
        marked = name == "utf-8" and self._file.peek(3)[:3] == codecs.BOM_UTF8
        self.encoding = "utf-8-sig" if marked else name
        self._text = io.TextIOWrapper(self._file, encoding=self.encoding, newline="")
        self._encoder = codecs.getincrementalencoder(self.encoding)()
        self._next: str | None = None
        self._begun, self._mark = False, ""  # a byte order mark that the codec knows not to be one

    @property
    def share(self) -> float:
        """Tell how much of the file has been read, from 0 to 1."""
        return min(self._file.tell() / self._size, 1.0)

    def __iter__(self) -> Iterator[str]:
        while line := self._take():
            self.number += 1
            yield line

    def peek(self) -> str:
        """Look at the next line; empty where there is none."""
        self._next = self._take()
        return self._next

    def encode(self, text: str) -> bytes:
        """Write text in the encoding of the file; raises DataError for a letter that it has not."""
        text, self._mark = self._mark + text, ""
        try:
            return self._encoder.encode(text)
        except UnicodeEncodeError as error:
            raise DataError(
                f"{self.path} is in {self.encoding}, which has no {text[error.start]!r}. Save it as UTF-8."
            ) from None

    def again(self) -> Iterable[str]:
        """Give the lines from the first one on whenever they are asked for, whatever was read of them here."""
        return _Again(self.path, self.encoding)

    def close(self) -> None:
        """Close the file."""
        self._text.close()

    def _take(self) -> str:
        if self._next is not None:
            line, self._next = self._next, None
            return line
        try:
            line = self._text.readline()
        except UnicodeError as error:
            raise self._undecoded(error) from None
        if not self._begun and line.startswith(BYTE_ORDER_MARK):
            self._mark, line = BYTE_ORDER_MARK, line.removeprefix(BYTE_ORDER_MARK)
        self._begun = True
        return line

    def _undecoded(self, error: UnicodeError) -> DataError:
        """Name the line, where bytes show where lines end, and the byte in it."""
        advice = "Save the file as UTF-8, or say what it is in: --read encoding=cp1252"
        if self.encoding.startswith("utf-8"):
            with self.path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    try:
                        line.decode()
                    except UnicodeDecodeError as bad:
                        where = f"{self.path}, line {number}, byte {bad.start} (0x{line[bad.start]:02x})"
                        return DataError(f"{where} is not UTF-8. {advice}")
        return DataError(f"{self.path}, after line {self.number}, is not {self.encoding}: {error}. {advice}")


@dataclass(frozen=True)
class _Again:
    path: Path
    encoding: str

    def __iter__(self) -> Iterator[str]:
        lines = TextLines(self.path, self.encoding)
        try:
            yield from lines
        finally:
            lines.close()


def split_end(line: str) -> tuple[str, str]:
    r"""Part a line from its end.

    >>> split_end("one\r\n"), split_end("two")
    (('one', '\r\n'), ('two', ''))
    """
    body = line.removesuffix("\n").removesuffix("\r")
    return body, line[len(body) :]
