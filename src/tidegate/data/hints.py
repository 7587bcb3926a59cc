"""Says what else a file or folder may hold, where it is not what was asked for. Looks at the first rows alone."""

from __future__ import annotations

from pathlib import Path

from tidegate.data.numbers import read_numbers
from tidegate.data.tables import Form, read_table
from tidegate.data.time_columns import looks_like_times
from tidegate.data.transcribed.images import PICTURES
from tidegate.errors import Argument, DataError

_ROWS = 20  # that are looked at
_TAGGED = (".conllu", ".conll", ".bio", ".iob", ".tsv", ".txt", "")
_LINES = 200

Hint = tuple[str | Argument, ...]
"""Pieces of a message."""


def other_kind(path: Path, form: Form) -> Hint:
    """Say that a table holds series, recordings, or texts without labels, where its first rows look like that."""
    try:
        table = read_table(
            path, lambda found, _: list(dict.fromkeys(found)), Form(form.encoding, form.delimiter, _ROWS)
        )
    except DataError:
        return ()
    timed = [name for name, column in zip(table.names, table.columns, strict=True) if looks_like_times(column)]
    counted = [name for name, column in zip(table.names, table.columns, strict=True) if _are_numbers(name, column)]
    if timed and counted:
        return _hint("; these look like times and numbers: to forecast them, pass ", "series")
    if len(counted) > 1 and len(counted) >= len(table.names) - 2:
        return _hint("; these are mostly numbers: to classify sequences of rows, pass ", "sequence")
    if len(table.names) == 1:
        return _hint("; to learn a language from texts without labels, pass ", "corpus")
    return ()


def other_folder(folder: Path) -> Hint:
    """Say that a folder holds files of tagged words, or texts without labels, where it looks like that."""
    files = sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    if any(file.suffix.lower() in _TAGGED and _has_columns(file) for file in files):
        return _hint(" Its files have a word and its tag on each line: to learn to tag, pass ", "tagged")
    if any(file.suffix.lower() == ".txt" for file in files):
        return _hint(" To learn a language from texts without labels, pass ", "corpus")
    return ()


def of_pictures(folder: Path) -> Hint:
    """Say that a folder holds pictures, where it does."""
    if any(file.suffix.lower() in PICTURES for file in folder.iterdir()):
        return _hint(" It holds pictures: to classify images, pass ", "sequence")
    return ()


def _hint(said: str, kind: str) -> Hint:
    return said, Argument("kind", kind), "."


def _are_numbers(name: str, column: list[object]) -> bool:
    try:
        read_numbers({name: column}, where=str)
    except DataError:
        return False
    return True


def _has_columns(file: Path) -> bool:
    """Say whether the first lines, those that are empty or comments apart, hold two to ten columns, all as many."""
    with file.open("rb") as content:
        lines = [content.readline(4096).split() for _ in range(_LINES)]
    widths = [len(line) for line in lines if line and not line[0].startswith(b"#")]
    return len(widths) > 2 and len(set(widths)) == 1 and 2 <= widths[0] <= 10
