"""How taggers answer: a line for each word, or one for each span of words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from tidegate.tasks.answers import ANSWER, Answers, Columns, Single, Told
from tidegate.tasks.tagging.wire import WIRE

if TYPE_CHECKING:
    from tidegate.tasks.tagging.tagger import TokenTagger


def tell(model: TokenTagger, texts: Sequence[Any], *, spans: bool = False) -> Iterator[Told]:
    """Tell words with their tags and the probability of each, or with `spans` these with their places in the text.

    A text, or a list of words, ends with an empty line.
    """
    for given, words in zip(texts, model.predict_words(texts), strict=True):
        text = given if isinstance(given, str) else " ".join(given)
        found = model.spans_of(text, words)
        if spans:
            lines = [f"{span.label}\t{span.start}\t{span.end}\t{span.confidence:.4f}\t{span.text}\n" for span in found]
        else:
            lines = [f"{word.word}\t{word.tag}\t{word.probability:.4f}\n" for word in words]
        told = {"input": text, "words": [vars(word) for word in words], "spans": [vars(span) for span in found]}
        yield Told("".join(lines), told)


def span_cells(model: TokenTagger, texts: list[str]) -> Columns:
    """List the spans of each text."""
    words = model.predict_words(texts)
    return [[[vars(span) for span in model.spans_of(text, found)] for text, found in zip(texts, words, strict=True)]]


def word_cells(model: TokenTagger, sentences: list[list[str]]) -> list[tuple[Any, ...]]:
    """Give the tag of each word, and its probability."""
    return [(word.tag, round(word.probability, 6)) for word in chain.from_iterable(model.predict_words(sentences))]


ANSWERS = Answers(Single(tell=tell, columns=(ANSWER,), cells=span_cells, words=word_cells), wire=WIRE)
