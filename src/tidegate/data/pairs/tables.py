"""Pairs in columns of a table: CSV and TSV with a header or without, JSONL and Parquet, whose formats others know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tidegate.data.delimited import Row, csv_rows, tsv_rows
from tidegate.data.pairs.sides import Sides, clean_sides
from tidegate.data.plain_text import read_text
from tidegate.data.tables import Form, listing, read_table, usual
from tidegate.errors import Argument, DataError, InputError

SOURCE_NAMES = ("source", "src", "from", "input")
TARGET_NAMES = ("target", "tgt", "to", "output", "translation")
DELIMITED = (".csv", ".tsv", ".txt")
TABLES = (*DELIMITED, ".jsonl", ".ndjson", ".parquet")

_NESTED = "translation"  # an object with a text for each language, as Hugging Face's data sets have it


@dataclass(frozen=True)
class Columns:
    """Say which columns to read, by their names or, in CSV and TSV, their numbers from 1; None for what is usual.

    header: whether the first row of CSV or TSV names the columns; None where its names show.
    """

    source: str | None = None
    target: str | None = None
    header: bool | None = None
    form: Form = field(default_factory=Form)

    def pick(self, found: Sequence[str], path: Path) -> tuple[str, str]:
        """Choose source and target among the names of columns; of two columns, the first is the source.

        Raises DataError where that does not decide, or a column is not there; the columns are listed.

        >>> Columns().pick(["id", "src", "tgt"], Path("a.csv")), Columns().pick(["de", "en"], Path("a.csv"))
        (('src', 'tgt'), ('de', 'en'))
        """
        for name in (self.source, self.target):
            if name is not None and name not in found:
                raise DataError(f"{path} has no column {name!r}. {listing(found)}")
        source = self.source or usual(SOURCE_NAMES, found, self.target)
        target = self.target or usual(TARGET_NAMES, found, source)
        if len(found) == 2:
            source = source or next(name for name in found if name != target)
            target = target or next((name for name in found if name != source), None)
        if source is None or target is None:
            raise DataError(
                f"{path} has no two columns that are clearly source and target. {listing(found)} Name them: ",
                Argument("from", found[0]), " and ", Argument("to", found[-1]), ".",
            )  # fmt: skip
        if source == target:
            raise InputError(f"from and to are both {source!r}; they must be two columns. {listing(found)}")
        return source, target


def read_columns(path: Path, columns: Columns) -> Sides:
    """Read the pairs of a table. Raises DataError, naming the row, and as `Columns.pick` does."""
    if path.suffix.lower() in DELIMITED:
        return _read_delimited(path, columns)
    if columns.header is not None:
        raise InputError(f"{path} is a {path.suffix.lower()} file, which has no header. Leave header out.")
    return _read_named(path, columns)


def _read_delimited(path: Path, columns: Columns) -> Sides:
    text = read_text(path, columns.form.encoding)
    tabs = path.suffix.lower() != ".csv" and columns.form.delimiter in (None, "tab", "\t")
    rows = list(tsv_rows(text) if tabs else csv_rows(text, path, columns.form.delimiter))
    if not rows:
        raise DataError(f"{path} is empty.")
    header = _names(rows[0][1], columns)
    names = [str(number) for number in range(1, len(rows[0][1]) + 1)] if header is None else header
    if len(names) < 2:
        raise DataError(f"{path} has one column, and a pair has two sides." + (" It holds no tab." if tabs else ""))
    taken = columns.pick(names, path)
    places = [names.index(name) for name in taken]
    body = rows if header is None else rows[1:]
    if not body:
        raise DataError(f"{path} is empty: it has no rows.")
    _check_widths(body, len(names), path)
    return _clean(
        [[row[place] for _, row in body] for place in places], taken, lambda at: f"{path}, line {body[at][0]}", path
    )


def _names(first: list[str], columns: Columns) -> list[str] | None:
    """Read the names of the columns off the first row; None where it is a row like all others."""
    named = [name for name in (columns.source, columns.target) if name is not None]
    if columns.header is None:
        by_number = all(name.isdecimal() for name in named)
        usually = usual(SOURCE_NAMES, first) is not None and usual(TARGET_NAMES, first) is not None
        return first if (usually if by_number else True) else None
    return first if columns.header else None


def _check_widths(rows: list[Row], width: int, path: Path) -> None:
    for line, row in rows:
        if len(row) != width:
            raise DataError(
                f"{path}, line {line} has {len(row)} columns, the first line {width}. A tab within a text parts it: "
                "write such texts as CSV with quotes, or as JSONL."
            )


def _read_named(path: Path, columns: Columns) -> Sides:
    """Read columns that every row names, or the languages of the column `translation`."""
    nested: list[tuple[str, str]] = []

    def pick(found: Sequence[str], path: Path) -> Sequence[str]:
        named = [columns.source, columns.target]
        if _NESTED in found and None not in named and not set(named) & set(found):
            nested.append((str(columns.source), str(columns.target)))
            return [_NESTED]
        return columns.pick(found, path)

    table = read_table(path, pick, columns.form)
    if not nested:
        source, target = table.names
        return _clean(table.columns, (source, target), table.where, path)
    sides = [[_inside(cell, name, table.where(at)) for at, cell in enumerate(table.columns[0])] for name in nested[0]]
    return _clean(sides, nested[0], table.where, path)


def _inside(cell: object, language: str, where: str) -> object:
    if not isinstance(cell, dict) or language not in cell:
        raise DataError(f"{where} has no text in {language!r} in its field {_NESTED!r}.")
    return cell[language]


def _clean(sides: Sequence[Sequence[Any]], taken: tuple[str, str], where: Any, path: Path) -> Sides:
    for name, texts in zip(taken, sides, strict=True):
        for index, text in enumerate(texts):
            if not isinstance(text, str):
                told = "nothing" if text is None else f"{type(text).__name__} {text!r:.40}"
                raise DataError(f"{where(index)} has {told} in {name!r}, where a text is wanted.")
    clean = partial(clean_sides, where=where)
    cleaned = [clean(list(texts), name=f"{path} ({name})") for name, texts in zip(taken, sides, strict=True)]
    return Sides(cleaned[0], cleaned[1], dict(zip(("from", "to"), taken, strict=True)))
