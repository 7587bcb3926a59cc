"""Column files as they are about: a word and what is said of it per line, empty lines between sentences.

Knows the layouts of the shared tasks, of which every file tells by itself which it has; knows no schemes of tags.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tidegate.data.plain_text import split_lines
from tidegate.errors import DataError, InputError

Word = tuple[int, str, str]
"""The line of a word, the word, and its tag."""

_BORDER = "-DOCSTART-"  # between documents, of CoNLL-2002 and -2003
_IS_BORDER = re.compile(rf"{_BORDER}(?:[ \t]|$)")
_DOCUMENT = re.compile("#(begin|end) document")  # of OntoNotes, as CoNLL-2012 has it
_ONTONOTES = 3, 10, 12  # the columns of its words and of its names, from 0, and the fewest that it has
_ABOUT = re.compile(r"#[ \t]*[\w:.-]+[ \t]*=[ \t]")  # as `# text = ...` of CoNLL-U
_WHITE = re.compile("[ \t]+")
_UNUSUAL = re.compile(r"[^\S \t]")  # white space that is neither blank nor tab
_SPAN = re.compile("[BIOESMLUW]-(.+)")


@dataclass
class Row:
    """Hold a line that is not blank: its number, the line, and its columns."""

    line: int
    text: str
    fields: list[str]


@dataclass(frozen=True)
class Layout:
    """Say where the columns of a file stand, from 0, and how many there are."""

    width: int
    word: int
    tag: int


@dataclass(frozen=True)
class ColumnFile:
    """Hold the sentences of a file, the number of the column of their tags, from 1, and what is to be told about it."""

    sentences: list[list[Word]]
    column: int
    notes: list[str]


def read_columns(path: Path, text: str, column: str | None = None) -> ColumnFile:
    """Read the words of the sentences of a file, and what one column says of each.

    Columns are parted by tabs, or by blanks and tabs where that alone gives each line as many. Lines with `-DOCSTART-`
    for a word are left out, and so are comments: lines with `#` and a blank or a tab before the first word of a
    sentence, unless they have the columns and the tag of a word. Of OntoNotes, which begins with `#begin document`, the
    names are read, written as BIO.

    Args:
        path: names the file in messages.
        text: what it holds.
        column: the number of the column of the tags, from 1. When not given, the last one; but not one that says the
            same of every word, nor spans within the spans of the column before.

    Raises:
        DataError: a line has not the columns of the others, or no word or tag; it is named.
        InputError: `column` is no number of a column of tags.
    """
    if column is not None and (not column.isdecimal() or int(column) < 2):
        raise InputError(f"column={column!r}: {path} has numbered columns, 1 for the words. Give a number from 2.")
    split, sentences = _parted(text)
    usual = _usual(sentences)
    if not usual:
        return ColumnFile([], 0, [])
    if column is None and _DOCUMENT.match(sentences[0][0].text):
        return _read_ontonotes(path, sentences)
    width, word = _shape(sentences, usual)
    notes = list[str]()
    tag = int(column) - 1 if column is not None else _find_tags(usual, width, word, notes, path)
    if not word < tag < width:
        raise DataError(
            f"{path}, line {usual[0].line} has {width} columns, so there is no tag in column {max(tag, word + 1) + 1}."
        )
    words = _words(path, sentences, Layout(width, word, tag), split, usual, notes)
    return ColumnFile([rows for rows in words if rows], tag + 1, notes)


def find_shape(text: str) -> tuple[str, int, int] | None:
    r"""Say what parts the columns of a text, a tab or white space, how many there are and, from 0, which has the words.

    >>> find_shape("# a comment\n1\tAda\tB-PER\tO\n2\tleft\tO\tO\n")
    ('tab', 4, 1)
    """
    split, sentences = _parted(text)
    usual = _usual(sentences)
    return (split, *_shape(sentences, usual)) if usual else None


def _usual(sentences: list[list[Row]]) -> list[Row]:
    """List the rows that are surely words; all of them where none is."""
    return [row for row in _rows(sentences) if not row.text.startswith(("#", _BORDER))] or list(_rows(sentences))


def _shape(sentences: list[list[Row]], usual: list[Row]) -> tuple[int, int]:
    """Count the columns, and say in which the words stand: the second where the first numbers them."""
    width = Counter(len(row.fields) for row in usual).most_common(1)[0][0]
    return width, int(width > 2 and _is_numbered(sentences))


def _parted(text: str) -> tuple[str, list[list[Row]]]:
    """Part a text into sentences of rows, and say what parts the columns: "tab" or "white space"."""
    blocks: list[list[tuple[int, str]]] = [[]]
    for line, row in enumerate(split_lines(text), 1):
        if row.strip():
            blocks[-1].append((line, row))
        elif blocks[-1]:
            blocks.append([])
    rows = [row for block in blocks for _, row in block if not row.startswith(("#", _BORDER))]
    by_tab, by_white = {len(_at_tabs(row)) for row in rows}, {len(_at_white(row)) for row in rows}
    tabs_fail = (len(by_tab) > 1 or all(row.endswith("\t") for row in rows)) and len(by_white) == 1 and by_white != {1}
    split = _at_tabs if 2 * sum("\t" in row for row in rows) > len(rows) and not tabs_fail else _at_white
    found = [[Row(line, row, split(row)) for line, row in block] for block in blocks]
    return ("tab" if split is _at_tabs else "white space"), found


def _at_tabs(row: str) -> list[str]:
    return [field.strip(" ") for field in row.split("\t")]


def _at_white(row: str) -> list[str]:
    return _WHITE.split(row.strip(" \t"))


def _rows(sentences: list[list[Row]]) -> Iterator[Row]:
    return (row for rows in sentences for row in rows)


def _is_numbered(sentences: list[list[Row]]) -> bool:
    """Tell whether the first column counts the words of each sentence, from 0 or 1."""
    words = [[row for row in rows if not row.text.startswith("#")] for rows in sentences]
    counts = [[row.fields[0] for row in rows] for rows in words if rows]
    begin = counts[0][0] if counts else ""
    return (
        begin in ("0", "1")
        and max(map(len, counts)) > 1
        and all(found == [str(int(begin) + at) for at in range(len(found))] for found in counts)
    )


def _find_tags(rows: Sequence[Row], width: int, word: int, notes: list[str], path: Path) -> int:
    """Choose the column of the tags, from 0, and note where it is not the last."""
    columns = [{row.fields[at] for row in rows if len(row.fields) == width} for at in range(width)]
    tag = last = width - 1
    while tag > word + 1 and len(columns[tag]) == 1 and "O" not in columns[tag] and len(rows) > 1:
        tag -= 1
    if tag != last:
        notes.append(f"{path}: column {last + 1} says the same of every word; column {tag + 1} is taken for the tags.")
    numbered = word == 1
    while tag - 1 > word and _labels(columns[tag - 1]) and _labels(columns[tag]) <= _labels(columns[tag - 1]):
        if not (_labels(columns[tag]) or (numbered and columns[tag] == {"O"})):
            break
        tag -= 1
        notes.append(
            f"{path}: columns {tag + 1} and {tag + 2} hold spans of the same labels; column {tag + 1}, the outer ones, "
            f"is taken for the tags. To take the other: column={tag + 2}, or on the command line --column {tag + 2}."
        )
    return tag


def _labels(values: set[str]) -> set[str]:
    """List the labels of spans where a column holds nothing but spans, else none."""
    found = [_SPAN.fullmatch(value) for value in values - {"O"}]
    return {match[1] for match in found if match} if all(found) else set()


def _read_ontonotes(path: Path, sentences: list[list[Row]]) -> ColumnFile:
    """Read the names of OntoNotes, whose spans stand in brackets: `(PERSON*` to `*)`, or `(GPE)`."""
    word, tag, least = _ONTONOTES
    found: list[list[Word]] = []
    for rows in sentences:
        words: list[Word] = []
        label = ""
        for row in (row for row in rows if not _DOCUMENT.match(row.text)):
            if len(row.fields) < least:
                raise DataError(
                    f"{path}, line {row.line} has {len(row.fields)} columns; OntoNotes has {least} or more."
                )
            mark = row.fields[tag]
            begins = mark.startswith("(")
            label = mark.strip("(*)") if begins else label
            words.append((row.line, row.fields[word], f"{'B' if begins else 'I'}-{label}" if label else "O"))
            label = "" if mark.endswith(")") else label
        found.append(words)
    return ColumnFile([words for words in found if words], tag + 1, [])


def _words(
    path: Path, sentences: list[list[Row]], layout: Layout, split: str, usual: list[Row], notes: list[str]
) -> Iterator[list[Word]]:
    """Take the words of the rows of each sentence, which the border of a document ends, too."""
    tags = {row.fields[layout.tag] for row in usual if len(row.fields) == layout.width}
    blank: list[int] = []
    for rows in sentences:
        words: list[Word] = []
        for row in rows:
            if _IS_BORDER.match(row.text) or row.fields[layout.word : layout.word + 1] == [_BORDER]:
                yield words
                words = []
            elif not _is_comment(row, layout, tags, at_start=not words):
                word, tag = _checked(path, row, layout, split, usual[0])
                if word:
                    words.append((row.line, word, tag))
                else:
                    blank.append(row.line)
        yield words
    if blank:
        many = f"{len(blank)} words are" if len(blank) > 1 else "a word is"
        notes.append(f"{path}, line {blank[0]}: {many} nothing but white space, and left out.")


def _is_comment(row: Row, layout: Layout, tags: set[str], *, at_start: bool) -> bool:
    if _DOCUMENT.match(row.text):
        return True
    if not at_start or not row.text.startswith(("# ", "#\t")):
        return False
    if len(row.fields) != layout.width or _ABOUT.match(row.text):
        return True
    tag = row.fields[layout.tag]
    return tag not in tags and tag != "O" and not _SPAN.fullmatch(tag)


def _checked(path: Path, row: Row, layout: Layout, split: str, first: Row) -> tuple[str, str]:
    """Return the word and the tag of a row, the word empty where it is white space of an unusual kind."""
    where = f"{path}, line {row.line}"
    if len(row.fields) != layout.width:
        usual = "the first line has" if len(first.fields) == layout.width else "most lines have"
        raise DataError(f"{where} has {len(row.fields)} columns, {usual} {layout.width}.{_hint(row, split)}")
    word, tag = row.fields[layout.word], row.fields[layout.tag].strip()
    if not word or not tag:
        raise DataError(f"{where} has an empty {'tag' if word else 'word'}.")
    return word.strip(), tag


def _hint(row: Row, split: str) -> str:
    """Say what may be wrong with the columns of a row."""
    if split == "tab" and "\t" not in row.text:
        return " It has no tab, which parts the columns of the others."
    if unusual := _UNUSUAL.search(row.text):
        return f" It holds U+{ord(unusual[0]):04X}, white space that parts no columns."
    if split != "tab" and "\t" in row.text:
        return " It has a tab where the others have blanks."
    return ""
