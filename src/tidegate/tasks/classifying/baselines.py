"""The two linear models that a classifier of texts is read against. Knows neither networks nor files.

One is the logistic regression over TF-IDF that everybody tries first: of 1 and 2 words and, where texts are short, of 1
to 5 characters within words. The other is over words alone, and weighed by naive Bayes (after Wang & Manning 2012).
Both are fitted by the engine, and both are bounded in time and memory.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tidegate.data.grams import Grams, learn_grams
from tidegate.data.labels import hold_several
from tidegate.data.tokenizer import Tokenizer, train_words
from tidegate.documents import Sparse
from tidegate.engine.linear import fit_linear
from tidegate.tasks.baselines import Baseline
from tidegate.tasks.classifying.bags import naive_bayes
from tidegate.tasks.classifying.labelled import Labelled, hold_out, learn_classes, pair_known
from tidegate.tasks.classifying.ngrams import SHORT, Features, learn_features

if TYPE_CHECKING:
    from tidegate.data import Examples
    from tidegate.tasks.task import AnyTask

Floats: TypeAlias = NDArray[np.float32]

MOST_TEXTS = 200_000
MOST_CHARACTERS = 50_000_000
_MOST_WEIGHTS = 2**22  # of the n-grams of one length, over all classes
_MOST_WORDS = 2**17
_MANY = 15_000  # texts from which on what stands in one text alone is left away
_AT_ONCE = 1000  # texts that are described together
_RULE = " + logistic regression"
_BAYES = "naive-Bayes bigrams"


def fit_baselines(model: AnyTask, train: Examples, measured: Examples | None) -> Iterator[Baseline]:
    """Fit both linear models to labelled texts, and measure their accuracy; see `FitBaselines`.

    Of texts with several labels there are none yet.
    """
    if hold_several(list(train.y)):
        return
    learn, classes = learn_classes(list(train.x), train.y)
    held: Labelled | None
    if measured is not None:
        held = pair_known(list(measured.x), measured.y, classes, name="y")
    else:
        params = model.get_params()
        with warnings.catch_warnings(action="ignore"):  # what it warns of was said when the network was trained
            learn, held = hold_out(learn, params["validation_fraction"], seed=params["seed"])
    if held is not None:
        yield from compare_linear(learn, held, len(classes))


def compare_linear(learn: Labelled, held: Labelled, classes: int) -> Iterator[Baseline]:
    """Fit both models to some texts and measure them on others.

    >>> learn = Labelled(["so good", "so bad", "good film", "bad film"], np.array([1, 0, 1, 0]))
    >>> [found.value for found in compare_linear(learn, Labelled(["good", "bad"], np.array([1, 0])), 2)]
    [1.0, 1.0]
    """
    texts, others = list(map(str, learn.x)), list(map(str, held.x))
    characters = sum(map(len, texts))
    if len(texts) > MOST_TEXTS or characters > MOST_CHARACTERS:
        why = f"it takes up to {MOST_TEXTS:,} texts of {MOST_CHARACTERS:,} characters in all, and there are "
        why += f"{len(texts):,} of {characters:,}"
        names = ("TF-IDF of words", _BAYES)
        yield from (Baseline(name + _RULE, "accuracy", None, skipped=why) for name in names)
        return
    truth = np.eye(classes, dtype=np.float32)[learn.y]
    start = time.perf_counter()
    counted = _Counted.of(texts, _MOST_WEIGHTS // classes)
    plain = "TF-IDF of words" + " and characters" * counted.spells
    for name, spells in ((plain, counted.spells), (_BAYES, False)):
        features = counted.describe(texts, spells=spells)
        width = (counted.both if spells else counted.words).width
        ratios = naive_bayes(features, truth, width) if name == _BAYES else np.ones((width, classes), np.float32)
        linear = fit_linear(features, truth, ratios=ratios)
        scores = [linear(counted.describe(some, spells=spells)) for some in _parts(others)]
        right = np.concatenate(scores).argmax(axis=1) == held.y
        yield Baseline(name + _RULE, "accuracy", float(right.mean()), time.perf_counter() - start)
        start = time.perf_counter()


def _parts(texts: list[str]) -> Iterator[list[str]]:
    for begin in range(0, len(texts), _AT_ONCE):
        yield texts[begin : begin + _AT_ONCE]


@dataclass(frozen=True, eq=False)
class _Counted:
    """Hold the n-grams of some texts.

    words: features of 1 and 2 words.
    both: with 1 to 5 characters within words, where texts are short; else the same.
    """

    tokenizer: Tokenizer
    grams: Grams
    words: Features
    both: Features

    @classmethod
    def of(cls, texts: list[str], most: int) -> _Counted:
        least = 1 if len(texts) <= _MANY else 2
        tokenizer = train_words(texts, _MOST_WORDS, min_count=least)
        tokens = tokenizer.encode(texts)
        grams, found = learn_grams(tokens, size=tokenizer.size, longest=2, least=least, most=most)
        words = learn_features(found, tokens, None, len(grams))
        if len(tokens.values) >= SHORT * len(texts):
            return cls(tokenizer, grams, words, words)
        return cls(tokenizer, grams, words, learn_features(found, tokens, _spelled(tokenizer, texts), len(grams)))

    @property
    def spells(self) -> bool:
        return self.both is not self.words

    def describe(self, texts: list[str], *, spells: bool) -> Sparse:
        tokens = self.tokenizer.encode(texts)
        spelled = _spelled(self.tokenizer, texts) if spells else None
        return (self.both if spells else self.words).of(self.grams.find(tokens), tokens, spelled)


def _spelled(tokenizer: Tokenizer, texts: list[str]) -> list[str]:
    return [word for text in texts for word in tokenizer.tokenize(text)]
