"""Measures classifiers on examples whose labels are known."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tidegate.data.checks import in_argument
from tidegate.data.labels import number_labels, read_labels
from tidegate.errors import DataError
from tidegate.health import ClassHealth, HealthWarning, measure_classes, never_predicted
from tidegate.tasks.classifying.calibration import calibration_error, reliability, softmax64
from tidegate.tasks.scores import Scores, judge_classes, precision_recall_f1

if TYPE_CHECKING:
    from tidegate.data import Examples
    from tidegate.tasks.classifying.sequences import SequenceClassifier
    from tidegate.tasks.classifying.texts import TextClassifier


@dataclass(frozen=True)
class ClassScore:
    """Hold how well one class is recognised: precision, recall and F1, from 0 to 1, over `examples` of the class."""

    precision: float
    recall: float
    f1: float
    examples: int


@dataclass(frozen=True)
class Classification:
    """Hold what a classifier reached: accuracy from 0 to 1, cross-entropy in nats per example, scores of each class.

    macro_f1: the mean F1 of the classes that occur, or are predicted; a rare one counts as much as a frequent one.
    worst_recall: the least recall of a class that occurs, and in `neglect` which one that is.
    confusion: one row per true class, one column per predicted class, both in the order of `classes`.
    ece: the expected calibration error, how far the probability of the answer lies from the share of right answers, on
        average over 15 bins of equal width (Guo et al. 2017); `reliability` has the bins, as `calibration.reliability`
        says.
    uncalibrated: loss and ece of the same model without its temperature; nothing where it has none.
    """

    accuracy: float
    loss: float
    examples: int
    classes: dict[str, ClassScore]
    confusion: list[list[int]]
    macro_f1: float
    worst_recall: float
    neglect: ClassHealth
    ece: float
    reliability: list[list[float]]
    uncalibrated: dict[str, float]

    def measures(self) -> dict[str, float]:
        """Give the figures of the whole part."""
        return {
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "worst_recall": self.worst_recall,
            "loss": self.loss,
            "ece": self.ece,
            **self.uncalibrated,
        }

    def warnings(self) -> list[HealthWarning]:
        """Name the classes that are never predicted."""
        return never_predicted(self.neglect, f"{self.examples:,} examples")

    def table(self) -> list[dict[str, object]]:
        """Give a row for each class."""
        return [
            {"class": name, **{key: f"{value:.4f}" for key, value in asdict(score).items()}, "examples": score.examples}
            for name, score in self.classes.items()
        ]

    def to_json(self) -> dict[str, Any]:
        """Give all of it, ready for `json.dumps`."""
        found: dict[str, Any] = asdict(self)
        neglect, uncalibrated = found.pop("neglect"), found.pop("uncalibrated")
        told: dict[str, Any] = {"worst_class": neglect["worst"], "never_predicted": list(neglect["never_predicted"])}
        told |= uncalibrated | {"warnings": list(map(str, self.warnings()))}
        return found | told


def measure_classifier(model: TextClassifier | SequenceClassifier, examples: Examples) -> Classification:
    """Measure a fitted classifier. Labels are read in the kind that its classes have, as those of files are texts.

    Args:
        model: what `tidegate.load` returns, or any fitted classifier.
        examples: inputs and true labels, at least one.

    Raises:
        DataError: there is no example, or a label that the model does not know; the first one is named.
    """
    if not len(examples):
        raise DataError("there are no examples to evaluate on.")
    names = model.classes_.tolist()
    true = number_labels(read_labels(examples.y), model.classes_, where=in_argument("y"))
    probabilities = np.asarray(model.predict_proba(examples.x), np.float64)  # [B, K]
    predicted = probabilities.argmax(axis=1)
    size = len(names)
    confusion = np.bincount(true * size + predicted, minlength=size * size).reshape(size, size)
    rights, theres, named = confusion.diagonal().tolist(), confusion.sum(1).tolist(), confusion.sum(0).tolist()
    whole, neglect = measure_classes(true, predicted, names)
    bins = reliability(probabilities, true)
    return Classification(
        accuracy=sum(rights) / len(true),
        loss=_mean_loss(probabilities, true),
        examples=len(examples),
        classes={
            str(name): ClassScore(*precision_recall_f1(right, there, called), there)
            for name, right, there, called in zip(names, rights, theres, named, strict=True)
        },
        confusion=confusion.tolist(),
        neglect=neglect,
        ece=calibration_error(bins),
        reliability=bins,
        uncalibrated=_uncalibrated(probabilities, true, model.temperature_),
        **whole,
    )


def _uncalibrated(
    probabilities: npt.NDArray[np.float64], true: npt.NDArray[np.int64], temperature: float | None
) -> dict[str, float]:
    """Measure what the same scores gave before they were divided by the temperature."""
    if temperature is None:
        return {}
    before = softmax64(temperature * np.log(np.maximum(probabilities, np.finfo(np.float32).tiny)))
    return {
        "uncalibrated_loss": _mean_loss(before, true),
        "uncalibrated_ece": calibration_error(reliability(before, true)),
    }


def _mean_loss(probabilities: npt.NDArray[np.float64], true: npt.NDArray[np.int64]) -> float:
    """Compute the mean cross-entropy, in nats; a probability of zero counts as the least that a number can tell."""
    shares = probabilities / probabilities.sum(axis=1, keepdims=True)  # float32 rows sum to one only within rounding
    right = np.take_along_axis(shares, true[:, None], axis=1)
    return float(-np.log(np.maximum(right, np.finfo(np.float64).eps)).mean())


SCORES = Scores(measure_classifier, judge_classes)
