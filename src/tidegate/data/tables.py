"""Read chosen columns of a CSV, TSV, JSONL or Parquet file. Knows formats, not what is read with them.

Rows are counted from 1; the header of a CSV or TSV file is not a row.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from tidegate.data.delimited import Row, csv_rows, tsv_rows
from tidegate.data.packed import most_bytes
from tidegate.data.plain_text import BYTE_ORDER_MARK, codec_name, decode, split_lines
from tidegate.errors import Argument, DataError, InputError, MissingPackageError, OptionError

_TSV_ADVICE = "TSV knows no quotes: neither tabs nor line ends can stand within a field. Write it as CSV or JSONL."
TEXT_NAMES = ("text", "review", "sentence", "document", "content", "comment", "message", "body", "tweet")
_LABEL_NAMES = ("label", "class", "category", "sentiment", "target", "polarity", "rating", "stars")


class UnclearColumnsError(DataError):
    """Refuse a table whose columns do not say which is the text, and which the label."""


@dataclass(frozen=True)
class Columns:
    """Say which columns to read; None stands for whichever has a usual name."""

    text: str | None = None
    label: str | None = None

    def pick(self, found: Sequence[str], path: Path) -> tuple[str, str]:
        """Choose the text and the label column among those found.

        Columns with a usual name, such as `text` and `label`, are chosen by it; of two columns, the one that is left
        over is the other.

        Raises:
            DataError: that does not decide, or a name that was asked for is missing; the columns are listed.
            InputError: text and label are one column.

        >>> Columns().pick(["id", "Review", "Sentiment"], Path("films.csv"))
        ('Review', 'Sentiment')
        """
        for name in (self.text, self.label):
            if name is not None and name not in found:
                raise DataError(f"{path} has no column {name!r}. {listing(found)}")
        text = self.text or usual(TEXT_NAMES, found, self.label)
        label = self.label or usual(_LABEL_NAMES, found, text)
        if len(found) == 2:
            text = text or next((name for name in found if label and name != label), None)
            label = label or next((name for name in found if text and name != text), None)
        if text is None or label is None:
            missing = "text" if text is None else "label"
            raise UnclearColumnsError(
                f"{path} has no column that is clearly the {missing}. {listing(found)} Name it: ", Argument(missing)
            )
        if text == label:
            raise InputError(f"text and label are both {text!r}; they must be two columns. {listing(found)}")
        if twice := [name for name in (text, label) if found.count(name) > 1]:
            raise DataError(f"{path} has {found.count(twice[0])} columns named {twice[0]!r}. Rename all but one.")
        return text, label


_ROW_BYTES = 8  # of the list that a row stands in

Pick = Callable[[Sequence[str], Path], Sequence[str]]
"""Chooses columns among the names that a file has."""


FORM = ("encoding", "delimiter")
"""How a file is written can be said by these arguments of every loader of tables."""


@dataclass(frozen=True)
class Form:
    """Say how a file is written, where it does not show that by itself.

    encoding: of its text, UTF-8 by default.
    delimiter: what parts the fields of a CSV or TSV file: a character, or `comma`, `semicolon`, `tab` or `pipe`.
    most: rows to read at most.
    """

    encoding: str | None = None
    delimiter: str | None = None
    most: int | None = None


@dataclass
class Table:
    """Gather columns of a file as they were found, with the words that name each row."""

    path: Path
    names: tuple[str, ...]
    columns: list[list[object]]
    lines: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.columns[0])

    def where(self, index: int) -> str:
        """Name a row: file, row from 1, and the line where a format has lines."""
        return f"{self.path}, row {index + 1}" + (f" (line {self.lines[index]})" if self.lines else "")

    def add(self, row: Iterable[object], line: int) -> None:
        """Append a row that ends on `line`."""
        for column, value in zip(self.columns, row, strict=True):
            column.append(value)
        self.lines.append(line)

    @classmethod
    def of(cls, path: Path, names: Sequence[str]) -> Table:
        """Begin an empty table."""
        return cls(path, tuple(names), [[] for _ in names])


def read_table(path: Path, pick: Pick, form: Form | None = None) -> Table:
    """Read the columns that `pick` chooses of a file whose suffix says what it is.

    Raises:
        OptionError: the suffix is not known, or the encoding or the delimiter is none.
        DataError: the file is empty, in another encoding (row and byte are named) or does not keep to its format (the
            row is).
        InputError: a delimiter is named of a file that has none.
        MissingPackageError: a Parquet file came, and pyarrow is not installed.
    """
    suffix, form = path.suffix.lower(), form or Form()
    if suffix not in READERS:
        raise OptionError(f"{path}: {OptionError.unknown('kind of file', suffix, READERS)}")
    if form.delimiter is not None and suffix not in (".csv", ".tsv"):
        raise InputError(f"{path} is a {suffix} file, whose fields have no delimiter. Leave delimiter out.")
    try:
        table = READERS[suffix](path, pick, form)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not len(table):
        raise DataError(f"{path} is empty: it has no rows.")
    return table


def _read_csv(path: Path, pick: Pick, form: Form) -> Table:
    text = _decode(path, form.encoding, header=True)
    return _from_rows(csv_rows(text, path, form.delimiter), pick, path, form.most)


def _read_tsv(path: Path, pick: Pick, form: Form) -> Table:
    if form.delimiter not in (None, "tab", "\t"):
        return _read_csv(path, pick, form)
    return _from_rows(tsv_rows(_decode(path, form.encoding, header=True)), pick, path, form.most)


def _from_rows(rows: Iterator[Row], pick: Pick, path: Path, most: int | None) -> Table:
    _, header = next(rows, (0, None))
    if header is None:
        raise DataError(f"{path} is empty.")
    table = Table.of(path, pick(header, path))
    places = [header.index(name) for name in table.names]
    for line, row in islice(rows, most):
        if len(row) != len(header):
            raise DataError(
                f"{path}, row {len(table) + 1} (line {line}) has {len(row)} fields, the header {len(header)}. "
                + (_TSV_ADVICE if path.suffix.lower() == ".tsv" else "Quote fields that contain the delimiter.")
            )
        table.add((row[place] for place in places), line)
    return table


def _read_jsonl(path: Path, pick: Pick, form: Form) -> Table:
    table: Table | None = None
    content = _decode(path, form.encoding, header=False)
    for line, row in enumerate(split_lines(content), 1):
        if row.isspace() or not row:
            continue
        if table is not None and len(table) == form.most:
            break
        where = f"{path}, row {1 if table is None else len(table) + 1} (line {line})"
        try:
            found = json.loads(row)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where} is not JSON: {error}.") from error
        if not isinstance(found, dict):
            raise DataError(f"{where} is no JSON object but a {type(found).__name__}.")
        if table is None:
            table = Table.of(path, pick(list(found), path))
        if absent := [name for name in table.names if name not in found]:
            raise DataError(f"{where} has no field {absent[0]!r}. {listing(list(found))}")
        table.add((found[name] for name in table.names), line)
    return Table.of(path, [""]) if table is None else table


def _read_parquet(path: Path, pick: Pick, form: Form) -> Table:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise MissingPackageError.of("pyarrow", "data", "reading Parquet") from error
    try:
        with parquet.ParquetFile(path) as file:
            names = pick(file.schema_arrow.names, path)
            columns = _read_columns(file, names, path, form.most)
    except (ArrowException, UnicodeDecodeError) as error:
        raise DataError(f"{path} is damaged or no Parquet file: {error}.") from error
    return Table(path, tuple(names), columns)


def _read_columns(file: Any, names: Sequence[str], path: Path, most: int | None) -> list[list[object]]:
    """Read columns piece by piece, and stop where they grow out of all proportion to the file."""
    bound = most_bytes(path)
    columns: list[list[object]] = [[] for _ in names]
    size = 0
    for batch in file.iter_batches(columns=list(dict.fromkeys(names))):
        size += batch.nbytes + batch.num_rows * _ROW_BYTES * len(names)
        if size > bound:
            raise DataError(
                f"{path} has {path.stat().st_size:,} bytes and unpacks to more than {bound:,}. Where that is as it "
                "should be, set TIDEGATE_MAX_BYTES to as many as may be read."
            )
        for column, name in zip(columns, names, strict=True):
            column.extend(batch.column(name).to_pylist())
        if most is not None and len(columns[0]) >= most:
            break
    return [column[:most] for column in columns]


READERS: dict[str, Callable[[Path, Pick, Form], Table]] = {
    ".csv": _read_csv,
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".parquet": _read_parquet,
    ".tsv": _read_tsv,
}


def _decode(path: Path, encoding: str | None, *, header: bool) -> str:
    """Decode a whole file; where that fails, name the row by reading what stands before the bad byte."""
    content = path.read_bytes()
    if not content.strip():
        raise DataError(f"{path} is empty.")
    known = codec_name(encoding)
    try:
        text = content.decode(known)
    except UnicodeDecodeError as error:
        before = content[: error.start].decode(known, errors="ignore") + "?"
        return decode(content, _row_of(before, path, header=header), encoding)
    if (at := text.find("\0")) >= 0:
        where = _row_of(text[: at + 1], path, header=header)
        raise DataError(
            f"{where} holds a zero byte, which no text does: it is a binary file, or of another encoding, such as ",
            Argument("encoding", "utf-16-le"), ".",
        )  # fmt: skip
    return text.removeprefix(BYTE_ORDER_MARK)


def _row_of(before: str, path: Path, *, header: bool) -> str:
    """Name the row at whose place a text breaks off."""
    rows = sum(1 for row in csv.reader(io.StringIO(before, newline="")) if row) if header else _lines(before)
    return f"{path}, row {rows - header}" if rows > header else f"{path}, header"


def _lines(text: str) -> int:
    return sum(1 for line in split_lines(text) if line.strip())


def usual(names: Sequence[str], found: Sequence[str], taken: str | None = None) -> str | None:
    """Find the first of the usual names among those found, upper or lower case, but for the one that is taken."""
    lowered = {name.strip().lower(): name for name in reversed(found) if name != taken}
    return next((lowered[name] for name in names if name in lowered), None)


def listing(found: Sequence[str]) -> str:
    """Name the columns that were found, for a message."""
    return f"Its columns are: {', '.join(map(repr, found))}."
