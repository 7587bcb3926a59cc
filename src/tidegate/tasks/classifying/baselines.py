"""The two linear models that a classifier of texts is read against. Knows neither networks nor files.

One is the logistic regression over TF-IDF that everybody tries first, the other that of Wang & Manning (2012), whose
features are weighed by naive Bayes. Both are fitted by the engine, and both are bounded in time and memory.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tidegate.data.grams import Counted, Grams, count_features, learn_grams
from tidegate.data.tokenizer import train_words
from tidegate.documents import Sparse
from tidegate.engine.linear import fit_linear
from tidegate.ragged import Ragged
from tidegate.tasks.baselines import Baseline
from tidegate.tasks.classifying.bags import Rarity, Spellings, bag, join, naive_bayes
from tidegate.tasks.classifying.labelled import Labelled, hold_out, learn_classes, pair_known

if TYPE_CHECKING:
    from tidegate.data import Examples
    from tidegate.tasks.task import AnyTask

Floats: TypeAlias = NDArray[np.float32]
Answer: TypeAlias = Callable[[list[str]], NDArray[np.int64]]
"""Says the number of the class of each text."""

MOST_TEXTS = 200_000
MOST_CHARACTERS = 50_000_000
MOST_SPELLED = 5_000_000  # characters of all texts, up to which their n-grams are features, too
_MOST_WEIGHTS = 2**22  # of the n-grams of one length, over all classes
_MOST_WORDS = 2**17
_AT_ONCE = 1000  # texts that are described together


def fit_baselines(model: AnyTask, train: Examples, measured: Examples | None) -> Iterator[Baseline]:
    """Fit both linear models to labelled texts, and measure their accuracy; see `FitBaselines`."""
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
    spells = characters <= MOST_SPELLED
    models: dict[str, Callable[[], Answer]] = {
        f"TF-IDF of words{' and characters' * spells} + logistic regression": lambda: _fit_tfidf(texts, truth, spells),
        "naive-Bayes bigrams + logistic regression": lambda: _fit_bayes(texts, truth),
    }
    if len(texts) > MOST_TEXTS or characters > MOST_CHARACTERS:
        why = f"it takes up to {MOST_TEXTS:,} texts of {MOST_CHARACTERS:,} characters in all, and there are "
        why += f"{len(texts):,} of {characters:,}"
        yield from (Baseline(name, "accuracy", None, skipped=why) for name in models)
        return
    truth = np.eye(classes, dtype=np.float32)[learn.y]
    for name, fit in models.items():
        start = time.perf_counter()
        answer = fit()
        found = np.concatenate([answer(some) for some in _parts(others)])
        yield Baseline(name, "accuracy", float(np.mean(found == held.y)), time.perf_counter() - start)


def _fit_tfidf(texts: list[str], truth: Floats, spells: bool) -> Answer:
    """Fit a logistic regression to TF-IDF of 1-2 words between spaces and, if wanted, 1-5 characters of words."""
    readers: list[_Words | _Letters] = [_Words.learn(texts, truth.shape[1])]
    readers += [_Letters.learn(texts)] if spells else []
    counted = [reader.count(texts) for reader in readers]
    rarities = [Rarity.of(block, len(texts), reader.width) for block, reader in zip(counted, readers, strict=True)]
    widths = [reader.width for reader in readers]

    def weighed(blocks: list[Counted], rows: int) -> Sparse:
        return join([rarity.weigh(block, rows) for rarity, block in zip(rarities, blocks, strict=True)], widths)

    ones = np.ones((sum(widths), truth.shape[1]), np.float32)
    linear = fit_linear(weighed(counted, len(texts)), truth, ratios=ones, C=10.0)
    return lambda some: linear(weighed([reader.count(some) for reader in readers], len(some))).argmax(axis=1)


def _fit_bayes(texts: list[str], truth: Floats) -> Answer:
    """Fit a logistic regression to which 1-2 words and marks a text has, weighed by what naive Bayes says of each."""
    tokenizer = train_words(texts, _MOST_WORDS)
    tokens = tokenizer.encode(texts)
    grams, found = learn_grams(tokens, size=tokenizer.size, longest=2, most=_MOST_WEIGHTS // truth.shape[1])
    features = _present(bag(found, _rows(tokens), len(grams)), len(texts))
    linear = fit_linear(features, truth, ratios=naive_bayes(features, truth, len(grams)), C=1.0)

    def answer(some: list[str]) -> NDArray[np.int64]:
        tokens = tokenizer.encode(some)
        counted = bag(grams.find(tokens), _rows(tokens), len(grams))
        return np.asarray(linear(_present(counted, len(some))).argmax(axis=1))

    return answer


def _parts(texts: list[str]) -> Iterator[list[str]]:
    for begin in range(0, len(texts), _AT_ONCE):
        yield texts[begin : begin + _AT_ONCE]


def _present(counted: Counted, rows: int) -> Sparse:
    begins = np.searchsorted(counted.row, np.arange(rows + 1))
    return Sparse(Ragged(counted.feature.astype(np.int32), begins), np.ones(len(counted.feature), np.float32))


def _rows(tokens: Ragged) -> NDArray[np.int64]:
    return np.repeat(np.arange(len(tokens)), tokens.lengths)


def _split(texts: list[str]) -> tuple[list[str], Ragged]:
    """List the distinct words between spaces, in small letters, and where each stands, numbered from 1 on."""
    number: dict[str, int] = {}
    ids = [[number.setdefault(word, len(number) + 1) for word in text.lower().split()] for text in texts]
    return list(number), Ragged.from_list(ids, dtype=np.int32)


@dataclass(frozen=True, eq=False)
class _Words:
    """Count the n-grams of one and two words."""

    number: dict[str, int]
    grams: Grams

    @classmethod
    def learn(cls, texts: list[str], classes: int) -> _Words:
        words, tokens = _split(texts)
        grams, _ = learn_grams(tokens, size=len(words) + 1, longest=2, most=_MOST_WEIGHTS // classes)
        return cls({word: at for at, word in enumerate(words, 1)}, grams)

    @property
    def width(self) -> int:
        return len(self.grams)

    def count(self, texts: list[str]) -> Counted:
        words, tokens = _split(texts)
        known = np.array([0, *(self.number.get(word, 0) for word in words)], np.int32)
        tokens = tokens.with_values(known[np.asarray(tokens.values)])
        return bag(self.grams.find(tokens), _rows(tokens), self.width)


@dataclass(frozen=True, eq=False)
class _Letters:
    """Count the n-grams of one to five characters within words that stand in two texts or more."""

    spellings: Spellings
    place: NDArray[np.int32]  # of each n-gram among those that are counted, or -1

    @classmethod
    def learn(cls, texts: list[str]) -> _Letters:
        spellings = Spellings.learn(sorted({word for text in texts for word in text.lower().split()}), least=1)
        every = cls(spellings, np.arange(len(spellings.grams), dtype=np.int32))
        frequent = np.bincount(every.count(texts).feature, minlength=every.width) >= 2
        return cls(spellings, np.where(frequent, np.cumsum(frequent) - 1, -1).astype(np.int32))

    @property
    def width(self) -> int:
        return int(self.place.max(initial=-1)) + 1

    def count(self, texts: list[str]) -> Counted:
        parts = [self._count(some) for some in _parts(texts)]
        row = np.concatenate([part.row + at * _AT_ONCE for at, part in enumerate(parts)])
        feature, times = (np.concatenate([getattr(part, name) for part in parts]) for name in ("feature", "times"))
        return Counted(row, feature, times)

    def _count(self, texts: list[str]) -> Counted:
        words, tokens = _split(texts)
        if not words:
            return count_features(np.zeros(0, np.int64), np.zeros(0, np.int32), self.width)
        of_token = self.spellings.find(words).select(np.asarray(tokens.values) - 1)
        row = np.repeat(_rows(tokens), of_token.lengths)
        return count_features(row, self.place[np.asarray(of_token.values)], self.width)
