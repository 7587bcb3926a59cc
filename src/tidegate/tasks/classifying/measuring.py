"""What is lost of a part that a classifier learns from, and how one that was held out is measured. Knows no input."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tidegate.documents import Documents
from tidegate.engine import BinaryCrossEntropy, CrossEntropy, Loss, SoftCrossEntropy
from tidegate.grid import Grid
from tidegate.health import ClassHealth, entropy, measure_classes
from tidegate.ragged import Ragged
from tidegate.runtime import Executor, run_sorted
from tidegate.tasks.classifying.calibration import calibration_error, fit_temperature, reliability, softmax64
from tidegate.tasks.classifying.choosing import choose_thresholds, decide
from tidegate.tasks.classifying.several import judge_labels, questions, surprise
from tidegate.tasks.task import Array

Sequences: TypeAlias = Ragged | Documents
"""What the network of a classifier reads."""


@dataclass(frozen=True)
class Part:
    """Hold sequences, and for each its class or labels, as `Labelled` does, and its weight where those differ.

    soft: [B, K] how likely each class is, where that is not certain of all.
    """

    x: Sequences
    y: Array  # [B], or [B, K]
    weights: NDArray[np.float32] | None = None  # [B], with a mean of one
    soft: NDArray[np.float32] | None = None

    @property
    def several(self) -> bool:
        """Tell whether an input may have several labels, or none."""
        return self.y.ndim == 2

    @property
    def guess(self) -> float:
        """Compute what the best answer that ignores the input loses, in nats."""
        return surprise(self.y, self.weights) if self.several else entropy(self.y, self.weights)

    def arrays(self) -> tuple[Array, ...]:
        """List what makes the part what it is, for a fingerprint."""
        read = self.x.tokens if isinstance(self.x, Documents) else self.x
        beside: tuple[Array, ...] = (self.x.beside,) if isinstance(self.x, Documents) else ()
        if isinstance(self.x, Grid):
            beside = (self.x.sizes,)
        told = (array for array in (self.weights, self.soft) if array is not None)
        return (read.values, read.offsets, *beside, self.y, *told)

    def loss(self, indices: NDArray[np.int64]) -> Loss:
        """Make the mean cross-entropy, in nats, of a batch.

        Weights have a mean of one over the whole part, not over a batch, so that an example counts the same whichever
        others it meets.
        """
        own = np.ones(len(indices)) if self.weights is None else self.weights[indices].astype(np.float64)
        share = own / max(len(indices), 1)
        if self.soft is not None:
            return SoftCrossEntropy(self.soft[indices], share)
        y = self.y[indices]
        return BinaryCrossEntropy(y, share) if self.several else CrossEntropy(y, share)


def measure(
    executor: Executor, part: Part, classes: Array, *, calibrate: bool = False, choose: bool = False
) -> dict[str, Any]:
    """Measure the mean cross-entropy, in nats, which is weighed as in training; the accuracy; and class by class.

    Loss and calibration error are those of probabilities at the temperature that is best for the part, where that is to
    be found; all else is of the answers at the thresholds that are best for it, where those are to be chosen.
    """
    logits = run_sorted(executor, part.x).astype(np.float64)  # [B, K]
    asked = _Asked(logits, part.y, part.weights)
    if part.several:
        asked = _Asked(*questions(logits, part.y, part.weights), each=len(classes))
    cooled: dict[str, float] = {}
    if calibrate:
        temperature = fit_temperature(asked.scores, asked.true, asked.weights)
        cooled = {"uncalibrated_loss": asked.loss(), "uncalibrated_ece": calibration_error(asked.bins())}
        cooled["temperature"] = temperature
        asked = replace(asked, scores=asked.scores / temperature)
    bins, likely = asked.bins(), softmax64(asked.scores)
    likely = likely[:, 0].reshape(part.y.shape) if part.several else likely
    thresholds = choose_thresholds(likely, part.y) if choose and np.isfinite(likely).all() else None
    told, health = _judge(part, decide(likely, several=part.several, thresholds=thresholds), classes)
    told = {"loss": asked.loss(), **told, "ece": calibration_error(bins), **cooled}
    beside: dict[str, Any] = {"reliability": bins} | ({} if thresholds is None else {"thresholds": list(thresholds)})
    return told | {"classes": health, "beside": beside}


def _judge(part: Part, said: Array, classes: Array) -> tuple[dict[str, float], ClassHealth]:
    if part.several:
        return judge_labels(part.y > 0.5, said, classes.tolist())
    found, health = measure_classes(part.y, said, classes.tolist())
    return {"accuracy": float((said == part.y).mean()), **found}, health


@dataclass(frozen=True)
class _Asked:
    """Hold the scores of classes `[N, K]`, the right one of each row, and its weight; `each` rows are of one input."""

    scores: NDArray[np.float64]
    true: NDArray[np.int64]
    weights: NDArray[Any] | None
    each: int = 1

    def loss(self) -> float:
        scores = self.scores - self.scores.max(axis=1, keepdims=True)
        right = np.take_along_axis(scores, self.true[:, None], axis=1)[:, 0]
        losses = np.log(np.exp(scores).sum(axis=1)) - right
        return self.each * float(losses.mean() if self.weights is None else (losses * self.weights).mean())

    def bins(self) -> list[list[float]]:
        return reliability(softmax64(self.scores), self.true)
