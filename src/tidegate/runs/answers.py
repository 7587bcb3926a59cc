"""Answers the rows of a table, or the words of a column file, beside what stands there; one batch at a time.

Knows what each task answers a row with. Where the answers are written to is for others to say.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from tidegate.data.checks import Where, check_texts
from tidegate.errors import DataError, InputError

if TYPE_CHECKING:
    from tidegate.data.rows import Batch, Rows
    from tidegate.data.word_lines import WordLines
    from tidegate.tasks import AnyTask, LanguageModel, TokenTagger

Columns: TypeAlias = list[list[Any]]

ANSWER, PROBABILITY = "predicted", "probability"


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
    if model.name not in _ANSWERS:
        raise InputError(f"a {model.name} answers no rows of a table one by one.")
    names: list[str] = []
    for name in _ANSWERS[model.name][0]:
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
        model: a fitted task; not a forecaster, which answers whole series.
        rows: the table.
        column: of the texts; for a sequence classifier of sequences, each a list of steps, or JSON of one.

    Raises:
        DataError: a row cannot be read; it is named. Pieces up to there have been given.
        InputError: a task that answers no single rows.
    """
    answer = _ANSWERS[model.name][1]
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


def answer_words(tagger: TokenTagger, lines: WordLines) -> Iterator[Piece]:
    """Write a column file again with a tag and its probability at every word; raises DataError, naming the line."""
    done = 0
    for batch in lines.batches():
        tagged = [word for words in tagger.predict_words(batch.sentences) for word in words]
        done += len(tagged)
        yield Piece(lines.write(batch, [(word.tag, round(word.probability, 6)) for word in tagged]), done, batch.share)


def row_name(rows: Rows, batch: Batch, column: str) -> Where:
    """Name a row of a batch by its place there, for a message about its cell in a column."""
    return lambda index: f"{rows.path}, row {batch.first + index}, column {column!r},"


def row_inputs(model: AnyTask, cells: Sequence[object], where: Where) -> list[Any]:
    """Turn the cells of a column into what a task reads; raises DataError, naming the row."""
    filled = ["" if _is_missing(cell) else cell for cell in cells]
    if model.reads == "sequence":
        return [read_sequence(cell, where(index)) for index, cell in enumerate(filled)]
    check_texts(filled, where=where, allow_empty=True)
    return filled


def read_sequence(cell: object, where: str) -> list[Any]:
    """Read a sequence, a list of steps, or JSON of one; what is blank has no step. Raises DataError."""
    try:
        steps = (json.loads(cell) if cell.strip() else []) if isinstance(cell, str) else cell
        if isinstance(steps, list):
            return steps
    except (ValueError, RecursionError):
        pass
    raise DataError(f"{where} holds {cell!r:.60}, no sequence. Write JSON such as [[0.1, 0.2], [0.3, 0.4]].")


def _is_missing(cell: object) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def answer_classes(model: Any, inputs: list[Any]) -> Columns:
    """Give the likeliest class of each input, and its probability."""
    shares = model.predict_proba(inputs)
    best = shares.argmax(axis=1)
    return [model.classes_[best].tolist(), [_short(row[k]) for row, k in zip(shares, best, strict=True)]]


def _spans(tagger: TokenTagger, texts: list[str]) -> Columns:
    words = tagger.predict_words(texts)
    return [[[vars(span) for span in tagger.spans_of(text, found)] for text, found in zip(texts, words, strict=True)]]


def _foreseen(model: LanguageModel, texts: list[str]) -> Columns:
    shares = model.predict_proba(texts)
    best = shares.argmax(axis=1)
    following = [model.vocabulary_.spell(int(token)) for token in best]
    probabilities = [_short(row[k]) for row, k in zip(shares, best, strict=True)]
    return [following, probabilities, model.perplexities(texts).tolist()]


def _short(value: Any) -> float:
    """Make a float of a float32 with no more digits than tell it from its neighbours.

    >>> import numpy as np
    >>> float(np.float32(0.1)), _short(np.float32(0.1))
    (0.10000000149011612, 0.1)
    """
    return float(str(value))


# By the name of the task, the columns of its answers, and what computes them.
_ANSWERS: dict[str, tuple[tuple[str, ...], Callable[[Any, list[Any]], Columns]]] = {
    "text-classifier": ((ANSWER, PROBABILITY), answer_classes),
    "sequence-classifier": ((ANSWER, PROBABILITY), answer_classes),
    "token-tagger": ((ANSWER,), _spans),
    "language-model": ((ANSWER, PROBABILITY, "perplexity"), _foreseen),
}
