"""A linear-chain conditional random field over ragged batches: sums over all paths, their gradient, the best paths.

Knows arrays and scores, not what the tags mean. Everything is computed in float64, to the same bits on every
instruction set and number of threads, alone and in any batch.

Shape letters: ``N B K P`` = tokens, sequences, tags, paths. A path gives each token of a sequence a tag; its score is
the sum of what it meets: ``start`` of its first tag, ``emissions`` of each token, ``transitions`` from tag to tag,
``end`` of its last. Its probability is exp(score) over the sum of exp(score) of all paths (Lafferty, McCallum, Pereira
2001).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tidegate._core as _core
from tidegate.errors import InputError, ShapeError
from tidegate.kernels.checks import check_offsets
from tidegate.kernels.threads import thread_count

Array = NDArray[Any]

FORBIDDEN = -1e4
"""A score that no path with a probability above zero meets, and that can still be added to others."""


class Scores:
    """Hold the scores of a batch, checked and in float64.

    Args:
        emissions: [N, K], float32 or float64; K is at least 1.
        offsets: [B + 1] int64.
        transitions: [K, K], the row is where a move comes from.
        start: [K].
        end: [K].
        num_threads: for the kernels; None takes their own setting. The numbers do not depend on it.

    Raises:
        ShapeError: an array has another shape, or no floating point numbers.
    """

    def __init__(
        self,
        emissions: Array,
        offsets: Array,
        transitions: Array,
        start: Array,
        end: Array,
        *,
        num_threads: int | None = None,
    ) -> None:
        if emissions.ndim != 2 or not emissions.shape[1]:
            raise ShapeError(f"emissions are {list(emissions.shape)} but [N, K] is wanted, K at least 1.")
        self.N, self.K = emissions.shape
        self.emissions = _float64("emissions", emissions, (self.N, self.K))
        self.offsets = check_offsets(offsets, self.N)
        self.transitions = _float64("transitions", transitions, (self.K, self.K))
        self.start = _float64("start", start, (self.K,))
        self.end = _float64("end", end, (self.K,))
        self.threads = thread_count(num_threads)

    @property
    def arrays(self) -> tuple[Array, Array, Array, Array, Array]:
        """All of them, in the order of the arguments."""
        return self.emissions, self.offsets, self.transitions, self.start, self.end


@dataclass(frozen=True)
class Sums:
    """Hold sums over all paths: their logarithms ``log_partition`` [B], and the shares ``alpha`` [N, K] behind them."""

    log_partition: Array
    alpha: Array


@dataclass(frozen=True)
class Gradients:
    """Hold gradients, each in the shape of what it is the gradient of."""

    emissions: Array
    transitions: Array
    start: Array
    end: Array


def forward(scores: Scores) -> Sums:
    """Sum exp(score) over all paths of each sequence; a sequence of length zero has the log of the sum 0.

    Scores that lie more than 300 below the largest of their kind at a token count as 300 below it.

    >>> zero = np.zeros(2)
    >>> four_paths = Scores(np.zeros((2, 2)), np.array([0, 2]), np.zeros((2, 2)), zero, zero)
    >>> float(np.exp(forward(four_paths).log_partition[0]).round(9))
    4.0
    """
    sums = Sums(np.empty(len(scores.offsets) - 1), np.empty((scores.N, scores.K)))
    _core.crf_forward(*scores.arrays, sums.alpha, sums.log_partition, scores.threads)
    return sums


def backward(scores: Scores, sums: Sums, weight: Array) -> Gradients:
    """Return the gradient of ``(weight [B] * log_partition).sum()``, given what `forward` returned."""
    weight = _float64("weight", weight, sums.log_partition.shape)
    found = Gradients(*(np.empty_like(array) for array in (scores.emissions, *scores.arrays[2:])))
    parts = (found.emissions, found.transitions, found.start, found.end)
    _core.crf_backward(*scores.arrays, sums.alpha, weight, *parts, scores.threads)
    return found


def marginals(scores: Scores) -> Array:
    """Compute the probability of each tag at each token over all paths, ``[N, K]``; rows sum to one.

    >>> only = Scores(np.array([[0.0, np.log(3.0)]]), np.array([0, 1]), np.zeros((2, 2)), np.zeros(2), np.zeros(2))
    >>> marginals(only).round(9).tolist()
    [[0.25, 0.75]]
    """
    sums = forward(scores)
    return backward(scores, sums, np.ones_like(sums.log_partition)).emissions


def path_scores(scores: Scores, tags: Array) -> Array:
    """Add up what one path of each sequence meets, [B]; -inf where one of its tags [N] lies outside of 0 to K - 1.

    >>> zero = np.zeros(2)
    >>> scores = Scores(np.array([[0.0, 2.0], [1.0, 0.0]]), np.array([0, 2]), np.eye(2), zero, zero)
    >>> path_scores(scores, np.array([1, 1])).tolist()
    [3.0]
    """
    B = len(scores.offsets) - 1
    row = np.repeat(np.arange(B), np.diff(scores.offsets))  # [N]
    known = (tags >= 0) & (tags < scores.K)
    path = np.where(known, tags, 0)
    met = np.where(known, scores.emissions[np.arange(scores.N), path], -np.inf)
    live = np.flatnonzero(np.diff(scores.offsets))
    first, last = scores.offsets[:-1][live], scores.offsets[1:][live] - 1
    inside = np.flatnonzero(row[1:] == row[:-1])  # words that have another after them in their sequence
    met[first] += scores.start[path[first]]
    met[last] += scores.end[path[last]]
    met[inside] += scores.transitions[path[inside], path[inside + 1]]
    return np.bincount(row, met, B)


def best_paths(scores: Scores, paths: int = 1) -> tuple[Array, Array]:
    """Find the paths with the largest scores, the best first (Viterbi 1967, with a list at each tag).

    Returns:
        Tags [P, N] int32 and scores [B, P]. Of equal scores the path with the smaller tags, read from the end, comes
        first. Where a sequence has fewer than P paths the score is -inf and the tags are 0; a sequence of length zero
        has one path, of score 0.

    Raises:
        InputError: ``paths`` is below 1.

    >>> zero = np.zeros(2)
    >>> tags, found = best_paths(Scores(np.array([[0.0, 2.0], [1.0, 0.0]]), np.array([0, 2]), np.eye(2), zero, zero), 2)
    >>> tags.tolist(), found.tolist()
    ([[1, 0], [1, 1]], [[3.0, 3.0]])
    """
    if paths < 1:
        raise InputError(f"{paths} paths were asked for; at least 1 is wanted.")
    tags = np.zeros((paths, scores.N), np.int32)
    found = np.empty((len(scores.offsets) - 1, paths))
    _core.crf_best(*scores.arrays, tags, found, scores.threads)
    return tags, found


def _float64(name: str, array: Array, shape: tuple[int, ...]) -> Array:
    if array.shape != shape or array.dtype not in (np.float32, np.float64):
        raise ShapeError(
            f"{name} are {array.dtype} {list(array.shape)} but float32 or float64 {list(shape)} is wanted."
        )
    return np.ascontiguousarray(array, np.float64)
