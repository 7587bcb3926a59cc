"""`tidegate predict --stream`: lines of stdin answered as they come, those that cannot be read told and left out."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from tidegate.cli.inputs import decode_line, stdin_lines
from tidegate.cli.options import spell_option
from tidegate.cli.output import emit_json, say
from tidegate.errors import DataError, InputError
from tidegate.tasks.live import is_number

if TYPE_CHECKING:
    from tidegate.tasks.answers import Feed, Told
    from tidegate.tasks.card import Card

Answer = Callable[[str], str | None]
"""Answers a line on stdout, and returns what is to be told about it besides."""


def answer_lines(answer: Answer) -> int:
    """Answer each line of stdin and return how many were refused, each told on stderr with its number.

    Raises InputError when stdin is a terminal.
    """
    refused = 0
    for number, line in stdin_lines():
        try:
            note = answer(decode_line(line, "the line"))
        except InputError as error:
            note, refused = f"left out: {error.spelled(spell_option)}", refused + 1
        sys.stdout.flush()
        if note:
            say(f"line {number}: {note}")
    return refused


class Table:
    """Reads the lines of a table that may never end: a header, where the first line has no number, and then rows.

    Args:
        group: the column that tells sequences apart: its name in the header, or its place, from 0. None for no groups.
    """

    def __init__(self, group: str | None) -> None:
        self.header: list[str] | None = None
        self._group, self._begun = group, False

    def read(self, line: str) -> list[str] | None:
        """Return the cells of a row; None for the header. Raises DataError where the row does not fit the header."""
        try:
            cells = [cell.strip() for cell in next(csv.reader([line], delimiter="\t" if "\t" in line else ","))]
        except csv.Error as error:
            raise DataError(f"it is no row of a table: {error}.") from None
        if not self._begun and not any(map(is_number, cells)):
            self._begun, self.header = True, cells
            return None
        self._begun = True
        if self.header is not None and len(cells) != len(self.header):
            raise DataError(f"{len(cells)} cells came where the header names {len(self.header)} columns.")
        return cells

    def split(self, cells: list[str]) -> tuple[str, list[str]]:
        """Take the group, empty where there are none, from the cells of a row."""
        if self._group is None:
            return "", cells
        at = self._place(self._group)
        if not 0 <= at < len(cells):
            raise DataError(f"{len(cells)} cells came, none of which is the group, column {self._group}.")
        return cells[at], cells[:at] + cells[at + 1 :]

    def _place(self, group: str) -> int:
        if self.header is not None and group in self.header:
            return self.header.index(group)
        if group.isdecimal() and len(group) < 6:
            return int(group)
        raise InputError(f"--group {group}: no header names such a column. Without a header, count columns from 0.")


def live_answer(card: Card, model: Any, *, group: str | None, lookahead: int | None, spans: bool, json: bool) -> Answer:
    """Answer each line by itself or, where the model is fed rows, each row by all that its sequence was so far."""
    feed = card.answers().feed
    if feed is not None:
        return _row_answer(feed(model, grouped=group is not None, lookahead=lookahead), Table(group), json=json)
    tell = teller(card, model, spans=spans)

    def answer(line: str) -> None:
        for told in tell([line]):
            print_answer(told, json=json)

    return answer


def teller(card: Card, model: Any, *, spans: bool) -> Callable[[list[Any]], Iterator[Told]]:
    """Give what answers inputs one by one, with the options that the task takes."""
    single = card.answers().single
    assert single is not None, "the model answers inputs one by one"
    return partial(single.tell, model, **({"spans": True} if spans else {}))


def print_answer(told: Told, *, json: bool) -> None:
    """Print one answer for a person or for a program."""
    if json:
        emit_json(told.json)
    else:
        print(told.text)


def _row_answer(feed: Feed, table: Table, *, json: bool) -> Answer:
    """Answer each row of a table; an empty line begins all anew."""

    def answer(line: str) -> str | None:
        if not line.strip():
            feed.clear()
            return None
        cells = table.read(line)
        if cells is None:
            return None
        name, cells = table.split(cells)
        told, note = feed.take(name, table.header, cells)
        if told is not None:
            print_answer(told, json=json)
        return note

    return answer
