"""`tidegate predict --stream`: lines of stdin answered as they come, those that cannot be read told and left out."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tidegate.cli.forecasts import print_forecast
from tidegate.cli.inputs import decode_line, stdin_lines
from tidegate.cli.options import spell_option
from tidegate.cli.output import emit_json, say
from tidegate.data.series_tables import time_columns
from tidegate.data.times import show_time
from tidegate.errors import DataError, InputError

if TYPE_CHECKING:
    from tidegate.tasks import Forecaster, SequenceClassifier

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
        if not self._begun and not any(map(_is_number, cells)):
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


def text_answer(show: Callable[[list[str]], None]) -> Answer:
    """Answer each line as a text by itself."""
    return lambda line: show([line])


def row_answer(model: SequenceClassifier, *, group: str | None, lookahead: int | None, json: bool) -> Answer:
    """Answer each row of features with the classes of its sequence so far; an empty line begins all anew."""
    table, begun, streams = Table(group), model.stream(lookahead=lookahead), dict[str, Any]()

    def answer(line: str) -> None:
        if not line.strip():
            streams.clear()
            return
        cells = table.read(line)
        if cells is None:
            return
        name, features = table.split(cells)
        stream = streams.get(name) or begun.fork()
        shares = stream.step(_numbers(features))
        streams[name] = stream
        _print_classes(model, shares.tolist(), {"group": name} if group else {}, stream.steps, json=json)

    return answer


def series_answer(model: Forecaster, *, json: bool) -> Answer:
    """Answer each row of a series with the forecast from there on, once its look-back is filled.

    A header names the columns that were trained on, and those of the time and of the series; without one a row holds
    the values alone. Where a time does not follow the one before, the series begins anew.
    """
    roles, table, streams = model.roles_, Table(None), dict[str, Any]()

    def answer(line: str) -> str | None:
        if not line.strip():
            streams.clear()
            return None
        cells = table.read(line)
        if cells is None:
            return None
        named = dict(zip(table.header or roles.columns, cells, strict=False))
        if lacking := [column for column in roles.columns if column not in named]:
            raise DataError(f"it has no {lacking[0]!r}. Begin with a header that names {', '.join(roles.columns)}.")
        name = named.get(roles.name or "unique_id", "")
        start = _time(model, named)
        stream, note = streams.get(name), None
        if stream is not None and start is not None and stream.next_time != stream.read_time(start):
            awaited, came = (show_time(time, stream.zone) for time in (stream.next_time, stream.read_time(start)))
            note = f"{awaited} was to come, not {came}: the series begins anew."
            stream = None
        stream = stream or model.stream(start=start, series=name)
        forecast = stream.step(_numbers([named[column] for column in roles.columns]))
        streams[name] = stream
        if forecast is not None:
            print_forecast(forecast, json=json)
        return note

    return answer


def _print_classes(
    model: SequenceClassifier, shares: list[float], about: dict[str, str], step: int, *, json: bool
) -> None:
    named = dict(zip(map(str, model.classes_.tolist()), shares, strict=True))
    label = max(named, key=named.__getitem__)
    if json:
        emit_json(about | {"step": step, "label": label, "probabilities": named})
    else:
        print("\t".join([*about.values(), label, f"{named[label]:.4f}"]))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _numbers(cells: list[str]) -> list[float]:
    for cell in cells:
        if not _is_number(cell):
            raise DataError(f"{cell!r:.40} is no number.")
    return [float(cell) for cell in cells]


def _time(model: Forecaster, named: dict[str, str]) -> Any:
    """Give the time of a row as it is written; None where it has none."""
    parts = [named.get(column) for column in time_columns(model.roles_.time or "ds", named)]
    cell = " ".join(part for part in parts if part is not None)
    return (int(cell) if cell.strip().lstrip("-").isdigit() else cell) if cell else None
