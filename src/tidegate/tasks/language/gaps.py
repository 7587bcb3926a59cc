"""Fills the gap in a sentence from what stands on its left, on its right, and on both sides. Knows ids and words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.errors import DataError, InputError
from tidegate.kernels import softmax
from tidegate.ragged import Ragged
from tidegate.runtime import Executor
from tidegate.tasks.language.corpus import Vocabulary, turned

Array: TypeAlias = npt.NDArray[Any]

_BLANK = re.compile(r"_{2,}")
_LEAST = 1e-30  # of a probability, where float32 holds none


@dataclass(frozen=True)
class Guess:
    """Hold a word and its probability."""

    word: str
    probability: float


@dataclass(frozen=True)
class Completion:
    """Hold the most probable words for a gap, best first, as seen from both sides and from each side alone."""

    both: tuple[Guess, ...]
    left: tuple[Guess, ...]
    right: tuple[Guess, ...]


def parts_of(text: str) -> tuple[str, str]:
    """Cut a text at its gap, two or more underscores.

    Raises InputError where there is none, or more than one.

    >>> parts_of("came out of the ___.")
    ('came out of the ', '.')
    """
    parts = _BLANK.split(text)
    if len(parts) != 2:
        found = "no gap" if len(parts) == 1 else f"{len(parts) - 1} gaps"
        raise InputError(f"{text!r:.80} has {found}. Mark the one word that is missing by ___.")
    return parts[0], parts[1]


def fill(executor: Executor, vocabulary: Vocabulary, text: str, *, count: int) -> Completion:
    """Rank the words for the gap of a text with a model that reads both ways.

    What the left side says of a word, p(w | left), and what the right side does, p(w | right), are joined as if the
    sides were independent given the word: p(w | both) is proportional to p(w | left) p(w | right) / p(w), where p(w) is
    the share of the word in the training part.

    Raises InputError for a text without one gap.
    """
    left, right = vocabulary.tokenizer.encode(list(parts_of(text)))
    before = Ragged.from_list([[vocabulary.start, *left]], dtype=np.int32)
    after = Ragged.from_list([[vocabulary.end, *right[::-1]]], dtype=np.int32)
    sides = _weigh(executor, vocabulary, before, after)
    return Completion(*(_best(vocabulary, sides[side][0], count) for side in ("both", "left", "right")))


def gap_accuracy(executor: Executor, vocabulary: Vocabulary, texts: list[str], *, seed: int = 0) -> dict[str, float]:
    """Compute how often the most probable word is the right one, in one gap per text, by side.

    The gap of a text falls on any of its words alike; where it falls on a word that is not known, the text is left out.

    Args:
        executor: of a model that reads both ways.
        vocabulary: its own.
        texts: with at least one known word among them.
        seed: another seed draws other gaps.

    Returns:
        A share each for `left`, `right` and `both`.
    """
    documents = vocabulary.documents(texts)
    backward = turned(documents)
    rng = np.random.default_rng([seed, 0x6A9])
    places = [int(rng.integers(1, max(2, len(ids) - 1))) for ids in documents]
    kept = [i for i, (ids, at) in enumerate(zip(documents, places, strict=True)) if 0 < ids[at] < vocabulary.start]
    if not kept:
        raise DataError("no text has a word that the model knows where a gap was drawn. Pass more texts.")
    before = Ragged.from_list([documents[i][: places[i]] for i in kept], dtype=np.int32)
    after = Ragged.from_list([backward[i][: len(backward[i]) - 1 - places[i]] for i in kept], dtype=np.int32)
    words = np.array([documents[i][places[i]] for i in kept])
    sides = _weigh(executor, vocabulary, before, after)
    best = {side: scores[:, 1 : vocabulary.start].argmax(axis=1) + 1 for side, scores in sides.items()}
    return {side: float((found == words).mean()) for side, found in best.items()}


def _weigh(executor: Executor, vocabulary: Vocabulary, before: Ragged, after: Ragged) -> dict[str, Array]:
    """Compute the logarithm of how much each side, and both, speak for each token in B gaps, `[B, V]`."""
    ahead, back = (np.log(np.maximum(_next(executor, side), _LEAST)) for side in (before, after))
    prior = np.log((vocabulary.counts + 1) / (vocabulary.counts + 1).sum())
    return {"left": ahead, "right": back, "both": ahead + back - prior}


def _next(executor: Executor, begun: Ragged) -> Array:
    """Compute the probability of each token to come next, `[B, V]` float64."""
    rows, _ = executor.advance(begun, {})
    shares: Array = softmax(executor.head(rows[np.asarray(begun.offsets[1:]) - 1])).astype(np.float64)
    return shares


def _best(vocabulary: Vocabulary, scores: Array, count: int) -> tuple[Guess, ...]:
    """Name the best words; the marks and the unknown word are no words."""
    words = scores[1 : vocabulary.start]
    shares = np.exp(words - words.max())
    shares /= shares.sum()
    order = np.argsort(-shares, kind="stable")[:count]
    return tuple(Guess(vocabulary.tokenizer.vocabulary[index + 1], float(shares[index])) for index in order)
