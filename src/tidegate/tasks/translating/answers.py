"""How translators answer lines of text: the translation of each, and how good it is thought to be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tidegate.tasks.answers import ANSWER, Answers, Columns, Single, Told
from tidegate.tasks.translating.wire import WIRE

if TYPE_CHECKING:
    from tidegate.tasks.translating.translator import Translator


def tell(model: Translator, lines: Sequence[Any]) -> Iterator[Told]:
    """Tell the translation of each line, and for programs its tokens and score, too."""
    for line, told in zip(lines, model.translate([str(line) for line in lines]), strict=True):
        yield Told(f"{told.text}\n", {"input": str(line), **told.to_json()})


def cells(model: Translator, inputs: list[Any]) -> Columns:
    """Give the translation of each text, and its score."""
    found = model.translate(inputs)
    return [[told.text for told in found], [round(told.score, 6) for told in found]]


ANSWERS = Answers(Single(tell=tell, columns=(ANSWER, "score"), cells=cells), wire=WIRE)
