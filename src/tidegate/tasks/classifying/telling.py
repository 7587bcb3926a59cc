"""Says what each part of a classifier of texts contributed: the network, and each n-gram in the linear part."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tidegate.documents import Documents
from tidegate.tasks.classifying.classifier import Classes, logits
from tidegate.tasks.classifying.labelled import Inputs
from tidegate.tasks.classifying.ngrams import NGrams
from tidegate.tasks.classifying.reading import Tokens
from tidegate.tasks.task import Fitted, Json

Array: TypeAlias = NDArray[Any]

MOST_FEATURES = 10  # that are told of each text


def tell_parts(fitted: Fitted[Classes], texts: Inputs) -> list[Json] | None:
    """Tell for each text what its parts added to the score of each class; None where there is but the network.

    `network` and `linear` add up to the scores before softmax; `features` are the n-grams that told the classes apart
    most, with what each added, among those of `linear`.
    """
    preparation = fitted.learned.preparation
    assert isinstance(preparation, Tokens)
    wide, ngrams = fitted.network.wide, preparation.ngrams
    if wide is None or ngrams is None:
        return None
    documents = preparation.encode(texts)
    assert isinstance(documents, Documents)
    assert documents.features is not None
    last, names = len(fitted.network.nodes) - 1, [str(label) for label in fitted.learned.classes]
    weight, bias = fitted.weights[f"{last}.weight"], fitted.weights[f"{last}.bias"]
    scores, offsets = logits(fitted, texts), documents.features.columns.offsets
    found = []
    for index in range(len(documents)):
        rows = slice(int(offsets[index]), int(offsets[index + 1]))
        columns = np.asarray(documents.features.columns.values)[rows]
        added = documents.features.values[rows, None] * weight[columns]  # [M, K]
        linear = added.sum(axis=0) + bias
        apart = added.max(axis=1, initial=0) - added.min(axis=1, initial=0)
        first = np.argsort(-apart, kind="stable")[:MOST_FEATURES]
        found.append(
            {
                "network": _by_class(names, scores[index] - linear),
                "linear": _by_class(names, linear),
                "features": [
                    {"feature": spell_feature(preparation, ngrams, int(columns[at])), **_by_class(names, added[at])}
                    for at in first
                ],
            }
        )
    return found


def spell_feature(tokens: Tokens, ngrams: NGrams, number: int) -> str:
    """Write an n-gram as text: words with spaces, characters within quotes."""
    assert ngrams.features is not None
    words, spellings = len(ngrams.features.words.weight), ngrams.features.spellings
    if number < words or spellings is None:
        vocabulary = tokens.tokenizer.vocabulary
        return " ".join(vocabulary[word] for word in ngrams.grams.spell(number))
    return repr("".join(spellings.letters[letter - 1] for letter in spellings.grams.spell(number - words)))


def _by_class(names: list[str], numbers: Array) -> dict[str, float]:
    return {name: float(f"{number:.6g}") for name, number in zip(names, numbers, strict=True)}
