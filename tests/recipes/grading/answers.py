"""How graders answer: a number beside each text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tidegate.data.showing import shorten
from tidegate.tasks.answers import Answers, Columns, Single, Told, short

if TYPE_CHECKING:
    from .grader import Grader


def tell(model: Grader, texts: Sequence[str]) -> Iterator[Told]:
    """Tell the number of each text."""
    for text, grade in zip(texts, model.predict(texts).tolist(), strict=True):
        yield Told(f"{grade:.2f}\t{shorten(text)}", {"input": text, "grade": grade})


def cells(model: Grader, texts: list[str]) -> Columns:
    """Give the number of each text."""
    return [[short(grade) for grade in model.predict(texts)]]


ANSWERS = Answers(Single(tell=tell, columns=("grade",), cells=cells))
