"""Rows of CSV and TSV texts: what parts their fields, what a quote means, and which lines one seems to have swallowed.

Knows no columns. Lines are counted from 1.
"""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tidegate.data.plain_text import split_lines
from tidegate.errors import Argument, DataError, DataWarning, OptionError

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
Row = tuple[int, list[str]]
"""The last line of a row, and its fields."""

_FIELD = re.compile(r'(?:^|\t)("(?:[^"]|"")*"|[^"\t]*)')  # of a line in which every quote is part of a quoted field
_WHOLE_FIELDS = re.compile(r'(?:"(?:[^"]|"")*"|[^"\t]*)(?:\t(?:"(?:[^"]|"")*"|[^"\t]*))*')
_SAMPLE = 50  # rows by which delimiters are told apart
_SWALLOWED = 10  # delimiters, where those of swallowed lines are all in place, that no text has by chance


def csv_rows(text: str, path: Path, delimiter: str | None = None) -> Iterator[Row]:
    """Give the rows of a CSV text that are not blank; its delimiter is found by its header unless named.

    Raises as `choose_delimiter` and `quoted_rows` do.
    """
    lines = io.StringIO(text, newline="")
    told = told_delimiter(lines.readline())
    if told is None:
        lines.seek(0)
    chosen = choose_delimiter(_Lines(text), path, delimiter)
    return ((line, row) for line, row, _ in quoted_rows(lines, chosen, path, before=told is not None) if row)


def tsv_rows(text: str) -> Iterator[Row]:
    """Give the rows of a TSV text that are not blank. It has no quoting, so that quotes are letters like all others.

    Only where `tsv_is_quoted` are they taken off.
    """
    lines = [(number, line) for number, line in enumerate(split_lines(text), 1) if line]
    quoted = '"' in text and tsv_is_quoted(line for _, line in lines)
    return ((number, tsv_fields(line, quoted=quoted)) for number, line in lines)


def choose_delimiter(lines: Iterable[str], path: Path, delimiter: str | None = None) -> str:
    """Choose what parts the fields of a CSV file: what is named, what it tells as Excel does, or what is found.

    Args:
        lines: of the file; they are read from the first one on as often as need be.
        path: names the file in messages.
        delimiter: a character or a name.

    Raises OptionError where the delimiter is none, DataError where several would do.
    """
    if delimiter is not None:
        return _named(delimiter)
    return told_delimiter(next(iter(lines), "")) or find_delimiter(lines, path)


def told_delimiter(line: str) -> str | None:
    r"""Read the delimiter off a line before the header by which Excel tells it; None where it is no such line.

    >>> told_delimiter("sep=;\r\n"), told_delimiter("sep,b\n")
    (';', None)
    """
    told = line.strip("\r\n").strip('"')
    return told[4:] if told.startswith("sep=") and len(told) == 5 else None


def find_delimiter(lines: Iterable[str], path: Path) -> str:
    r"""Find what parts the fields of the header, and if several may, of the rows as well: `, ; |` or a tab.

    >>> find_delimiter(["ds;load, kW\n", "2024;1,5\n", "2025;1\n"], Path("load.csv"))
    ';'
    """
    header = next(filter(str.strip, lines), "").rstrip("\r\n")
    found = [sign for sign in DELIMITERS.values() if sign in header]
    if len(found) > 1:
        even = {sign: width for sign in found if (width := _even_width(lines, sign)) > 1}
        found = [sign for sign, width in even.items() if width == max(even.values())] or found[:1]
    if len(found) > 1:
        names = [name for name, sign in DELIMITERS.items() if sign in found]
        raise DataError(
            f"{path} may have its fields between {' or '.join(map(repr, found))}: {header!r:.60}. Say which: ",
            Argument("delimiter", names[0]), " or ", Argument("delimiter", names[1]), ".",
        )  # fmt: skip
    return found[0] if found else ","


@dataclass(frozen=True)
class _Lines:
    """The lines of a text, from the first one on whenever they are asked for."""

    text: str

    def __iter__(self) -> Iterator[str]:
        return io.StringIO(self.text, newline="")


def _named(delimiter: str) -> str:
    sign = DELIMITERS.get(delimiter, delimiter)
    if len(sign) != 1 or sign in '"\r\n':
        raise OptionError.unknown("delimiter", delimiter, DELIMITERS)
    return sign


def _even_width(lines: Iterable[str], delimiter: str) -> int:
    """Count the fields that every one of the first rows has; 0 where they differ."""
    rows = csv.reader(iter(lines), delimiter=delimiter)
    with _long_fields():
        widths = {len(row) for row in islice(filter(None, rows), _SAMPLE)}
    return widths.pop() if len(widths) == 1 else 0


def quoted_rows(
    lines: Iterable[str], delimiter: str, path: Path, *, before: int = 0
) -> Iterator[tuple[int, list[str], str]]:
    """Give the rows of CSV lines: the last line of each, its fields, none of a blank line, and it as it stands.

    Args:
        lines: with their ends.
        delimiter: between the fields.
        path: names the file in messages.
        before: lines of the file that came before these.

    Raises DataError where a quote is never closed, or closed after lines that are rows; the line is named.
    """
    taken: list[str] = []  # the lines of the row that is being read

    def told() -> Iterator[str]:
        for line in lines:
            taken.append(line)
            yield line

    reader, width, count = csv.reader(told(), delimiter=delimiter, strict=True), 0, 0
    while True:
        try:
            with _long_fields():  # only for this row, as the bound is one for the whole process
                row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _misquoted(error, path, before + reader.line_num, len(taken)) from error
        if row:
            width = width or len(row)
            if len(taken) > 2:
                _check_swallowed(taken, f"{path}, row {count}", before + reader.line_num, delimiter, width)
            count += 1
        yield before + reader.line_num, row, "".join(taken)
        taken.clear()


def _misquoted(error: csv.Error, path: Path, line: int, taken: int) -> DataError:
    opened = line - taken + 1
    if "end of data" in str(error):
        return DataError(f"{path}, line {opened}: a quote that opens there is never closed.")
    since = f", in a row that begins on line {opened}" if taken > 1 else ""
    return DataError(f"{path}, line {line}{since}: {error}. Check the quotes there.")


def _check_swallowed(lines: list[str], row: str, last: int, delimiter: str, width: int) -> None:
    """Warn of a row whose lines are each like a row of their own; refuse one where that cannot be chance."""
    alike = sum(line.count(delimiter) == width - 1 for line in lines)
    if width < 2 or alike < (len(lines) if len(lines) < 10 else len(lines) / 2):
        return
    first = last - len(lines) + 1
    said = (
        f"{row} spans {len(lines)} lines, {first} to {last}, and {alike} of them look like rows of their own, "
        f"swallowed by a quote that opens on line {first}"
    )
    if alike == len(lines) and (len(lines) - 2) * (width - 1) >= _SWALLOWED:
        raise DataError(f"{said}. Take that quote away, or write it twice within a quoted field.")
    warnings.warn(f"{said}.", DataWarning, stacklevel=2)


def tsv_is_quoted(lines: Iterable[str]) -> bool:
    """Tell whether a TSV shows that it was written with quoting.

    Each quoted field is whole on its own line then; and the header or all of a column is quoted, or quotes are doubled
    or tabs stand between them.

    Args:
        lines: without their ends, none blank.
    """
    first, shown, bare, quoted = True, False, set[int](), set[int]()  # and the columns that have such fields
    for line in lines:
        fields = _FIELD.findall(line) if '"' in line else line.split("\t")
        if '"' in line:
            if not _WHOLE_FIELDS.fullmatch(line):
                return False
            shown = shown or first or any('"' in field[1:-1] or "\t" in field for field in fields)
            quoted |= {column for column, field in enumerate(fields) if field[:1] == '"'}
        if not first:
            bare |= {column for column, field in enumerate(fields) if field[:1] not in ("", '"')}
        first = False
    return shown or bool(quoted - bare)


def tsv_fields(line: str, *, quoted: bool) -> list[str]:
    """Part the fields of a line of TSV, and take the quotes off where it is quoted."""
    if not quoted:
        return line.split("\t")
    fields = _FIELD.findall(line)
    return [field[1:-1].replace('""', '"') if field[:1] == '"' else field for field in fields]


@contextmanager
def _long_fields() -> Iterator[None]:
    """Let fields be of any length; the module's own bound, 131,072 characters, is one for the whole process."""
    bound = csv.field_size_limit((1 << 31) - 1)
    try:
        yield
    finally:
        csv.field_size_limit(bound)
