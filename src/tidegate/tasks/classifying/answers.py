"""How classifiers answer: the class of a text or a sequence, and of a live sequence so far; or its labels."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy.typing as npt

from tidegate.data.checks import Where
from tidegate.data.images import read_images
from tidegate.data.showing import shorten
from tidegate.errors import DataError, InputError
from tidegate.tasks.answers import ANSWER, PROBABILITY, Answers, Columns, Single, Told, short
from tidegate.tasks.classifying import wire
from tidegate.tasks.live import Live, read_numbers

if TYPE_CHECKING:
    from tidegate.tasks.classifying.sequences import SequenceClassifier
    from tidegate.tasks.classifying.texts import TextClassifier

Array: TypeAlias = npt.NDArray[Any]


Classifier: TypeAlias = "TextClassifier | SequenceClassifier"
NO_LABEL = "-"  # what a person reads where no label is named


def tell_answers(model: Classifier, lines: Sequence[Any], *, read: Callable[[str], Any] = str) -> Iterator[Told]:
    """Name the class of each input, or its labels, and for programs the probability of every class."""
    shares = model.predict_proba([read(line) if isinstance(line, str) else line for line in lines])
    abouts = [{"input": str(line)} for line in lines]
    return _tell(model, shares, abouts, after=[[shorten(str(line))] for line in lines])


def tell_pictures(model: SequenceClassifier, files: list[Path]) -> Iterator[Told]:
    """Name the class of each picture; raises InputError where the model reads none, DataError for one that is none."""
    if not model.inside().network.reads_images:
        raise InputError(f"{files[0]} is a picture, but the model was trained on sequences. Pass tables of those.")
    shares = model.predict_proba(read_images(files))
    return _tell(model, shares, [{"input": str(file)} for file in files], after=[[file.name] for file in files])


def _tell(
    model: Classifier, shares: Array, abouts: list[dict[str, Any]], *, before: Sequence[str] = (),
    after: Sequence[Sequence[str]] | None = None,
) -> Iterator[Told]:  # fmt: skip
    """Tell the answers to rows of probabilities, each with what else is known of it and other cells of its line."""
    classes = model.classes_.tolist()
    said = model.choose(shares).tolist()
    for index, (answer, row, about) in enumerate(zip(said, shares.tolist(), abouts, strict=True)):
        cells, named = (
            after[index] if after else (),
            {str(name): share for name, share in zip(classes, row, strict=True)},
        )
        shown = (", ".join(map(str, answer)) or NO_LABEL) if model.multilabel_ else str(answer)
        key = "labels" if model.multilabel_ else "label"
        line = "\t".join([*before, shown, f"{_likely(model, answer, row):.4f}", *cells])
        yield Told(line, {**about, key: answer, "probabilities": named})


def _likely(model: Classifier, answer: Any, shares: Sequence[float]) -> float:
    """Say how likely an answer is: a class, or these labels and no others."""
    classes = model.classes_.tolist()
    if not model.multilabel_:
        return float(shares[classes.index(answer)])
    return prod(share if label in answer else 1 - share for label, share in zip(classes, shares, strict=True))


def answer_cells(model: Classifier, inputs: list[Any]) -> Columns:
    """Give the class of each input, or its labels, and the probability of that answer."""
    shares = model.predict_proba(inputs)
    said = model.choose(shares).tolist()
    if model.multilabel_:
        return [said, [round(_likely(model, each, row.tolist()), 6) for each, row in zip(said, shares, strict=True)]]
    classes = model.classes_.tolist()
    return [said, [short(row[classes.index(each)]) for each, row in zip(said, shares, strict=True)]]


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
        told = _tell(self._model, shares[None], [about | {"step": stream.steps}], before=list(about.values()))
        return next(told), None

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
OF_TEXTS = Answers(Single(tell=tell_answers, columns=_COLUMNS, cells=answer_cells), wire=wire.OF_TEXTS)
OF_SEQUENCES = Answers(
    Single(
        tell=partial(tell_answers, read=read_sequence),
        columns=_COLUMNS,
        cells=answer_cells,
        read=read_sequence,
        read_cells=read_sequences,
        many="sequences",
        steps=True,
        pictures=tell_pictures,
    ),
    feed=StepFeed,
    wire=wire.OF_SEQUENCES,
)
