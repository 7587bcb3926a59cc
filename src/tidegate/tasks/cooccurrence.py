"""Learns vectors of words from texts alone: from which words stand near which. Knows ids, neither texts nor labels.

How much more often two words stand near each other than they would by chance, their positive pointwise mutual
information, makes a matrix, and the vectors are its leading directions. Skip-gram factorises the same matrix (Levy and
Goldberg 2014), and what else it does is done here, too (Levy, Goldberg and Dagan 2015): neighbours count less the
farther they are, frequent words are thinned out, and rare ones held down. Where skip-gram draws pairs for minutes, they
are counted here once. Every sum has an order that the texts alone decide, so that the numbers are the same to the bit
on any machine.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.kernels import log, product, sparse_product
from tidegate.ragged import Ragged

Floats: TypeAlias = npt.NDArray[np.float64]
Numbers: TypeAlias = npt.NDArray[np.int64]

WINDOW = 5  # words to either side are near
_THIN = 1e-4  # of words that make up a larger share of the texts than this, some are not counted
_TURNS = 8  # of the search for the leading directions
_MORE = 16  # directions that are searched for besides those that are wanted, which makes these exact sooner
_AT_ONCE = 1 << 22  # tokens that are counted together; it decides the order of sums, and so their last bits


def learn_vectors(tokens: Ragged, *, words: int, size: int, seed: int) -> npt.NDArray[np.float32]:
    """Learn a vector for each of V words, `[V, size]`, whose numbers have a mean square of one.

    Frequent words would have long vectors and rare ones short ones: all get the same length. Rows of words that stand
    near no other one, and columns beyond what the texts tell, are drawn at the same scale.

    Args:
        tokens: the ids of texts; 0 stands for words that are not known, which are near nothing.
        words: V, how many ids there are.
        size: of a vector.
        seed: of what is drawn, and of where the search begins.

    >>> tokens = Ragged.from_list([[1, 2], [3, 4], [1, 2, 5], [3, 4, 5]], dtype=np.int32)
    >>> learn_vectors(tokens, words=6, size=2, seed=0).shape
    (6, 2)
    """
    rng = np.random.default_rng([seed, 0xE])
    most = math.sqrt(3)  # uniform numbers up to that have a mean square of one
    table = rng.uniform(-most, most, (words, size))
    column, value, offsets = _information(*_count_pairs(tokens, words), _thinned(tokens, words), words)
    known = np.flatnonzero(np.diff(offsets))
    if len(known) == 0:
        return table.astype(np.float32)
    found, strength = rng.random((words, min(size + _MORE, words))) - 0.5, np.zeros(0)
    for _ in range(_TURNS):
        found, strength = _orthonormal(sparse_product(column, value, offsets, found))
    told = np.flatnonzero(strength[:size])
    vectors = (found[:, told] * np.sqrt(strength[told]))[known]
    length = np.sqrt(np.cumsum(np.square(vectors), axis=1)[:, -1:] / len(told))
    table[np.ix_(known, told)] = vectors / np.maximum(length, 1e-30)
    return table.astype(np.float32)


def _thinned(tokens: Ragged, words: int) -> Floats:
    """Say how much of each word is counted, `[V]`."""
    counts = np.bincount(np.asarray(tokens.values), minlength=words)
    share = np.maximum(counts, 1) / max(len(tokens.values), 1)
    return np.minimum(1.0, np.sqrt(_THIN / share))


def _count_pairs(tokens: Ragged, words: int) -> tuple[Numbers, Floats]:
    """Count pairs of known words by how near they are; return their codes `[E]`, smaller id first, sorted, and sums."""
    ids = np.asarray(tokens.values).astype(np.int64)
    text = np.repeat(np.arange(len(tokens)), np.asarray(tokens.lengths))
    codes: Numbers = np.zeros(0, np.int64)
    sums: Floats = np.zeros(0)
    for begin in range(0, len(ids), _AT_ONCE):
        parts: list[Numbers] = [codes]
        counted: list[Floats] = [sums]
        for distance in range(1, WINDOW + 1):
            left = np.arange(begin, min(begin + _AT_ONCE, len(ids) - distance))
            right = left + distance
            near = (text[left] == text[right]) & (ids[left] > 0) & (ids[right] > 0)
            one, other = ids[left[near]], ids[right[near]]
            pairs, times = np.unique(np.minimum(one, other) * words + np.maximum(one, other), return_counts=True)
            parts.append(pairs)
            counted.append(times.astype(np.float64) * (1 + (1 - distance) / WINDOW))
        codes, where = np.unique(np.concatenate(parts), return_inverse=True)
        sums = np.bincount(where, np.concatenate(counted), len(codes)).astype(np.float64, copy=False)
    return codes, sums


def _information(
    codes: Numbers, sums: Floats, thinned: Floats, words: int
) -> tuple[npt.NDArray[np.int32], Floats, Numbers]:
    """Compute the positive pointwise mutual information of words; return its columns, values and the offsets of rows.

    It is the mean of two: either word is taken for the context, whose share is that of its counts to the power of 0.75.
    """
    one, other = np.divmod(codes, words)
    sums = sums * thinned[one] * thinned[other]
    mixed = one != other  # stands on both sides of the diagonal; the same word is near itself twice
    row, column = np.concatenate([one, other[mixed]]), np.concatenate([other, one[mixed]])
    value = np.concatenate([np.where(mixed, sums, 2 * sums), sums[mixed]])
    total = np.bincount(row, weights=value, minlength=words)
    contexts = np.cumsum(np.sqrt(total) * np.sqrt(np.sqrt(total)))[-1]
    each = 0.875 * log(np.maximum(total, 1e-30))
    value = log(value) - each[row] - each[column] + log(np.array([max(contexts, 1e-30)]))
    kept = np.flatnonzero(value > 0)
    kept = kept[np.argsort(row[kept] * words + column[kept])]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(row[kept], minlength=words))])
    return column[kept].astype(np.int32), value[kept], offsets


def _orthonormal(x: Floats) -> tuple[Floats, Floats]:
    """Make the columns of a matrix orthonormal, each to those before it; return them, and how long each then was.

    A column that lies in those before it becomes zeros. This is the triangular decomposition of `x.T @ x`, written so
    that only products whose order is known are summed.
    """
    left = product(np.ascontiguousarray(x.T), x)
    width = len(left)
    least = 1e-12 * max(float(left.diagonal().max()), 1e-300)
    inverse, length = np.eye(width), np.zeros(width)
    for at in range(width):
        if left[at, at] <= least:
            inverse[at] = 0
            left[at] = 0
            continue
        length[at] = math.sqrt(left[at, at])
        inverse[at] /= length[at]
        ahead = left[at] / length[at]
        left[at + 1 :] -= np.outer(ahead[at + 1 :], ahead)
        inverse[at + 1 :] -= np.outer(ahead[at + 1 :], inverse[at])
    return product(x, np.ascontiguousarray(inverse.T)), length
