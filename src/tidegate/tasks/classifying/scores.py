"""Measures classifiers on examples whose labels are known."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tidegate.data.checks import in_argument
from tidegate.data.labels import list_labels, number_labels, read_labels
from tidegate.errors import DataError
from tidegate.health import ClassHealth, HealthWarning, measure_classes, never_predicted
from tidegate.tasks.classifying.calibration import calibration_error, reliability, softmax64
from tidegate.tasks.classifying.choosing import decide, tell_thresholds
from tidegate.tasks.classifying.labelled import number_label_sets
from tidegate.tasks.classifying.several import judge_labels
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
    thresholds: from which probability on a class is named, of those that have one.
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
    thresholds: dict[str, float]

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
        return _rows(self.classes, self.thresholds)

    def to_json(self) -> dict[str, Any]:
        """Give all of it, ready for `json.dumps`."""
        return _plain(self)


def _rows(classes: dict[str, ClassScore], thresholds: dict[str, float]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for name, score in classes.items():
        figures = {key: f"{value:.4f}" for key, value in asdict(score).items()}
        rows.append({"class": name, **figures, "examples": score.examples})
        if thresholds:
            rows[-1]["threshold"] = f"{thresholds[name]:.4f}" if name in thresholds else "-"
    return rows


def _plain(measured: Classification | Labelling) -> dict[str, Any]:
    found: dict[str, Any] = asdict(measured)
    neglect, uncalibrated = found.pop("neglect"), found.pop("uncalibrated")
    told: dict[str, Any] = {"worst_class": neglect["worst"], "never_predicted": list(neglect["never_predicted"])}
    told |= uncalibrated | {"warnings": list(map(str, measured.warnings()))}
    return found | told


@dataclass(frozen=True)
class Labelling:
    """Hold what a classifier of several labels reached, from 0 to 1, and what it loses, in nats per example.

    accuracy: the share of examples of which all labels are right.
    micro_f1: the F1 over all pairs of an example and a label; `macro_f1` the mean of those of the labels.
    ece: as `Classification` has it, of the answers, yes or no, to each label of each example.
    """

    accuracy: float
    micro_f1: float
    macro_f1: float
    worst_recall: float
    loss: float
    ece: float
    examples: int
    classes: dict[str, ClassScore]
    neglect: ClassHealth
    reliability: list[list[float]]
    uncalibrated: dict[str, float]
    thresholds: dict[str, float]

    def measures(self) -> dict[str, float]:
        """Give the figures of the whole part."""
        named = ("accuracy", "micro_f1", "macro_f1", "worst_recall", "loss", "ece")
        return {name: getattr(self, name) for name in named} | self.uncalibrated

    def warnings(self) -> list[HealthWarning]:
        """Name the labels that are never predicted."""
        return never_predicted(self.neglect, f"{self.examples:,} examples", what="label")

    def table(self) -> list[dict[str, object]]:
        """Give a row for each label."""
        return [{"label": row.pop("class"), **row} for row in _rows(self.classes, self.thresholds)]

    def to_json(self) -> dict[str, Any]:
        """Give all of it, ready for `json.dumps`."""
        return _plain(self)


def measure_classifier(model: TextClassifier | SequenceClassifier, examples: Examples) -> Classification | Labelling:
    """Measure a fitted classifier. Labels are read in the kind that its classes have, as those of files are texts.

    Args:
        model: what `tidegate.load` returns, or any fitted classifier.
        examples: inputs and true labels, at least one.

    Raises:
        DataError: there is no example, or a label that the model does not know; the first one is named.
    """
    if not len(examples):
        raise DataError("there are no examples to evaluate on.")
    if model.multilabel_:
        return _measure_labels(model, examples)
    names = model.classes_.tolist()
    true = number_labels(read_labels(examples.y), model.classes_, where=in_argument("y"))
    probabilities = np.asarray(model.predict_proba(examples.x), np.float64)  # [B, K]
    predicted = decide(probabilities, several=False, thresholds=model.thresholds_)
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
        thresholds=tell_thresholds(model.thresholds_, names),
        **whole,
    )


def _measure_labels(model: TextClassifier | SequenceClassifier, examples: Examples) -> Labelling:
    names = model.classes_.tolist()
    truth = number_label_sets(list_labels(examples.y), model.classes_, name="y") > 0.5
    likely = np.asarray(model.predict_proba(examples.x), np.float64)  # [B, K]
    said = decide(likely, several=True, thresholds=model.thresholds_)
    whole, neglect = judge_labels(truth, said, names)
    asked, true = np.stack([likely.ravel(), 1 - likely.ravel()], axis=1), np.where(truth.ravel(), 0, 1)
    bins, K = reliability(asked, true), len(names)
    before = _uncalibrated(asked, true, model.temperature_)
    if before:
        before["uncalibrated_loss"] *= K
    counts = zip(names, (truth & said).sum(axis=0), truth.sum(axis=0), said.sum(axis=0), strict=True)
    return Labelling(
        **whole,
        loss=K * _mean_loss(asked, true),
        ece=calibration_error(bins),
        examples=len(examples),
        classes={
            str(name): ClassScore(*precision_recall_f1(int(right), int(there), int(named)), int(there))
            for name, right, there, named in counts
        },
        neglect=neglect,
        reliability=bins,
        uncalibrated=before,
        thresholds=tell_thresholds(model.thresholds_, names),
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
