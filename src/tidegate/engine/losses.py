"""What a network is trained to make small, as data: a number of each sequence, whose weighted sum is the loss.

The weights are the caller's whole say in how sequences are averaged: with 1 / B it is the mean over sequences, with one
over the number of tokens the mean over those.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from tidegate.errors import InputError, ShapeError
from tidegate.kernels import programs

if TYPE_CHECKING:
    from tidegate.engine.program import Program

Array = npt.NDArray[Any]


class Loss(Protocol):
    """Say what of a program's answers is lost."""

    @property
    def weight(self) -> Array:
        """How much each sequence counts, [B] float64."""

    def compiled(self, program: Program, begin: Array) -> programs.Loss:
        """Make the core's own loss of it; `begin` [B + 1] says where the answers to each sequence begin.

        Raises ShapeError or InputError unless it fits the program and the batch.
        """

    def alone(self, sequence: int, rows: slice) -> Loss:
        """Make the loss of one sequence of the batch, which counts as one; `rows` are those that answer it."""


@dataclass(frozen=True, eq=False)
class CrossEntropy:
    """Lose, in nats, how unlikely the true class of each row is.

    labels: int64, of each row that the network gives: [B] where it pools, else [N].
    weight: [B] of each sequence.
    """

    labels: npt.NDArray[np.int64]
    weight: Array

    def compiled(self, program: Program, begin: Array) -> programs.Loss:
        """Make the core's own loss of it."""
        _check_labels("labels", self.labels, int(begin[-1]), program.network.output_size)
        return programs.cross_entropy(self.labels, begin, self.weight, program.dtype)

    def alone(self, sequence: int, rows: slice) -> CrossEntropy:
        """Make the loss of one sequence of the batch."""
        return CrossEntropy(self.labels[rows], np.ones(1))


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

    def compiled(self, program: Program, begin: Array) -> programs.Loss:
        """Make the core's own loss of it."""
        size = program.network.output_size
        _check_labels("tags", self.tags, int(begin[-1]), size)
        if self.penalty is None:
            penalty = np.zeros(size * (size + 2))
        else:
            penalty = np.concatenate([np.ravel(part) for part in self.penalty]).astype(np.float64)
        return programs.crf_likelihood(program.compiled, self.tags, begin, self.weight, penalty, program.dtype)

    def alone(self, sequence: int, rows: slice) -> CrfLikelihood:
        """Make the loss of one sequence of the batch."""
        return CrfLikelihood(self.tags[rows], np.ones(1), self.penalty)


@dataclass(frozen=True, eq=False)
class Errors:
    """Lose how far numbers are off; every sequence is answered with the same M numbers, in the order of its rows.

    truth: [B, M].
    weight: [B] of each sequence.
    asked: of each number, "mse" or "mae" for its squared or absolute error, or a level for its pinball loss as a
        quantile (Koenker & Bassett 1978).
    share: [M], how much each number counts.
    scale, shift: [B, M]; an answer times `scale`, plus `shift`, is what is compared with the truth.
    """

    truth: Array
    weight: Array
    asked: tuple[str | float, ...]
    share: Array
    scale: Array
    shift: Array

    def compiled(self, program: Program, begin: Array) -> programs.Loss:
        """Make the core's own loss of it."""
        shape = (len(begin) - 1, len(self.asked))
        if int(begin[-1]) * program.network.output_size != shape[0] * shape[1]:
            raise ShapeError(f"the network gives {begin[-1]} rows; they hold no {shape[1]} numbers of each sequence.")
        truth, scale, shift = (
            np.ascontiguousarray(part, program.dtype) for part in (self.truth, self.scale, self.shift)
        )
        if not truth.shape == scale.shape == shift.shape == shape:
            raise ShapeError(f"truth, scale and shift must all be {list(shape)}; truth is {list(truth.shape)}.")
        share = np.asarray(self.share, np.float64)
        return programs.errors_of(truth, scale, shift, self.asked, share, self.weight)

    def alone(self, sequence: int, rows: slice) -> Errors:
        """Make the loss of one sequence of the batch."""
        one = slice(sequence, sequence + 1)
        return replace(self, truth=self.truth[one], scale=self.scale[one], shift=self.shift[one], weight=np.ones(1))


def _check_labels(name: str, labels: Array, rows: int, classes: int) -> None:
    if labels.shape != (rows,) or labels.dtype != np.int64:
        raise ShapeError(f"{name} are {labels.dtype} {list(labels.shape)}; int64 [{rows}] is wanted.")
    outside = np.flatnonzero((labels < 0) | (labels >= classes))
    if outside.size:
        at = int(outside[0])
        raise InputError(f"{name}[{at}] is {labels[at]}; it must be from 0 to {classes - 1}.")
