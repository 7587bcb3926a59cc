"""Fills the gap in a sentence from what stands on its left, on its right, and on both sides. Knows ids and words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate import kernels
from tidegate.errors import InputError
from tidegate.ragged import Ragged
from tidegate.runtime import Executor
from tidegate.tasks._corpus import Vocabulary

Array: TypeAlias = npt.NDArray[Any]

_BLANK = re.compile(r"_{2,}")


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
    begun = Ragged.from_list([[vocabulary.start, *left], [vocabulary.end, *right[::-1]]], dtype=np.int32)
    rows, _ = executor.advance(begun, {})
    ahead, back = np.log(kernels.softmax(executor.head(rows[np.asarray(begun.offsets[1:]) - 1])).astype(np.float64))
    prior = np.log((vocabulary.counts + 1) / (vocabulary.counts + 1).sum())
    return Completion(*(_best(vocabulary, scores, count) for scores in (ahead + back - prior, ahead, back)))


def _best(vocabulary: Vocabulary, scores: Array, count: int) -> tuple[Guess, ...]:
    """Name the best words; the marks and the unknown word are no words."""
    words = scores[1 : vocabulary.start]
    shares = np.exp(words - words.max())
    shares /= shares.sum()
    order = np.argsort(-shares, kind="stable")[:count]
    return tuple(Guess(vocabulary.tokenizer.vocabulary[index + 1], float(shares[index])) for index in order)
