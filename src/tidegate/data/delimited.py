"""Rows of CSV and TSV texts: what parts their fields, what a quote means, and which lines one seems to have swallowed.

Knows no columns. Lines are counted from 1.
"""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
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

    Raises:
        DataError: a quote is never closed, or closed after lines that are rows; the line is named. Or several
            delimiters would do.
        OptionError: the delimiter is none.
    """
    first = text.partition("\n")[0].strip().strip('"')
    told = first[4:] if first.startswith("sep=") and len(first) == 5 else None  # as Excel tells what it wrote
    chosen = _named(delimiter) if delimiter else told or find_delimiter(text, path)
    rows = _quoted(text, chosen, path)
    return islice(rows, 1, None) if told else rows


def tsv_rows(text: str) -> Iterator[Row]:
    """Give the rows of a TSV text that are not blank. It has no quoting, so that quotes are letters like all others.

    Only where each quoted field is whole on its own line, and it shows that it was quoted, are they taken off: since
    the header or all of a column is quoted, or quotes are doubled or tabs stand between them.
    """
    lines = [(number, line) for number, line in enumerate(split_lines(text), 1) if line]
    plain = ((number, line.split("\t")) for number, line in lines)
    return iter(unquoted) if '"' in text and (unquoted := _unquoted(lines)) else plain


def find_delimiter(text: str, path: Path) -> str:
    r"""Find what parts the fields of the header, and if several may, of the rows as well: `, ; |` or a tab.

    >>> find_delimiter("ds;load, kW\n2024;1,5\n2025;1\n", Path("load.csv"))
    ';'
    """
    header = next(filter(str.strip, io.StringIO(text, newline="")), "").rstrip("\r\n")
    found = [sign for sign in DELIMITERS.values() if sign in header]
    if len(found) > 1:
        even = {sign: width for sign in found if (width := _even_width(text, sign)) > 1}
        found = [sign for sign, width in even.items() if width == max(even.values())] or found[:1]
    if len(found) > 1:
        names = [name for name, sign in DELIMITERS.items() if sign in found]
        raise DataError(
            f"{path} may have its fields between {' or '.join(map(repr, found))}: {header!r:.60}. Say which: ",
            Argument("delimiter", names[0]), " or ", Argument("delimiter", names[1]), ".",
        )  # fmt: skip
    return found[0] if found else ","


def _named(delimiter: str) -> str:
    sign = DELIMITERS.get(delimiter, delimiter)
    if len(sign) != 1 or sign in '"\r\n':
        raise OptionError.unknown("delimiter", delimiter, DELIMITERS)
    return sign


def _even_width(text: str, delimiter: str) -> int:
    """Count the fields that every one of the first rows has; 0 where they differ."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    with _long_fields():
        widths = {len(row) for row in islice(filter(None, rows), _SAMPLE)}
    return widths.pop() if len(widths) == 1 else 0


def _quoted(text: str, delimiter: str, path: Path) -> Iterator[Row]:
    taken: list[str] = []  # the lines of the row that is being read

    def lines() -> Iterator[str]:
        for line in io.StringIO(text, newline=""):
            taken.append(line)
            yield line

    reader, width, count = csv.reader(lines(), delimiter=delimiter, strict=True), 0, 0
    with _long_fields():
        try:
            for row in reader:
                if row:
                    width = width or len(row)
                    if len(taken) > 2:
                        _check_swallowed(taken, f"{path}, row {count}", reader.line_num, delimiter, width)
                    yield reader.line_num, row
                    count += 1
                taken.clear()
        except csv.Error as error:
            opened = reader.line_num - len(taken) + 1
            if "end of data" in str(error):
                raise DataError(f"{path}, line {opened}: a quote that opens there is never closed.") from error
            since = f", in a row that begins on line {opened}" if len(taken) > 1 else ""
            raise DataError(f"{path}, line {reader.line_num}{since}: {error}. Check the quotes there.") from error


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


def _unquoted(lines: list[tuple[int, str]]) -> list[Row] | None:
    """Take the quotes off the fields of a TSV that shows that it was written with quoting; None where it does not."""
    rows: list[Row] = []
    shown, bare, quoted = '"' in lines[0][1], set[int](), set[int]()  # and the columns that have such fields
    for number, line in lines:
        if not _WHOLE_FIELDS.fullmatch(line):
            return None
        fields = _FIELD.findall(line)
        if '"' in line:
            shown = shown or any('"' in field[1:-1] or "\t" in field for field in fields)
            quoted |= {column for column, field in enumerate(fields) if field[:1] == '"'}
        if rows:
            bare |= {column for column, field in enumerate(fields) if field[:1] not in ("", '"')}
        rows.append((number, [field[1:-1].replace('""', '"') if field[:1] == '"' else field for field in fields]))
    return rows if shown or quoted - bare else None


@contextmanager
def _long_fields() -> Iterator[None]:
    """Let fields be of any length; the module's own bound, 131,072 characters, is one for the whole process."""
    bound = csv.field_size_limit((1 << 31) - 1)
    try:
        yield
    finally:
        csv.field_size_limit(bound)
