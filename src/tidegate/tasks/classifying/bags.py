"""The n-grams of a whole text as features of a linear model: TF-IDF over words, and over the characters in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tidegate.data.grams import Counted, Grams, learn_grams
from tidegate.documents import Sparse
from tidegate.ragged import Ragged

Floats: TypeAlias = NDArray[np.float32]
Numbers: TypeAlias = NDArray[np.int64]

CHARACTERS = 5  # of the longest n-gram
_UNKNOWN = 0


@dataclass(frozen=True, eq=False)
class Rarity:
    """Hold how much each of F features counts for being rare, `[F]`: log((1 + B) / (1 + texts with it)) + 1."""

    weight: Floats

    @classmethod
    def of(cls, counted: Counted, rows: int, features: int) -> Rarity:
        """Learn it from the training part."""
        texts = np.bincount(counted.feature, minlength=features)
        return cls((np.log((1 + rows) / (1 + texts)) + 1).astype(np.float32))

    def weigh(self, counted: Counted, rows: int) -> Sparse:
        """Turn counts into TF-IDF, (1 + log times) * rarity, each row of length one."""
        values = (1 + np.log(counted.times)) * self.weight[counted.feature]
        length = np.sqrt(np.bincount(counted.row, weights=values * values, minlength=rows))
        begins = np.searchsorted(counted.row, np.arange(rows + 1))
        columns = Ragged(counted.feature.astype(np.int32), begins)
        return Sparse(columns, (values / length[counted.row]).astype(np.float32))


@dataclass(frozen=True, eq=False)
class Spellings:
    """Hold the n-grams of characters within words, whose ends count as spaces."""

    letters: str
    """The characters that are told apart, in the order of their ids, from 1 on."""
    grams: Grams

    @classmethod
    def learn(cls, words: Sequence[str], *, most: int) -> Spellings:
        """Learn the n-grams of distinct words, at most so many of each length: those that stand in the most words."""
        letters = "".join(sorted({letter for word in words for letter in word} | {" "}))
        grams, _ = learn_grams(_spelled(words, letters), size=len(letters) + 1, longest=CHARACTERS, most=most)
        return cls(letters, grams)

    def find(self, words: Sequence[str]) -> Ragged:
        """List the n-grams of each word, as often as they stand in it."""
        spelled = _spelled(words, self.letters)
        found = self.grams.find(spelled).ravel()
        ends = spelled.offsets * CHARACTERS
        kept = found >= 0
        return Ragged(found[kept], np.concatenate([[0], np.cumsum(kept)])[ends])


def join(blocks: Sequence[Sparse], widths: Sequence[int]) -> Sparse:
    """Put the columns of blocks of features side by side; each has the same rows."""
    if len(blocks) == 1:
        return blocks[0]
    row = np.concatenate([np.repeat(np.arange(len(block)), block.columns.lengths) for block in blocks])
    begins = np.cumsum([0, *widths[:-1]])
    columns = np.concatenate([block.columns.values + begin for block, begin in zip(blocks, begins, strict=True)])
    order = np.argsort(row, kind="stable")
    offsets = np.searchsorted(row[order], np.arange(len(blocks[0]) + 1))
    values = np.concatenate([block.values for block in blocks])
    return Sparse(Ragged(columns[order].astype(np.int32), offsets), values[order])


def naive_bayes(features: Sparse, truth: Floats, width: int) -> Floats:
    """Say how much more likely each of F features is in texts of a class than in all others, `[F, K]`, as a log.

    One text of each class and feature is imagined, and what counts is whether a text has a feature.
    """
    columns, K = np.asarray(features.columns.values), truth.shape[1]
    row = np.repeat(np.arange(len(features)), features.columns.lengths)
    texts = np.stack([np.bincount(columns, weights=truth[row, k], minlength=width) for k in range(K)], axis=1)
    others = texts.sum(axis=1, keepdims=True) - texts
    mine, theirs = 1 + texts, 1 + others
    return np.asarray(np.log((mine / mine.sum(axis=0)) / (theirs / theirs.sum(axis=0))), np.float32)


def _spelled(words: Sequence[str], letters: str) -> Ragged:
    """Turn words into ids of their characters, 0 for one that is not told apart, with a space at both ends."""
    table = np.zeros(max(map(ord, letters), default=0) + 1, np.int32)
    table[[ord(letter) for letter in letters]] = np.arange(1, len(letters) + 1)
    text = "".join(f" {word} " for word in words)
    codes = np.frombuffer(text.encode("utf-32-le", errors="surrogatepass"), np.uint32)
    ids = np.where(codes < len(table), table[np.minimum(codes, len(table) - 1)], _UNKNOWN)
    return Ragged(ids.astype(np.int32), np.cumsum([0, *(len(word) + 2 for word in words)]))
