"""Probabilities of n-grams from counts: interpolated modified Kneser-Ney (Chen and Goodman 1999, section 4). Knows ids.

As in Heafield et al. 2013, an n-gram that does not begin a text counts, below the longest, as often as there are
different tokens before it, and single tokens are interpolated with the uniform distribution, so that an unknown one has
a probability, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.ragged import Ragged

Array: TypeAlias = npt.NDArray[Any]

UNKNOWN, BEGIN, END = 0, 1, 2
NEVER = -99.0  # log10, as ARPA files write it
_FALLBACK = np.array([0.0, 0.5, 1.0, 1.5])  # where the corpus is too small to tell, as `lmplz --discount_fallback`


@dataclass(frozen=True, eq=False)
class Level:
    """Hold the n-grams of one length in the order of their numbers.

    parent: of each, the number of the n-gram one shorter that it goes on from.
    token: of each, its last id.
    suffix: of each, the number of the n-gram one shorter that it ends with.
    count: how often each counts.
    """

    parent: Array
    token: Array
    suffix: Array
    count: Array


def count_levels(texts: Ragged, vocabulary: int, order: int) -> list[Level]:
    """Count the n-grams of texts of ids, each between its marks, up to `order` ids."""
    ids, ends = np.asarray(texts.values, np.int64), np.repeat(np.asarray(texts.offsets[1:]), texts.lengths)
    at = np.arange(len(ids))  # where an n-gram begins
    number = ids.copy()  # of each, among those of its length
    every = np.arange(vocabulary)
    none = np.zeros(vocabulary, np.int64)
    levels = [Level(none, every, none, np.bincount(ids, minlength=vocabulary))]
    before = number
    for longer in range(2, order + 1):
        stays = at[: len(number)] + longer <= ends[: len(number)]
        begins = np.flatnonzero(stays)
        keys, first, inverse, count = np.unique(
            number[begins] * vocabulary + ids[begins + longer - 1],
            return_index=True,
            return_inverse=True,
            return_counts=True,
        )
        suffix = before[begins[first] + 1]
        levels[-1] = _distinct(levels[-1], suffix, _begin_texts(levels))
        levels.append(Level(keys // vocabulary, keys % vocabulary, suffix, count))
        number = np.full(len(ids), -1)
        number[begins] = inverse.reshape(-1)
        before = number
    levels[0].count[BEGIN] = 0  # which is never foreseen
    return levels


def _begin_texts(levels: list[Level]) -> Array:
    """Tell which n-grams of the longest length so far begin a text."""
    begins: Array = np.asarray(levels[0].token == BEGIN)
    for level in levels[1:]:
        begins = begins[level.parent]
    return begins


def _distinct(level: Level, suffix: Array, begins: Array) -> Level:
    """Count how many different tokens stand before each n-gram, in place of how often it stands."""
    distinct = np.bincount(suffix, minlength=len(level.count))
    return Level(level.parent, level.token, level.suffix, np.where(begins, level.count, distinct))


def discounts(count: Array) -> Array:
    """Say what is taken from counts of 0, 1, 2, and 3 or more, [4]."""
    t1, t2, t3, t4 = (float((count == j).sum()) for j in (1, 2, 3, 4))
    if not (t1 and t2 and t3):
        return _FALLBACK
    share = t1 / (t1 + 2 * t2)
    found = np.array([0.0, 1 - 2 * share * t2 / t1, 2 - 3 * share * t3 / t2, 3 - 4 * share * t4 / t3])
    return found if (found >= 0).all() and (found <= np.arange(4)).all() else _FALLBACK


def estimate(levels: list[Level]) -> tuple[list[Array], list[Array]]:
    """Give log10 of the probability of each n-gram and of its back-off weight, length by length.

    A back-off is what is left, of all that may follow an n-gram, to those that never did.
    """
    probability: list[Array] = []
    backoff: list[Array] = []
    below = np.array([1.0])
    for level in levels:
        taken = discounts(level.count)[np.minimum(level.count, 3)]
        contexts = len(below) if probability else 1
        total = np.bincount(level.parent, level.count, contexts)
        left = np.bincount(level.parent, taken, contexts)
        some = total > 0
        gamma = np.divide(left, total, out=np.ones(contexts), where=some)
        if probability:
            own = np.divide(level.count - taken, total[level.parent])
            backoff.append(np.where(some, _log10(gamma), 0.0))
            below = own + gamma[level.parent] * below[level.suffix]
        else:
            foreseen = len(level.count) - 1  # all but the mark of the start
            below = (level.count - taken) / total[0] + gamma[0] / foreseen
            below[BEGIN] = 0
        probability.append(_log10(below))
    backoff.append(np.zeros(len(below)))
    return probability, backoff


def _log10(values: Array) -> Array:
    return np.log10(values, out=np.full(len(values), NEVER), where=values > 0)
