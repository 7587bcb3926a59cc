"""How transcribers answer signals that come as lines of JSON: the text of each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tidegate.data.checks import Where
from tidegate.data.showing import shorten
from tidegate.errors import DataError
from tidegate.tasks.answers import ANSWER, PROBABILITY, Answers, Columns, Single, Told
from tidegate.tasks.transcribing.wire import WIRE

if TYPE_CHECKING:
    from tidegate.tasks.transcribing.transcriber import Transcriber


def read(line: str) -> list[Any]:
    """Read a signal from JSON; a blank line has no step. Raises DataError for anything else."""
    return read_cells([line], lambda _: "the line")[0]


def read_cells(cells: Sequence[object], where: Where) -> list[list[Any]]:
    """Read signals, each a list of steps, or JSON of one; what is blank has no step. Raises DataError."""
    found = []
    for index, cell in enumerate(cells):
        try:
            steps = (json.loads(cell) if cell.strip() else []) if isinstance(cell, str) else cell
        except (ValueError, RecursionError):
            steps = None
        if not isinstance(steps, list):
            raise DataError(
                f"{where(index)} holds {shorten(str(cell))!r}, no signal. Write JSON: [[0.1, 0.2], [0.3, 0.4]]."
            )
        found.append(steps)
    return found


def tell(model: Transcriber, lines: Sequence[Any]) -> Iterator[Told]:
    """Tell the text of each signal, and for programs its symbols with their steps."""
    for line, told in zip(lines, model.transcribe([read(str(line)) for line in lines]), strict=True):
        yield Told(f"{told.text}\t{told.confidence:.4f}\n", {"input": str(line), **asdict(told)})


def cells(model: Transcriber, inputs: list[Any]) -> Columns:
    """Give the text of each signal, and how sure it is."""
    found = model.transcribe(inputs)
    return [[told.text for told in found], [round(told.confidence, 6) for told in found]]


ANSWERS = Answers(
    Single(tell=tell, columns=(ANSWER, PROBABILITY), cells=cells, read=read, read_cells=read_cells, many="signals"),
    wire=WIRE,
)
