"""Tables row by row: batches of their rows, and the same rows written again with more columns beside the old ones.

Knows formats, not what is asked of a row. Holds one batch at a time. What stands in a row is written again as it was
read, letter for letter; only the new columns are spelled here. Rows are counted from 1, without the header.
"""

from __future__ import annotations

import csv
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from tidegate.data.delimited import choose_delimiter, quoted_rows, told_delimiter, tsv_fields, tsv_is_quoted
from tidegate.data.text_lines import TextLines, split_end
from tidegate.errors import Argument, DataError, InputError, MissingPackageError, OptionError

_ROWS, _LETTERS = 2**10, 2**18  # of a batch, at most, unless one row has more letters
_GROUP = 2**14  # rows of Parquet that are written together

Columns = Sequence[Sequence[object]]
"""New columns of a batch: for each its values, one for each row that is answered."""


@dataclass(frozen=True)
class Batch:
    """Hold some rows as their format has them, and the cells of those that are answered: a list for each column.

    first: the number of the first of those rows.
    share: of the file that has been read, from 0 to 1.
    """

    rows: Any
    cells: list[list[object]]
    first: int
    share: float

    def __len__(self) -> int:
        """Count the rows that are answered."""
        return len(self.cells[0])


class Rows(Protocol):
    """A table that is read and written again in one go."""

    path: Path
    names: list[str]

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """Give the rows, with cells of at least one column; raises DataError, naming a row that is out of form."""

    def begin(self, names: Sequence[str]) -> bytes:
        """Begin the table anew, with more columns."""

    def write(self, batch: Batch, columns: Columns) -> bytes:
        """Write a batch again, and the values of the new columns beside it."""

    def end(self) -> bytes:
        """End the table."""

    def close(self) -> None:
        """Close the file."""


def open_rows(path: Path, *, encoding: str | None = None, delimiter: str | None = None) -> Rows:
    """Open a .csv, .tsv, .jsonl, .ndjson or .parquet file.

    Args:
        path: the file.
        encoding: of its text, UTF-8 by default; it is written in the same.
        delimiter: between the fields of a .csv or .tsv file, a character or its name; by default what it shows.

    Raises:
        OptionError: another suffix, or no such encoding or delimiter.
        InputError: a delimiter is named of a file that has none.
        DataError: the file is empty, or cannot be read as what its suffix says.
        MissingPackageError: a Parquet file came, and pyarrow is not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in KINDS:
        raise OptionError(f"{path}: {OptionError.unknown('kind of file', suffix, KINDS)}")
    if delimiter is not None and suffix not in (".csv", ".tsv"):
        raise InputError(f"{path} is a {suffix} file, whose fields have no delimiter. Leave delimiter out.")
    if suffix == ".parquet":
        return KINDS[suffix](path)
    lines = TextLines(path, encoding)
    try:
        plain = delimiter in (None, "tab", "\t") if suffix == ".tsv" else suffix != ".csv"
        return KINDS[suffix](lines) if plain else _CsvRows(lines, delimiter)
    except BaseException:
        lines.close()
        raise


_Row = tuple[str, Sequence[object] | None]
"""A row as it stands, and its cells that were asked for; None where it is not answered."""


class _LineRows:
    """What formats share whose rows are lines."""

    def __init__(self, lines: TextLines) -> None:
        self.path, self._lines = lines.path, lines
        self.names: list[str] = []
        self._end = split_end(lines.peek())[1] or "\n"

    def close(self) -> None:
        self._lines.close()

    def end(self) -> bytes:
        return b""

    def _gather(self, rows: Iterator[_Row], width: int) -> Iterator[Batch]:
        """Put rows into batches."""
        gathered, cells, first, letters = list[tuple[str, bool]](), list[Sequence[object]](), 1, 0
        for row, found in rows:
            gathered.append((row, found is not None))
            letters += len(row)
            if found is not None:
                cells.append(found)
            if len(gathered) >= _ROWS or letters >= _LETTERS:
                yield Batch(gathered, _by_column(cells, width), first, self._lines.share)
                first += len(cells)
                gathered, cells, letters = [], [], 0
        if gathered:
            yield Batch(gathered, _by_column(cells, width), first, 1.0)

    def _written(self, batch: Batch, columns: Columns, join: Callable[[str, Sequence[object]], str]) -> bytes:
        new, out = zip(*columns, strict=True), list[str]()
        for row, answered in batch.rows:
            body, end = split_end(row)
            out.append(join(body, next(new)) + (end or self._end) if answered else row)
        return self._lines.encode("".join(out))


class _DelimitedRows(_LineRows, ABC):
    """Rows whose fields stand between delimiters, below a header."""

    def __init__(self, lines: TextLines, delimiter: str) -> None:
        super().__init__(lines)
        self._delimiter, self._before, self._records = delimiter, "", self._read()
        for raw, names in self._records:
            if names:
                self._header, self.names = raw, names
                return
            self._before += raw
        raise DataError(f"{self.path} is empty.")

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        return self._gather(self._rows(list(map(self.names.index, columns))), len(columns))

    def begin(self, names: Sequence[str]) -> bytes:
        body, end = split_end(self._header)
        return self._lines.encode(self._before + self._join(body, names) + (end or self._end))

    def write(self, batch: Batch, columns: Columns) -> bytes:
        return self._written(batch, columns, self._join)

    def _rows(self, places: Sequence[int]) -> Iterator[_Row]:
        """Give every row; in a table of one column a blank line is an empty cell, unless nothing comes after it."""
        width, blank, count = len(self.names), list[str](), 0
        for raw, fields in self._records:
            if not fields and width == 1:
                blank.append(raw)
                continue
            yield from ((row, [""]) for row in blank)
            count += len(blank) + bool(fields)
            blank.clear()
            if fields and len(fields) != width:
                raise DataError(
                    f"{self.path}, row {count} (line {self._lines.number}) has {len(fields)} fields, the header "
                    f"{width}. {self._advice}"
                )
            yield raw, [fields[place] for place in places] if fields else None
        yield from ((row, None) for row in blank)

    def _join(self, body: str, cells: Sequence[object]) -> str:
        return self._delimiter.join([body, *map(self._spell, map(_plain, cells))])

    _advice = ""

    @abstractmethod
    def _spell(self, cell: str) -> str:
        """Spell a new cell as a field."""

    @abstractmethod
    def _read(self) -> Iterator[tuple[str, list[str]]]:
        """Give each row as it stands, and its fields; none of a blank line."""

    def _text(self) -> Iterator[str]:
        """Give the lines; raises DataError for a zero byte."""
        for line in self._lines:
            if "\0" in line:
                raise DataError(
                    f"{self.path}, line {self._lines.number} holds a zero byte, which no text does: it is a binary "
                    "file, or of another encoding, such as ", Argument("encoding", "utf-16-le"), ".",
                )  # fmt: skip
            yield line


class _TsvRows(_DelimitedRows):
    """Rows of fields between tabs, where quotes are letters unless the file shows that it was written with quoting."""

    _advice = "TSV has no quotes: write fields with tabs as CSV or JSONL."

    def __init__(self, lines: TextLines) -> None:
        bodies = (split_end(line)[0] for line in lines.again())
        self._quoted = tsv_is_quoted(filter(None, bodies))
        super().__init__(lines, "\t")

    def _spell(self, cell: str) -> str:
        if any(sign in cell for sign in "\t\r\n"):
            raise DataError(f"a TSV file cannot hold the answer {cell!r:.60}. Save {self.path} as CSV or JSONL.")
        return '"' + cell.replace('"', '""') + '"' if self._quoted and '"' in cell else cell

    def _read(self) -> Iterator[tuple[str, list[str]]]:
        for line in self._text():
            body, _ = split_end(line)
            yield line, tsv_fields(body, quoted=self._quoted) if body else []


class _CsvRows(_DelimitedRows):
    """Rows of fields that may be quoted, and then hold delimiters and line ends."""

    _advice = "Quote fields that contain the delimiter."

    def __init__(self, lines: TextLines, delimiter: str | None = None) -> None:
        told = next(iter(lines)) if told_delimiter(lines.peek()) else ""
        super().__init__(lines, choose_delimiter(lines.again(), lines.path, delimiter))
        self._before = told + self._before

    def _spell(self, cell: str) -> str:
        special = any(sign in cell for sign in (self._delimiter, '"', "\r", "\n"))
        return '"' + cell.replace('"', '""') + '"' if special else cell

    def _read(self) -> Iterator[tuple[str, list[str]]]:
        for _, fields, raw in quoted_rows(self._text(), self._delimiter, self.path, before=self._lines.number):
            yield raw, fields


class _JsonRows(_LineRows):
    """Rows that are JSON objects, one on each line."""

    def __init__(self, lines: TextLines) -> None:
        super().__init__(lines)
        self._objects, self._new = self._read(), list[str]()
        self._before: list[tuple[str, dict[str, object]]] = []
        for raw, found in self._objects:
            self._before.append((raw, found))
            if found:
                self.names = list(found)
                return
        raise DataError(f"{self.path} is empty.")

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        return self._gather(self._rows(columns), len(columns))

    def begin(self, names: Sequence[str]) -> bytes:
        self._new = list(names)
        return b""

    def write(self, batch: Batch, columns: Columns) -> bytes:
        return self._written(batch, columns, self._join)

    def _join(self, body: str, cells: Sequence[object]) -> str:
        added = json.dumps(dict(zip(self._new, cells, strict=True)), ensure_ascii=False)
        return f"{body.rstrip()[:-1].rstrip()}, {added[1:]}"

    def _rows(self, columns: Sequence[str]) -> Iterator[_Row]:
        count = 0
        for raw, found in chain(self._before, self._objects):
            count += bool(found)
            if absent := [column for column in columns if found and column not in found]:
                raise DataError(f"{self.path}, row {count} (line {self._lines.number}) has no field {absent[0]!r}.")
            if taken := [name for name in self._new if name in found]:
                raise DataError(f"{self.path}, row {count} has a field {taken[0]!r} already. Rename it.")
            yield raw, [found[column] for column in columns] if found else None

    def _read(self) -> Iterator[tuple[str, dict[str, object]]]:
        """Give each line as it stands, and its object; an empty one of a blank line."""
        for line in self._lines:
            if not line.strip():
                yield line, {}
                continue
            where = f"{self.path}, line {self._lines.number}"
            try:
                found = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DataError(f"{where} is not JSON: {error}.") from error
            if not isinstance(found, dict) or not found:
                raise DataError(f"{where} is no JSON object with fields.")
            yield line, found


class _ParquetRows:
    """Rows of a Parquet file, read and written a batch at a time."""

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError as error:
            raise MissingPackageError.of("pyarrow", "data", "reading Parquet") from error
        self.path, self._arrow, self._parquet = path, pyarrow, parquet
        try:
            self._file = parquet.ParquetFile(path)
        except (pyarrow.ArrowException, OSError) as error:
            raise DataError(f"{path} is damaged or no Parquet file: {error}.") from error
        self.names: list[str] = self._file.schema_arrow.names
        self._sink = _Sink()
        self._writer: Any = None
        self._held: list[Any] = []

    def close(self) -> None:
        self._file.close()

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        read, size = 0, max(self._file.metadata.num_rows, 1)
        try:
            for rows in self._file.iter_batches(batch_size=_ROWS):
                read += rows.num_rows
                cells = [rows.column(column).to_pylist() for column in columns]
                yield Batch(rows, cells, read - rows.num_rows + 1, read / size)
        except (self._arrow.ArrowException, UnicodeDecodeError, OSError) as error:
            raise DataError(f"{self.path}, after row {read}, is damaged: {error}.") from error

    def begin(self, names: Sequence[str]) -> bytes:
        self._new = names
        return b""

    def write(self, batch: Batch, columns: Columns) -> bytes:
        rows = self._arrow.Table.from_batches([batch.rows])
        for name, values in zip(self._new, columns, strict=True):
            plain = [_plain(value) if isinstance(value, list) else value for value in values]
            rows = rows.append_column(name, self._arrow.array(plain))
        self._held.append(rows)
        return self._flushed() if sum(map(len, self._held)) >= _GROUP else b""

    def end(self) -> bytes:
        if self._writer is None and not self._held:
            empty = self._arrow.RecordBatch.from_pylist([], schema=self._file.schema_arrow)
            self.write(Batch(empty, [[]], 1, 1.0), [[] for _ in self._new])
        written = self._flushed() if self._held else b""
        self._writer.close()
        return written + self._sink.taken()

    def _flushed(self) -> bytes:
        """Write what is held as one group of rows."""
        rows = self._arrow.concat_tables(self._held)
        self._held.clear()
        if self._writer is None:
            self._writer = self._parquet.ParquetWriter(self._sink, rows.schema)
        self._writer.write_table(rows)
        return self._sink.taken()


class _Sink(io.RawIOBase):
    """Hold what was written until it is taken."""

    def __init__(self) -> None:
        self._pieces, self._size = list[bytes](), 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._size += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._size

    def taken(self) -> bytes:
        """Give what was written since this was last asked for."""
        out = b"".join(self._pieces)
        self._pieces.clear()
        return out


def spell_table(table: Sequence[Mapping[str, object]], suffix: str) -> bytes:
    r"""Write a small table, of which every row has the keys of the first, in the format that a suffix names.

    >>> spell_table([{"ds": "2026-01-01", "y": 1.5}], ".csv")
    b'ds,y\n2026-01-01,1.5\n'
    """
    names = list(table[0]) if table else []
    if suffix == ".parquet":
        return _spell_parquet(table)
    if suffix in (".jsonl", ".ndjson"):
        return "".join(json.dumps(dict(row), ensure_ascii=False) + "\n" for row in table).encode()
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter="\t" if suffix == ".tsv" else ",", lineterminator="\n")
    writer.writerows([names, *([_plain(row[name]) for name in names] for row in table)])
    return out.getvalue().encode()


def _spell_parquet(table: Sequence[Mapping[str, object]]) -> bytes:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingPackageError.of("pyarrow", "data", "writing Parquet") from error
    out = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(list(map(dict, table))), out)
    return out.getvalue()


KINDS: dict[str, Callable[..., Rows]] = {
    ".csv": _CsvRows,
    ".jsonl": _JsonRows,
    ".ndjson": _JsonRows,
    ".parquet": _ParquetRows,
    ".tsv": _TsvRows,
}


def _by_column(rows: Sequence[Sequence[object]], width: int) -> list[list[object]]:
    return [[row[place] for row in rows] for place in range(width)]


def _plain(cell: object) -> str:
    """Spell a cell of a text format."""
    if cell is None:
        return ""
    return json.dumps(cell, ensure_ascii=False) if isinstance(cell, list | dict) else str(cell)
