"""Answers the rows of a table, or the words of a column file, beside what stands there; one batch at a time.

What a task answers a row with, its card says. Where the answers are written to is for others to say.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidegate.data.checks import Where
from tidegate.errors import DataError, InputError
from tidegate.tasks.answers import Single
from tidegate.tasks.cards import CARDS

if TYPE_CHECKING:
    from tidegate.data.rows import Batch, Rows
    from tidegate.data.word_lines import WordLines
    from tidegate.tasks.task import AnyTask


@dataclass(frozen=True)
class Piece:
    """Hold a piece of the file that is written.

    rows: that have been answered so far.
    share: of the file that has been read, from 0 to 1.
    """

    data: bytes
    rows: int
    share: float


def answer_names(model: AnyTask, found: Sequence[str]) -> list[str]:
    """Name the columns that a task answers with; where the table has one of that name, a number makes it another.

    Raises InputError for a task that answers no single rows.

    >>> from tidegate import TextClassifier
    >>> answer_names(TextClassifier(), ["text", "predicted"])
    ['predicted_2', 'probability']
    """
    names: list[str] = []
    for name in single_of(model).columns:
        number, free = 1, name
        while free in found:
            number += 1
            free = f"{name}_{number}"
        names.append(free)
    return names


def answer_rows(model: AnyTask, rows: Rows, column: str) -> Iterator[Piece]:
    """Write a table again with an answer in every row.

    A row whose cell is empty or missing is answered as an empty text.

    Args:
        model: a fitted task that answers inputs one by one.
        rows: the table.
        column: of the texts; for a model of sequences of these, each a list of steps, or JSON of one.

    Raises:
        DataError: a row cannot be read; it is named. Pieces up to there have been given.
        InputError: a task that answers no single rows.
    """
    answer = single_of(model).cells
    yield Piece(rows.begin(answer_names(model, rows.names)), 0, 0.0)
    done = 0
    for batch in rows.batches([column]):
        inputs = row_inputs(model, batch.cells[0], row_name(rows, batch, column))
        done += len(batch)
        try:
            columns = answer(model, inputs)
        except InputError as error:
            raise DataError(f"{rows.path}, among rows {batch.first} to {done}: {error}") from None
        yield Piece(rows.write(batch, columns), done, batch.share)
    yield Piece(rows.end(), done, 1.0)


def answer_words(tagger: AnyTask, lines: WordLines) -> Iterator[Piece]:
    """Write a column file again with a tag and its probability at every word; raises DataError, naming the line.

    Raises InputError for a task that tags no words.
    """
    if (answer := single_of(tagger).words) is None:
        raise InputError(f"a {tagger.name} answers no words one by one.")
    done = 0
    for batch in lines.batches():
        answers = answer(tagger, batch.sentences)
        done += len(answers)
        yield Piece(lines.write(batch, answers), done, batch.share)


def row_name(rows: Rows, batch: Batch, column: str) -> Where:
    """Name a row of a batch by its place there, for a message about its cell in a column."""
    return lambda index: f"{rows.path}, row {batch.first + index}, column {column!r},"


def row_inputs(model: AnyTask, cells: Sequence[object], where: Where) -> list[Any]:
    """Turn the cells of a column into what a task reads; raises DataError, naming the row."""
    filled = ["" if _is_missing(cell) else cell for cell in cells]
    return single_of(model).read_cells(filled, where)


def single_of(model: AnyTask) -> Single:
    """Say how a task answers inputs one by one; raises InputError for one that answers none."""
    if (single := CARDS[model.name].answers().single) is None:
        raise InputError(f"a {model.name} answers no rows of a table one by one.")
    return single


def _is_missing(cell: object) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell))
