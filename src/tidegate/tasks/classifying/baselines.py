"""The two linear models that a classifier of texts is read against. Knows neither networks nor files.

One is the logistic regression over TF-IDF that everybody tries first: of 1 and 2 words and, where texts are short, of 1
to 5 characters within words. The other is over words alone, and weighed by naive Bayes (after Wang & Manning 2012).
Both are fitted by the engine, and both are bounded in time and memory.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tidegate.data.grams import Grams, learn_grams
from tidegate.data.labels import hold_several
from tidegate.data.tokenizer import Tokenizer, train_words
from tidegate.documents import Sparse
from tidegate.engine.linear import fit_linear
from tidegate.tasks.baselines import Baseline
from tidegate.tasks.classifying.bags import naive_bayes
from tidegate.tasks.classifying.labelled import Labelled, hold_out, learn_classes, learn_label_sets, pair_known
from tidegate.tasks.classifying.ngrams import (
    MOST_WORDS,
    SHORT,
    Features,
    learn_features,
    least_texts,
    most_ngrams,
    spell_out,
)
from tidegate.tasks.classifying.several import judge_labels

if TYPE_CHECKING:
    from tidegate.data import Examples
    from tidegate.tasks.task import AnyTask

Floats: TypeAlias = NDArray[np.float32]

MOST_TEXTS = 200_000
MOST_CHARACTERS = 50_000_000
_AT_ONCE = 1000  # texts that are described together
_RULE = " + logistic regression"
_BAYES = "naive-Bayes bigrams"


def fit_baselines(model: AnyTask, train: Examples, measured: Examples | None) -> Iterator[Baseline]:
    """Fit both linear models to labelled texts, and measure them; see `FitBaselines`.

    What is measured is the accuracy, and of texts with several labels the micro F1.
    """
    several = hold_several(list(train.y))
    learn, classes = (learn_label_sets if several else learn_classes)(list(train.x), list(train.y))
    held: Labelled | None
    if measured is not None:
        held = pair_known(list(measured.x), measured.y, classes, name="y", several=several)
    else:
        params = model.get_params()
        with warnings.catch_warnings(action="ignore"):  # what it warns of was said when the network was trained
            learn, held = hold_out(learn, params["validation_fraction"], seed=params["seed"])
    if held is not None:
        yield from compare_linear(learn, held, len(classes))


def compare_linear(learn: Labelled, held: Labelled, classes: int) -> Iterator[Baseline]:
    """Fit both models to some texts and measure them on others; each of several labels is a question of its own.

    >>> learn = Labelled(["so good", "so bad", "good film", "bad film"], np.array([1, 0, 1, 0]))
    >>> [found.value for found in compare_linear(learn, Labelled(["good", "bad"], np.array([1, 0])), 2)]
    [1.0, 1.0]
    """
    texts, others = list(map(str, learn.x)), list(map(str, held.x))
    characters = sum(map(len, texts))
    if len(texts) > MOST_TEXTS or characters > MOST_CHARACTERS:
        why = f"it takes up to {MOST_TEXTS:,} texts of {MOST_CHARACTERS:,} characters in all, and there are "
        why += f"{len(texts):,} of {characters:,}"
        names, measure = ("TF-IDF of words", _BAYES), "micro_f1" if learn.several else "accuracy"
        yield from (Baseline(name + _RULE, measure, None, skipped=why) for name in names)
        return
    yield from _fit_both(texts, learn, others, held.y, classes)


def _fit_both(
    texts: list[str], learn: Labelled, others: list[str], y: NDArray[Any], classes: int
) -> Iterator[Baseline]:
    start, truth = time.perf_counter(), learn.truth(classes)
    least, most = least_texts(len(texts)), most_ngrams(classes)
    tokenizer = train_words(texts, MOST_WORDS, min_count=least)
    tokens = tokenizer.encode(texts)
    grams, found = learn_grams(tokens, size=tokenizer.size, longest=2, least=least, most=most)
    spelled = spell_out(tokenizer, texts) if len(tokens.values) < SHORT * len(texts) else None
    plain = "TF-IDF of words" if spelled is None else "TF-IDF of words and characters"
    for name, letters in ((plain, spelled), (_BAYES, None)):
        features, rows = learn_features(found, tokens, letters, len(grams), most=most)
        ratios = np.ones((features.width, classes), np.float32)
        if name == _BAYES:
            ratios = naive_bayes(rows, truth, features.width)
        linear = fit_linear(rows, truth, ratios=ratios, apart=learn.several)
        scores = np.concatenate([linear(_describe(some, tokenizer, grams, features)) for some in _parts(others)])
        measure, reached = _measure(scores, y, several=learn.several)
        yield Baseline(name + _RULE, measure, reached, time.perf_counter() - start)
        start = time.perf_counter()


def _measure(scores: Floats, y: NDArray[Any], *, several: bool) -> tuple[str, float]:
    """Measure scores `[B, K]` against the classes `[B]`, or against which labels there are, `[B, K]`."""
    if several:
        return "micro_f1", judge_labels(y > 0.5, scores > 0, range(scores.shape[1]))[0]["micro_f1"]
    return "accuracy", float((scores.argmax(axis=1) == y).mean())


def _describe(texts: list[str], tokenizer: Tokenizer, grams: Grams, features: Features) -> Sparse:
    tokens = tokenizer.encode(texts)
    spelled = None if features.spellings is None else spell_out(tokenizer, texts)
    return features.of(grams.find(tokens), tokens, spelled)


def _parts(texts: list[str]) -> Iterator[list[str]]:
    for begin in range(0, len(texts), _AT_ONCE):
        yield texts[begin : begin + _AT_ONCE]
