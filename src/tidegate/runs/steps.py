"""Answers the rows of a table with a row per step: each gets the answer of its recording, or of its window of that.

The table is read twice, first to count the rows of each recording; rows of several may be mixed. What is held at once
is no more than the rows from the first of a recording to its last, or of two windows of it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tidegate.data.checks import check_labels
from tidegate.data.recordings import read_features
from tidegate.errors import DataError, InputError
from tidegate.runs.answers import Piece, answer_names, single_of
from tidegate.tasks.answers import Columns

if TYPE_CHECKING:
    from tidegate.data.rows import Batch, Rows
    from tidegate.tasks.task import AnyTask

_COUNTING = 0.2  # of the time that all of it takes, by measurements of CSV files


@dataclass(frozen=True)
class Layout:
    """Say what stands where in a table with a row per step.

    features: their columns.
    group: the column that tells recordings apart; None where the file is one recording.
    window: steps that are answered together; None for whole recordings.
    """

    features: tuple[str, ...]
    group: str | None = None
    window: int | None = None


@dataclass
class _Stretch:
    """Gather the steps of a whole recording, of a window, or of the last window and the rest after it."""

    size: int
    window: int
    steps: list[npt.NDArray[np.float32]] = field(default_factory=list)
    answers: list[tuple[Any, ...]] = field(default_factory=list)

    @property
    def sequences(self) -> list[npt.NDArray[np.float32]]:
        """The window, and where there is a rest the window that ends with it."""
        steps = np.stack(self.steps)  # [T, C]
        return [steps[: self.window]] + ([steps[-self.window :]] if self.size > self.window else [])

    def answer(self, place: int) -> tuple[Any, ...]:
        """Give the answer of a step; there is one once all of them were asked together."""
        return self.answers[place >= self.window]


def answer_steps(model: AnyTask, open_rows: Callable[[], Rows], layout: Layout) -> Generator[Piece, None, None]:
    """Write a table again with an answer in every row.

    Windows lie side by side from the first step of a recording on. Where less than a window is left at its end, the
    rest gets the answer of the window that ends with the recording; a recording that is shorter is answered as it is.

    Args:
        model: a fitted classifier of sequences with as many features.
        open_rows: opens the table from its beginning.
        layout: what stands where.

    Raises DataError where a row cannot be read; it is named. Pieces up to there have been given.
    """
    sizes: Counter[str] = Counter()
    with closing(open_rows()) as rows:
        for batch in rows.batches([layout.group or layout.features[0]]):
            sizes.update(_recordings(rows, batch, layout))
            yield Piece(b"", 0, _COUNTING * batch.share)
    with closing(open_rows()) as rows:
        yield Piece(rows.begin(answer_names(model, rows.names)), 0, _COUNTING)
        writer = _Writer(model, rows, layout, sizes)
        for batch in rows.batches([*([layout.group] if layout.group else []), *layout.features]):
            written = writer.take(batch)
            yield Piece(written, writer.done, _COUNTING + (1 - _COUNTING) * batch.share)
        yield Piece(rows.end(), writer.done, 1.0)


def _recordings(rows: Rows, batch: Batch, layout: Layout) -> Sequence[str]:
    """Name the recording of each row of a batch whose first column is the group, where there is one."""
    if layout.group is None:
        return [""] * len(batch)
    check_labels(batch.cells[0], where=lambda row: f"{rows.path}, row {batch.first + row}, column {layout.group!r},")
    return [str(cell).strip() for cell in batch.cells[0]]


class _Writer:
    """Hold rows until the stretches that they lie in are whole and answered."""

    def __init__(self, model: AnyTask, rows: Rows, layout: Layout, sizes: Counter[str]) -> None:
        self.done = 0
        self._model, self._rows, self._layout, self._left = model, rows, layout, sizes
        self._cells = single_of(model).cells
        self._open: dict[str, _Stretch] = {}
        self._held: deque[tuple[Batch, list[tuple[_Stretch, int]]]] = deque()

    def take(self, batch: Batch) -> bytes:
        """Take the next rows, and write those that can be answered by now."""
        columns = batch.cells[1:] if self._layout.group else batch.cells
        where = f"{self._rows.path}, row "
        features = read_features(self._layout.features, columns, where=lambda row: f"{where}{batch.first + row}")
        places, whole = list[tuple[_Stretch, int]](), list[_Stretch]()
        for name, step in zip(_recordings(self._rows, batch, self._layout), features, strict=True):
            stretch = self._open.get(name) or self._begin(name)
            places.append((stretch, len(stretch.steps)))
            stretch.steps.append(step)
            if len(stretch.steps) == stretch.size:
                whole.append(self._open.pop(name))
        self._held.append((batch, places))
        self._answer(whole)
        return b"".join(self._written())

    def _begin(self, name: str) -> _Stretch:
        left, window = self._left[name], self._layout.window
        size = left if window is None or left < 2 * window else window
        self._left[name] -= size
        stretch = self._open[name] = _Stretch(size, size if window is None else min(window, size))
        return stretch

    def _answer(self, whole: Sequence[_Stretch]) -> None:
        if not whole:
            return
        sequences = [stretch.sequences for stretch in whole]
        try:
            found = self._cells(self._model, [sequence for several in sequences for sequence in several])
        except InputError as error:
            last = self._held[-1][0]
            raise DataError(f"{self._rows.path}, up to row {last.first + len(last) - 1}: {error}") from None
        answers = zip(*found, strict=True)
        for stretch, several in zip(whole, sequences, strict=True):
            stretch.answers = [next(answers) for _ in several]
            stretch.steps.clear()

    def _written(self) -> Iterator[bytes]:
        while self._held and all(stretch.answers for stretch, _ in self._held[0][1]):
            batch, places = self._held.popleft()
            columns: Columns = list(map(list, zip(*(stretch.answer(at) for stretch, at in places), strict=True)))
            self.done += len(batch)
            yield self._rows.write(batch, columns or [[], []])
