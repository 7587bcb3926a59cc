"""How language models answer: the token that likely comes next, and how well a text was foreseen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate.tasks.answers import ANSWER, PROBABILITY, Answers, Columns, Single, short, tell_classes
from tidegate.tasks.language.wire import WIRE

if TYPE_CHECKING:
    from tidegate.tasks.language.model import LanguageModel


def cells(model: LanguageModel, texts: list[str]) -> Columns:
    """Give the likeliest next token of each text, its probability, and the perplexity of the text."""
    shares = model.predict_proba(texts)
    best = shares.argmax(axis=1)
    following = [model.vocabulary_.spell(int(token)) for token in best]
    probabilities = [short(row[k]) for row, k in zip(shares, best, strict=True)]
    return [following, probabilities, model.perplexities(texts).tolist()]


ANSWERS = Answers(Single(tell=tell_classes, columns=(ANSWER, PROBABILITY, "perplexity"), cells=cells), wire=WIRE)
