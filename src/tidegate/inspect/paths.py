"""Finds the most probable path through the frames of a signal that does not read as a text. Knows no network.

A path names one symbol, or the blank, in each frame, and reads as the symbols that are left when one that is repeated
is taken once and blanks are dropped. `kernels.ctc.align` finds the best of those that read as a text, and this the best
of all others: where the model hesitated, and between what.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.kernels.ctc import BLANK

Array: TypeAlias = npt.NDArray[Any]


def best_other_path(logs: Array, label: Array) -> tuple[Array, float] | None:
    """Find the most probable path that reads as anything but a label, and its logarithm.

    A path reads as the beginning of the label up to some frame, and from there on as something else whatever follows;
    or it never gets to the end of the label. So the best path within the label up to each frame (Viterbi 1967) and the
    most probable symbol of each frame behind it are all that is needed: T times M steps.

    Args:
        logs: logarithms of the probabilities [T, K], the blank first.
        label: [M], each from 1 to K - 1; it need not fit the frames.

    Returns:
        The symbol of each frame [T], and the sum of their logarithms; None where every path reads as the label.

    >>> path, score = best_other_path(np.log(np.array([[0.1, 0.9], [0.7, 0.3]])), np.array([1]))
    >>> path.tolist(), round(float(np.exp(score)), 2)  # nothing at all; any other path reads as the symbol
    ([0, 0], 0.07)
    """
    T = len(logs)
    # State 2p has read p symbols and then the blank, state 2p - 1 has just named symbol p: `own` is what each names.
    own = np.full(2 * len(label) + 1, BLANK)
    own[1::2] = label
    following = np.repeat(np.append(label, BLANK), 2)[1:]  # [2M + 1] what comes next in the label; at its end nothing
    ahead = np.append(np.cumsum(logs.max(axis=1)[::-1])[::-1], 0.0)  # [T + 1] the best that may follow a frame
    scores, backs = np.append(0.0, np.full(len(own) - 1, -np.inf)), np.zeros((T, len(own)), np.int64)
    best, at = -np.inf, (0, 0, 0)  # the frame that leaves the label, the state before it, and the symbol
    for t in range(T):
        leaves = np.repeat(logs[t][None], len(own), axis=0)  # [2M + 1, K]
        leaves[:, BLANK] = -np.inf
        np.put_along_axis(leaves, np.stack([own, following], axis=1), -np.inf, axis=1)
        found = scores[:, None] + leaves + ahead[t + 1]
        if found.max() > best:
            state, symbol = divmod(int(found.argmax()), found.shape[1])
            best, at = float(found.max()), (t, state, symbol)
        scores, backs[t] = _step(scores, own, logs[t])
    short = scores[: max(len(own) - 2, 0)]  # has not read the last symbol
    if len(short) and short.max() > best:
        best, at = float(short.max()), (T, int(short.argmax()), BLANK)
    if best == -np.inf:
        return None
    return _path(logs, own, backs, at), best


def _step(scores: Array, own: Array, logs: Array) -> tuple[Array, Array]:
    """Go on by a frame within the label: the best score of each state, and from how many states before it came."""
    from_two = np.append([-np.inf, -np.inf], scores[:-2])[: len(own)]
    apart = np.append([False, False], (own[2:] != BLANK) & (own[2:] != own[:-2]))[: len(own)]
    ways = np.stack([scores, np.append(-np.inf, scores[:-1]), np.where(apart, from_two, -np.inf)])
    back = ways.argmax(axis=0)
    return ways[back, np.arange(len(own))] + logs[own], back


def _path(logs: Array, own: Array, backs: Array, at: tuple[int, int, int]) -> Array:
    """Write down a path within a label up to a frame; there it leaves, and then names what is most probable."""
    leaves, state, symbol = at
    path: Array = logs.argmax(axis=1)
    path[leaves : leaves + 1] = symbol
    for t in range(leaves - 1, -1, -1):
        path[t] = own[state]
        state -= backs[t, state]
    return path
