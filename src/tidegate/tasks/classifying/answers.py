"""How classifiers answer: the likeliest class of a text or a sequence, and of a live sequence so far."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from tidegate.data.checks import Where
from tidegate.data.showing import shorten
from tidegate.errors import DataError
from tidegate.tasks.answers import ANSWER, PROBABILITY, Answers, Single, Told, class_cells, tell_classes, told_class
from tidegate.tasks.classifying import wire
from tidegate.tasks.live import Live, read_numbers

if TYPE_CHECKING:
    from tidegate.tasks.classifying.sequences import SequenceClassifier


class StepFeed:
    """Answers each row of features with the classes of its sequence so far."""

    def __init__(self, model: SequenceClassifier, *, grouped: bool, lookahead: int | None) -> None:
        self._model, self._grouped = model, grouped
        self._begun, self._live = model.stream(lookahead=lookahead), dict[str, Live]()

    def take(self, name: str, _header: Sequence[str] | None, cells: list[str]) -> tuple[Told, None]:
        """Take the features of a step of the sequence `name`; raises InputError where they cannot be read."""
        stream = self._live.get(name) or self._begun.fork()
        shares = stream.step(read_numbers(cells))
        self._live[name] = stream
        about = {"group": name} if self._grouped else {}
        classes = list(map(str, self._model.classes_.tolist()))
        return told_class(classes, shares.tolist(), about | {"step": stream.steps}, before=list(about.values())), None

    def clear(self) -> None:
        """Begin all sequences anew."""
        self._live.clear()


def read_sequence(line: str) -> list[Any]:
    """Read a sequence from JSON; a blank line has no step. Raises DataError for anything else."""
    try:
        return _steps(line)
    except ValueError:
        raise DataError(f"{shorten(line)!r} is not a sequence. Write JSON such as {_EXAMPLE}.") from None


def read_sequences(cells: Sequence[object], where: Where) -> list[list[Any]]:
    """Read sequences, each a list of steps, or JSON of one; what is blank has no step. Raises DataError."""
    found = []
    for index, cell in enumerate(cells):
        try:
            found.append(_steps(cell))
        except ValueError:
            told = f"{where(index)} holds {cell!r:.60}, no sequence."
            raise DataError(f"{told} Write JSON such as {_EXAMPLE}.") from None
    return found


_EXAMPLE = "[[0.1, 0.2], [0.3, 0.4]]"


def _steps(cell: object) -> list[Any]:
    """Give the steps of a sequence, or of JSON of one; raises ValueError for what is none."""
    try:
        steps = (json.loads(cell) if cell.strip() else []) if isinstance(cell, str) else cell
    except RecursionError:
        raise ValueError from None
    if not isinstance(steps, list):
        raise ValueError
    return steps


_COLUMNS = (ANSWER, PROBABILITY)
OF_TEXTS = Answers(Single(tell=tell_classes, columns=_COLUMNS, cells=class_cells), wire=wire.OF_TEXTS)
OF_SEQUENCES = Answers(
    Single(
        tell=partial(tell_classes, read=read_sequence),
        columns=_COLUMNS,
        cells=class_cells,
        read=read_sequence,
        read_cells=read_sequences,
        many="sequences",
        steps=True,
    ),
    feed=StepFeed,
    wire=wire.OF_SEQUENCES,
)
