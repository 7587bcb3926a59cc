"""What a network is trained to make small, as data: a number of each sequence, whose weighted sum is the loss.

The weights are the caller's whole say in how sequences are averaged: with 1 / B it is the mean over sequences, with one
over the number of tokens the mean over those.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tidegate.errors import InputError, ShapeError
from tidegate.kernels import ctc, programs

Array = npt.NDArray[Any]


class Loss(Protocol):
    """Say what of a program's answers is lost."""

    @property
    def weight(self) -> Array:
        """How much each sequence counts, [B] float64."""

    def compiled(self, core: programs.Program, width: int, kind: np.dtype[Any], begin: Array) -> programs.Loss:
        """Make the core's own loss of it.

        Args:
            core: the program that answers.
            width: numbers of each of its rows.
            kind: float32 or float64, the type of those.
            begin: [B + 1], where the rows that answer each sequence begin.

        Raises:
            ShapeError, InputError: it does not fit the program and the batch.
        """

    def alone(self, sequence: int, rows: slice) -> Loss:
        """Make the loss of one sequence of the batch, which counts as one; `rows` are those that answer it."""


@dataclass(frozen=True, eq=False)
class CrossEntropy:
    """Lose, in nats, how unlikely the true class of each row is.

    labels: int64, of each row that the network gives: [B] where it pools, else [N].
    weight: [B] of each sequence.
    label_smoothing: the share of the truth, from 0 up to but not 1, that is spread over all classes alike (Szegedy et
        al. 2016).

    Raises:
        ShapeError: there is not one label for each row.
        InputError: a label is out of range, or the share is.
    """

    labels: npt.NDArray[np.int64]
    weight: Array
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise InputError(f"label_smoothing={self.label_smoothing!r:.40}; a share from 0 up to but not 1 is wanted.")

    def compiled(self, core: programs.Program, width: int, kind: np.dtype[Any], begin: Array) -> programs.Loss:
        """Make the core's own loss of it."""
        _check_labels("labels", self.labels, int(begin[-1]), width)
        return programs.cross_entropy(self.labels, begin, _weight(self.weight, begin), kind, self.label_smoothing)

    def alone(self, sequence: int, rows: slice) -> CrossEntropy:
        """Make the loss of one sequence of the batch."""
        return replace(self, labels=self.labels[rows], weight=np.ones(1))


@dataclass(frozen=True, eq=False)
class SoftCrossEntropy:
    """Lose, in nats, the cross-entropy between how likely each class of a row is and what the network says.

    truth: [rows, K], of each row that the network gives: [B, K] where it pools, else [N, K]; a row adds up to one.
    weight: [B] of each sequence.

    Raises:
        ShapeError: there is not one number for each row and class.
        InputError: a row holds what is no probability, or does not add up to one.
    """

    truth: Array
    weight: Array

    def compiled(self, core: programs.Program, width: int, kind: np.dtype[Any], begin: Array) -> programs.Loss:
        """Make the core's own loss of it."""
        rows = int(begin[-1])
        if self.truth.shape != (rows, width):
            raise ShapeError(f"truth is {list(self.truth.shape)}; {[rows, width]} is wanted.")
        off = np.abs(self.truth.sum(axis=1, dtype=np.float64) - 1)
        bad = ~((self.truth >= 0).all(axis=1) & (off < 1e-3))  # NaN is bad, too
        if bad.any():
            row = int(bad.argmax())
            told = f"truth[{row}] is {self.truth[row].tolist()!r:.80}"
            raise InputError(f"{told}; wanted probabilities that add up to 1.")
        truth = np.ascontiguousarray(self.truth, dtype=kind)
        return programs.soft_cross_entropy(truth, begin, _weight(self.weight, begin))

    def alone(self, sequence: int, rows: slice) -> SoftCrossEntropy:
        """Make the loss of one sequence of the batch."""
        return SoftCrossEntropy(self.truth[rows], np.ones(1))


@dataclass(frozen=True, eq=False)
class BinaryCrossEntropy:
    """Lose, in nats, how unlikely the answers of yes and no are whose scores each row holds; of a row, their sum.

    truth: from 0 for no to 1 for yes, of each row that the network gives: `[B, K]` where it pools, else `[N, K]`.
    weight: [B] of each sequence.
    """

    truth: Array
    weight: Array

    def compiled(self, core: programs.Program, width: int, kind: np.dtype[Any], begin: Array) -> programs.Loss:
        """Make the core's own loss of it."""
        truth = np.ascontiguousarray(self.truth, kind)
        if truth.shape != (int(begin[-1]), width):
            raise ShapeError(f"truth is {list(truth.shape)}; {[int(begin[-1]), width]} is wanted.")
        if len(outside := np.argwhere(~((truth >= 0) & (truth <= 1)))):
            at = tuple(outside[0].tolist())
            raise InputError(f"truth{list(at)} is {truth[at]}; it must be from 0 to 1.")
        return programs.binary_cross_entropy(truth, begin, _weight(self.weight, begin))

    def alone(self, sequence: int, rows: slice) -> BinaryCrossEntropy:
        """Make the loss of one sequence of the batch."""
        return BinaryCrossEntropy(self.truth[rows], np.ones(1))


@dataclass(frozen=True, eq=False)
class CrfLikelihood:
    """Lose, in nats, how unlikely the true tags of each sequence are, of a network that ends with a `Crf`.

    tags: [N] int64.
    weight: [B] of each sequence.
    penalty: what to add to the transitions [K, K], to what it costs to begin [K], and to end [K]; None adds nothing.
    """

    tags: npt.NDArray[np.int64]
    weight: Array
    penalty: tuple[Array, Array, Array] | None = None

    def compiled(self, core: programs.Program, width: int, kind: np.dtype[Any], begin: Array) -> programs.Loss:
        """Make the core's own loss of it."""
        _check_labels("tags", self.tags, int(begin[-1]), width)
        shapes = [(width, width), (width,), (width,)]
        parts = [np.zeros(shape) for shape in shapes] if self.penalty is None else self.penalty
        if [np.shape(part) for part in parts] != shapes:
            raise ShapeError(f"penalty is {[np.shape(part) for part in parts]}; {shapes} are wanted.")
        penalty = np.concatenate([np.ravel(part) for part in parts]).astype(np.float64)
        return programs.crf_likelihood(core, self.tags, begin, _weight(self.weight, begin), penalty, kind)

    def alone(self, sequence: int, rows: slice) -> CrfLikelihood:
        """Make the loss of one sequence of the batch."""
        return CrfLikelihood(self.tags[rows], np.ones(1), self.penalty)


@dataclass(frozen=True, eq=False)
class CtcLikelihood:
    """Lose, in nats, how unlikely the label of each sequence is over all paths that read as it (Graves et al. 2006).

    labels: of each sequence, symbols from 1 to K - 1; 0 is the blank.
    weight: [B] of each sequence. With one over the number of symbols of all, long labels count as much as they hold.

    Raises:
        ShapeError: there is not one label for each sequence.
        InputError: a symbol is out of range, or a label needs more frames than its sequence has, which is named.
    """

    labels: ctc.Labels
    weight: Array

    def compiled(self, core: programs.Program, width: int, kind: np.dtype[Any], begin: Array) -> programs.Loss:
        """Make the core's own loss of it."""
        ctc.check_labels(self.labels, width, np.diff(begin))
        values, begins = np.ascontiguousarray(self.labels.values, np.int32), self.labels.begins
        return programs.ctc_likelihood(values, begins, _weight(self.weight, begin), kind)

    def alone(self, sequence: int, rows: slice) -> CtcLikelihood:
        """Make the loss of one sequence of the batch."""
        return CtcLikelihood(self.labels.select([sequence]), np.ones(1))


@dataclass(frozen=True, eq=False)
class Errors:
    """Lose how far numbers are off; every sequence is answered with the same M numbers, in the order of its rows.

    truth: [B, M].
    weight: [B] of each sequence.
    asked: of each number, "mse" or "mae" for its squared or absolute error, or a level for its pinball loss as a
        quantile (Koenker & Bassett 1978).
    share: [M], how much each number counts; None counts all the same.
    scale, shift: [B, M]; an answer times `scale`, plus `shift`, is what is compared with the truth. None: as it is.
    """

    truth: Array
    weight: Array
    asked: tuple[str | float, ...]
    share: Array | None = None
    scale: Array | None = None
    shift: Array | None = None

    def compiled(self, core: programs.Program, width: int, kind: np.dtype[Any], begin: Array) -> programs.Loss:
        """Make the core's own loss of it."""
        shape = (len(begin) - 1, len(self.asked))
        if int(begin[-1]) * width != shape[0] * shape[1]:
            raise ShapeError(f"the network gives {begin[-1]} rows; they hold no {shape[1]} numbers of each sequence.")
        scale = np.ones(shape) if self.scale is None else self.scale
        shift = np.zeros(shape) if self.shift is None else self.shift
        truth, scale, shift = (np.ascontiguousarray(part, kind) for part in (self.truth, scale, shift))
        if not truth.shape == scale.shape == shift.shape == shape:
            raise ShapeError(f"truth, scale and shift must all be {list(shape)}; truth is {list(truth.shape)}.")
        share = np.ones(shape[1]) if self.share is None else np.ascontiguousarray(self.share, np.float64)
        if share.shape != shape[1:]:
            raise ShapeError(f"share is {list(share.shape)}; {list(shape[1:])} is wanted.")
        return programs.errors_of(truth, scale, shift, self.asked, share, _weight(self.weight, begin))

    def alone(self, sequence: int, rows: slice) -> Errors:
        """Make the loss of one sequence of the batch."""
        one = slice(sequence, sequence + 1)
        scale, shift = (None if part is None else part[one] for part in (self.scale, self.shift))
        return replace(self, truth=self.truth[one], scale=scale, shift=shift, weight=np.ones(1))


def _weight(weight: Array, begin: Array) -> Array:
    if weight.shape != (len(begin) - 1,):
        raise ShapeError(f"weight is {list(weight.shape)}; [{len(begin) - 1}], one for each sequence, is wanted.")
    return np.ascontiguousarray(weight, np.float64)


def _check_labels(name: str, labels: Array, rows: int, classes: int) -> None:
    if labels.shape != (rows,) or labels.dtype != np.int64:
        raise ShapeError(f"{name} are {labels.dtype} {list(labels.shape)}; int64 [{rows}] is wanted.")
    outside = np.flatnonzero((labels < 0) | (labels >= classes))
    if outside.size:
        at = int(outside[0])
        raise InputError(f"{name}[{at}] is {labels[at]}; it must be from 0 to {classes - 1}.")
