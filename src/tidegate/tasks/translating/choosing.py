"""Chooses how outputs go on: the best continuations of beams, or ones that are drawn. Knows scores, not sentences."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

import tidegate.kernels as kernels
from tidegate.runtime import Sampling

Array: TypeAlias = npt.NDArray[Any]
Chosen: TypeAlias = tuple[Array, Array, Array]
"""Continuations: the row that goes on, the id of the token, and the logarithm of the probability of all so far."""

_BLOCKS = 64  # parts of a row, whose largest scores tell which others cannot be wanted


def best_continuations(
    scores: Array, totals: Array, owners: Array, *, width: int, forced: Array | None = None
) -> Chosen:
    """Choose the `width` best continuations of each owner's rows, best first; of equal ones the earlier row and id.

    What a row gives depends on the rows of its owner alone.

    Args:
        scores: `[n, V]` float32, of which a softmax makes probabilities; minus infinity bars a token.
        totals: `[n]` float64, the logarithm of the probability of each row.
        owners: `[n]`, ascending.
        width: continuations of each owner at most.
        forced: `[n]`, the one token that a row may take, or -1; None where all may take any.

    >>> scores = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]], np.float32))
    >>> rows, ids, totals = best_continuations(scores, np.zeros(2), np.array([0, 0]), width=3)
    >>> rows.tolist(), ids.tolist()
    ([1, 0, 0], [1, 0, 1])
    """
    peaks, tops = _normal(scores)
    least = _least(scores, totals + tops - peaks, owners, width)  # [n]
    if forced is not None:
        least = np.where(forced >= 0, np.float32(np.inf), least)
    at = np.flatnonzero(scores >= least[:, None])
    rows, ids = at // scores.shape[1], at % scores.shape[1]
    if forced is not None:
        bound = np.flatnonzero(forced >= 0)
        rows, ids = np.concatenate([rows, bound]), np.concatenate([ids, forced[bound]])
    found = _logs(scores, peaks, tops, rows, ids) + totals[rows]
    order = np.lexsort((ids, rows, -found, owners[rows]))
    order = order[np.isfinite(found[order])]
    mine = owners[rows[order]]
    rank = np.arange(len(order)) - np.searchsorted(mine, mine)
    order = order[rank < width]
    return rows[order], ids[order], found[order]


def drawn_continuations(
    scores: Array, totals: Array, drawn: Array, sampling: Sampling, *, forced: Array | None = None
) -> Chosen:
    """Draw one continuation of each row; its probability is counted as it was before it was sharpened.

    Args:
        scores: `[n, V]` float32; minus infinity bars a token.
        totals: `[n]` float64.
        drawn: `[n]`, a random number from 0 to 1 for each.
        sampling: how; the temperature 0 takes the most probable token.
        forced: `[n]`, the token that a row must take, or -1; None where none must.
    """
    peaks, tops = _normal(scores)
    ids = kernels.sample(scores, drawn, **sampling.how)
    if forced is not None:
        ids = np.where(forced >= 0, forced, ids)
    rows = np.arange(len(scores))
    return rows, ids, _logs(scores, peaks, tops, rows, ids) + totals


def log_probabilities(scores: Array, rows: Array, ids: Array) -> Array:
    """Give the logarithms of the probabilities of some tokens of scores `[n, V]`, in nats, float64.

    >>> round(float(log_probabilities(np.zeros((1, 4), np.float32), np.array([0]), np.array([2]))[0]), 4)
    -1.3863
    """
    return _logs(scores, *_normal(scores), rows, ids)


def _normal(scores: Array) -> tuple[Array, Array]:
    """Give the largest score of each row, and the logarithm of the probability that it stands for, `[n]` float64."""
    peaks = scores.max(axis=1)  # [n]
    at = scores.argmax(axis=1)
    shares = np.take_along_axis(kernels.softmax(scores), at[:, None], axis=1)[:, 0]
    return peaks, kernels.log(shares.astype(np.float64))


def _logs(scores: Array, peaks: Array, tops: Array, rows: Array, ids: Array) -> Array:
    """Give the logarithms of the probabilities of some tokens, float64."""
    chosen = scores[rows, ids].astype(np.float64)
    return np.asarray(chosen - peaks[rows].astype(np.float64) + tops[rows])


def _least(scores: Array, added: Array, owners: Array, width: int) -> Array:
    """Find a score for each row, as low as need be, below which no continuation is among the `width` best, `[n]`.

    The largest of blocks of scores are scores themselves: so many of an owner are at least as good as the `width`-th
    largest of these that no other is wanted.
    """
    count = scores.shape[1] // _BLOCKS
    blocks = scores[:, : count * _BLOCKS].reshape(len(scores), _BLOCKS, count) if count else scores[:, :, None]
    largest = blocks.max(axis=2).astype(np.float64) + added[:, None]  # [n, blocks]
    first = np.flatnonzero(np.diff(owners, prepend=-1))
    sizes = np.diff(first, append=len(owners))
    own = np.full((len(first), int(sizes.max()), largest.shape[1]), -np.inf)
    group = np.repeat(np.arange(len(first)), sizes)
    own[group, np.arange(len(owners)) - first[group]] = largest
    flat = own.reshape(len(first), -1)
    if width > flat.shape[1]:
        return np.full(len(scores), -np.inf, np.float32)
    bounds = np.partition(flat, flat.shape[1] - width, axis=1)[:, flat.shape[1] - width]  # [owners]
    least = bounds[group] - added
    return np.asarray(least - 1e-5 * (1 + np.abs(least)) - 1e-5 * np.abs(added), np.float32)
