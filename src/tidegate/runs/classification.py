"""Measures classifiers on examples whose labels are known. The metrics are scikit-learn's."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tidegate.data import check_known_classes
from tidegate.errors import DataError, MissingPackageError

if TYPE_CHECKING:
    from tidegate.data import Examples
    from tidegate.tasks._classifier import Classifier


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

    confusion: one row per true class, one column per predicted class, both in the order of `classes`.
    """

    accuracy: float
    loss: float
    examples: int
    classes: dict[str, ClassScore]
    confusion: list[list[int]]

    def measures(self) -> dict[str, float]:
        """Give the figures of the whole part."""
        return {"accuracy": self.accuracy, "loss": self.loss}

    def table(self) -> list[dict[str, object]]:
        """Give a row for each class."""
        return [
            {"class": name, **{key: f"{value:.4f}" for key, value in asdict(score).items()}, "examples": score.examples}
            for name, score in self.classes.items()
        ]

    def to_json(self) -> dict[str, Any]:
        """Give all of it, ready for `json.dumps`."""
        return asdict(self)


def measure_classifier(model: Classifier, examples: Examples) -> Classification:
    """Measure a fitted classifier.

    Args:
        model: what `tidegate.load` returns, or any fitted classifier.
        examples: inputs and true labels, at least one.

    Raises:
        DataError: there is no example, or a label that the model does not know; the first one is named.
        MissingPackageError: scikit-learn is not installed.
    """
    try:
        from sklearn.metrics import accuracy_score, confusion_matrix, log_loss, precision_recall_fscore_support
    except ImportError as error:
        raise MissingPackageError.of("scikit-learn", "train", "an evaluation") from error
    if not len(examples):
        raise DataError("there are no examples to evaluate on.")
    classes = model.classes_.tolist()
    true = np.asarray(examples.y).tolist()
    check_known_classes(true, classes)
    probabilities = np.asarray(model.predict_proba(examples.x), np.float64)  # [B, K]
    predicted = [classes[k] for k in probabilities.argmax(axis=1)]
    probabilities /= probabilities.sum(axis=1, keepdims=True)  # float32 rows sum to one only within rounding
    scores = precision_recall_fscore_support(true, predicted, labels=classes, zero_division=0.0)
    return Classification(
        accuracy=float(accuracy_score(true, predicted)),
        loss=float(log_loss(true, probabilities, labels=classes)),
        examples=len(examples),
        classes={
            str(name): ClassScore(float(p), float(r), float(f), int(n))
            for name, p, r, f, n in zip(classes, *scores, strict=True)
        },
        confusion=confusion_matrix(true, predicted, labels=classes).tolist(),
    )
