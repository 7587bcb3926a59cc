"""Connectionist temporal classification over ragged batches: sums over all paths, alignments, what frames spell.

Knows arrays of symbols, not what they stand for. Everything is computed in float64, to the same bits on every
instruction set and number of threads, alone and in any batch.

Shape letters: ``N B K M`` = frames, sequences, symbols, symbols of all labels. Symbol 0 is the blank. A path names one
symbol at each frame; it reads as the label that is left when a symbol that is repeated is taken once, and blanks are
dropped. A label is as probable as all paths that read as it together (Graves et al. 2006).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tidegate._core as _core
from tidegate.errors import InputError, ShapeError
from tidegate.kernels.checks import check_offsets
from tidegate.kernels.rows import exp
from tidegate.kernels.threads import thread_count

Array = NDArray[Any]

BLANK = 0
"""The symbol of frames that name none."""


class Frames:
    """Hold the frames of a batch as logarithms of probabilities, in float64.

    Args:
        scores: [N, K], float32 or float64, K at least 1: any scores; their softmax is taken.
        offsets: [B + 1] int64.
        num_threads: for the kernels; None takes their own setting. The numbers do not depend on it.

    Raises ShapeError where an array has another shape, or holds no floating point numbers.

    >>> Frames(np.zeros((1, 4)), np.array([0, 1])).logs.round(4).tolist()
    [[-1.3863, -1.3863, -1.3863, -1.3863]]
    """

    def __init__(self, scores: Array, offsets: Array, *, num_threads: int | None = None) -> None:
        if scores.ndim != 2 or not scores.shape[1] or scores.dtype not in (np.float32, np.float64):
            raise ShapeError(f"scores are {scores.dtype} {list(scores.shape)}; floats [N, K] are wanted.")
        self.N, self.K = scores.shape
        self.offsets, self.threads = check_offsets(offsets, self.N), thread_count(num_threads)
        self.logs = np.empty((self.N, self.K))
        _core.ctc_frames(np.ascontiguousarray(scores, np.float64), self.logs, self.threads)

    def __len__(self) -> int:
        return len(self.offsets) - 1


@dataclass(frozen=True, eq=False)
class Labels:
    """Hold the labels of a batch, end to end.

    values: [M] int32, each from 1 to K - 1.
    begins: [B + 1] int64.
    """

    values: Array
    begins: Array

    @classmethod
    def of(cls, labels: Any) -> Labels:
        """Put B sequences of symbols end to end.

        >>> Labels.of([[3, 1], [], [2]]).begins.tolist()
        [0, 2, 2, 3]
        """
        parts = [np.asarray(label, np.int32).reshape(-1) for label in labels]
        begins = np.cumsum([0, *map(len, parts)], dtype=np.int64)
        return cls(np.concatenate([np.empty(0, np.int32), *parts]), begins)

    def __len__(self) -> int:
        return len(self.begins) - 1

    def select(self, indices: Any) -> Labels:
        """Take the labels of some sequences, in this order."""
        return Labels.of([self.values[self.begins[index] : self.begins[index + 1]] for index in indices])


@dataclass(frozen=True, eq=False)
class Found:
    """Hold symbols that were found in frames, end to end.

    symbols: [M] int32.
    begins: [B + 1] int64, those of sequence b from begins[b] on.
    first, last: [M] int64, the frames of the sequence that name each, both included.
    peak: [M] int64, the frame among them where it is the most probable.
    confidence: [M], its probability there.
    """

    symbols: Array
    begins: Array
    first: Array
    last: Array
    peak: Array
    confidence: Array


def needed(labels: Labels) -> Array:
    """Count the frames that each label needs at least: one a symbol, and a blank between equal neighbours, [B].

    >>> needed(Labels.of([[1, 2], [1, 1], []])).tolist()
    [2, 3, 0]
    """
    values, begins = labels.values, labels.begins
    pairs = np.concatenate([[0], np.cumsum(values[1:] == values[:-1])])  # that are equal, up to each symbol
    found = np.diff(begins)
    some = found > 0
    found[some] += pairs[begins[1:][some] - 1] - pairs[begins[:-1][some]]
    return np.asarray(found)


def losses(frames: Frames, labels: Labels) -> Array:
    """Return how unlikely each label is, in nats, [B].

    Raises ShapeError or InputError where the labels are not those of the frames, or one needs more than there are.

    >>> even = Frames(np.zeros((2, 3)), np.array([0, 2]))  # of nine paths three read as [1]
    >>> np.exp(-losses(even, Labels.of([[1]]))).round(4).tolist()
    [0.3333]
    """
    return np.asarray(0.0 - _totals(frames, labels, None))


def gradient(frames: Frames, labels: Labels, weight: Array) -> Array:
    """Return the gradient of ``(weight [B] * losses).sum()`` with respect to the scores of the frames, [N, K]."""
    shares = np.empty_like(frames.logs)
    _totals(frames, labels, shares)
    each = np.repeat(np.asarray(weight, np.float64), np.diff(frames.offsets))
    return np.asarray((exp(frames.logs, num_threads=frames.threads) - shares) * each[:, None])


def align(frames: Frames, labels: Labels) -> tuple[Found, Array]:
    """Find where each label lies: the most probable path that reads as it, and its logarithm, [B].

    Of equally probable paths the one is taken that changes its symbol the soonest, read from the end. Raises as
    `losses` does.

    >>> logits = np.log(np.array([[0.1, 0.9], [0.8, 0.2], [0.6, 0.4]]))
    >>> found, scores = align(Frames(logits, np.array([0, 3])), Labels.of([[1]]))
    >>> found.first.tolist(), found.last.tolist(), float(np.exp(scores[0]).round(4))
    ([0], [0], 0.432)
    """
    _check(frames, labels)
    states, scores = np.empty(frames.N, np.int32), np.empty(len(frames))
    _core.ctc_align(frames.logs, frames.offsets, labels.values, labels.begins, states, scores, frames.threads)
    sequence = np.repeat(np.arange(len(frames)), np.diff(frames.offsets))
    symbols = np.zeros(frames.N, np.int32)
    odd = states % 2 == 1
    symbols[odd] = labels.values[labels.begins[sequence[odd]] + states[odd] // 2]
    return _runs(frames, symbols, states, sequence), scores


def greedy(frames: Frames) -> Found:
    """Read what the most probable symbol of each frame spells; of equals the lowest.

    >>> logits = np.eye(3)[[1, 1, 0, 1, 2]]
    >>> found = greedy(Frames(logits, np.array([0, 5])))
    >>> found.symbols.tolist(), found.first.tolist(), found.last.tolist()
    ([1, 1, 2], [0, 3, 4], [1, 3, 4])
    """
    return read_path(frames, frames.logs.argmax(axis=1))


def read_path(frames: Frames, path: Array) -> Found:
    """Read what a path spells, which names a symbol in each frame, [N].

    >>> read_path(Frames(np.zeros((3, 3)), np.array([0, 3])), np.array([2, 2, 0])).symbols.tolist()
    [2]
    """
    symbols = path.astype(np.int32)
    return _runs(frames, symbols, symbols, np.repeat(np.arange(len(frames)), np.diff(frames.offsets)))


def _runs(frames: Frames, symbols: Array, states: Array, sequence: Array) -> Found:
    """Find the runs of frames in one state that name a symbol."""
    changes = np.ones(frames.N, bool)
    changes[1:] = (states[1:] != states[:-1]) | (sequence[1:] != sequence[:-1])
    starts = np.flatnonzero(changes)
    ends = np.append(starts[1:], frames.N) if len(starts) else starts
    kept = symbols[starts] != BLANK
    starts, ends = starts[kept], ends[kept]
    named = symbols[starts]
    probable = exp(frames.logs[np.arange(frames.N), symbols], num_threads=frames.threads)
    peaks = np.array([start + probable[start:end].argmax() for start, end in zip(starts, ends, strict=True)], np.int64)
    begin = frames.offsets[sequence[starts]]
    begins = np.searchsorted(sequence[starts], np.arange(len(frames) + 1)).astype(np.int64)
    return Found(named, begins, starts - begin, ends - 1 - begin, peaks - begin, probable[peaks])


def _totals(frames: Frames, labels: Labels, shares: Array | None) -> Array:
    _check(frames, labels)
    total = np.empty(len(frames))
    arrays = frames.logs, frames.offsets, labels.values, labels.begins
    _core.ctc_totals(*arrays, total, shares, frames.threads)
    return total


def _check(frames: Frames, labels: Labels) -> None:
    check_labels(labels, frames.K, np.diff(frames.offsets))


def check_labels(labels: Labels, symbols: int, lengths: Array) -> None:
    """Raise ShapeError or InputError unless there is a label of known symbols that fits the frames of each sequence."""
    if len(labels) != len(lengths):
        raise ShapeError(f"{len(labels)} labels came for {len(lengths)} sequences.")
    check_offsets(labels.begins, len(labels.values))
    outside = np.flatnonzero((labels.values < 1) | (labels.values >= symbols))
    if outside.size:
        at = int(outside[0])
        row = int(np.searchsorted(labels.begins, at, side="right")) - 1
        found = f"label {row} has the symbol {labels.values[at]} at {at - labels.begins[row]}"
        raise InputError(f"{found}; symbols are 1 to {symbols - 1}, and 0 is the blank.")
    wanted = needed(labels)
    short = np.flatnonzero(wanted > lengths)
    if short.size:
        told = ", ".join(f"{row} ({wanted[row]} frames needed, {lengths[row]} there)" for row in short[:3].tolist())
        more = ", and so on" if short.size > 3 else ""
        raise InputError(
            f"{short.size} of {len(labels)} labels need more frames than their sequences have: {told}{more}. Leave "
            "them out, or let fewer steps become one frame."
        )
