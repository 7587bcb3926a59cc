"""How tasks answer, for people, for programs, in tables and line by line: what a card says of it, and what tasks share.

Knows no task and prints nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from tidegate.data.checks import Where, check_texts
from tidegate.data.showing import shorten
from tidegate.tasks.wire import Wire

Columns: TypeAlias = list[list[Any]]
Json: TypeAlias = dict[str, Any]

ANSWER, PROBABILITY = "predicted", "probability"


@dataclass(frozen=True)
class Told:
    """Hold one answer: the lines that a person reads, and plain values for a program."""

    text: str
    json: Json


@dataclass(frozen=True)
class Whole:
    """Hold the answer to a whole file.

    Args:
        rows: as a table.
        told: the same for each thing that the file holds.
        remarks: what a reader should know besides.
        draw: makes a picture of it.
    """

    rows: list[dict[str, Any]]
    told: list[Told]
    remarks: list[str]
    draw: Callable[[Literal["png", "svg"]], bytes]


class Feed(Protocol):
    """Answers rows of cells as they come, those of several live sequences among each other."""

    def take(self, name: str, header: Sequence[str] | None, cells: list[str]) -> tuple[Told | None, str | None]:
        """Take a row of the sequence `name`; return its answer, and what is to be told besides, where there is any.

        Raises InputError for a row that cannot be read, and is left out.
        """

    def clear(self) -> None:
        """Forget all sequences, so that each begins anew."""


def read_texts(cells: Sequence[object], where: Where) -> list[str]:
    """Check that cells are texts; raises DataError, naming the row."""
    check_texts(list(cells), where=where, allow_empty=True)
    return list(map(str, cells))


@dataclass(frozen=True)
class Single:
    """Say how inputs are answered one by one.

    Args:
        tell: answers lines of text, each an input, or inputs that have been read; takes the options of the task.
        columns: names what stands beside each row of a table.
        cells: answers B inputs, a list of B for each of the columns.
        read: turns a line of text into an input.
        read_cells: turns the cells of a column into inputs; raises DataError, naming the row.
        many: what inputs are called.
        steps: whether a table with a row per step can be answered, too.
        pictures: answers files that are pictures; None where the task reads none.
        words: answers B sentences of words, a row for each word, where a file with a word on each line can be answered.
    """

    tell: Callable[..., Iterator[Told]]
    columns: tuple[str, ...]
    cells: Callable[[Any, list[Any]], Columns]
    read: Callable[[str], Any] = str
    read_cells: Callable[[Sequence[object], Where], list[Any]] = read_texts
    many: str = "texts"
    steps: bool = False
    pictures: Callable[[Any, list[Path]], Iterator[Told]] | None = None
    words: Callable[[Any, list[list[str]]], list[tuple[Any, ...]]] | None = None


@dataclass(frozen=True)
class Answers:
    """Say how a task answers; one of the first two is there.

    Args:
        single: inputs one by one.
        whole: a whole file, with a table of its own. Takes the model, the file, and how to read that.
        feed: begins to answer rows of cells that come one after another. Takes the model, `grouped` (whether rows name
            their sequence) and `lookahead`. None where every line is an input by itself.
        wire: how the task is asked over a network; None where it is not.
    """

    single: Single | None = None
    whole: Callable[[Any, Path, Mapping[str, str]], Whole] | None = None
    feed: Callable[..., Feed] | None = None
    wire: Wire | None = None


def tell_classes(model: Any, lines: Sequence[Any]) -> Iterator[Told]:
    """Name the likeliest class of each input, and for programs the probability of every class."""
    classes = model.classes_.tolist()
    for line, row in zip(lines, model.predict_proba(list(map(str, lines))).tolist(), strict=True):
        label, share = max(zip(classes, row, strict=True), key=lambda pair: pair[1])
        named = {str(name): value for name, value in zip(classes, row, strict=True)}
        told = {"input": str(line), "label": label, "probabilities": named}
        yield Told("\t".join([str(label), f"{share:.4f}", shorten(str(line))]), told)


def short(value: Any) -> float:
    """Make a float of a float32 with no more digits than tell it from its neighbours.

    >>> import numpy as np
    >>> float(np.float32(0.1)), short(np.float32(0.1))
    (0.10000000149011612, 0.1)
    """
    return float(str(value))
