"""Measures a model on examples whose answers are known: each task in the manner of its field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from tidegate.data import Examples
from tidegate.health import ClassHealth, HealthWarning
from tidegate.tasks.classifying.scores import measure_classifier
from tidegate.tasks.forecasting.scores import measure_forecaster
from tidegate.tasks.language.scores import measure_language_model
from tidegate.tasks.tagging.scores import measure_tagger

if TYPE_CHECKING:
    from tidegate.tasks import AnyTask


class Evaluation(Protocol):
    """What a model reached."""

    @property
    def examples(self) -> int:
        """Count what was measured on."""

    def measures(self) -> dict[str, float]:
        """Give the figures of the whole part under their names, that of `Task.chief` among them."""

    @property
    def neglect(self) -> ClassHealth | None:
        """Say which classes the model neglects; None where there are none."""

    def warnings(self) -> list[HealthWarning]:
        """Say what is amiss with the model, and what to do."""

    def table(self) -> list[dict[str, object]]:
        """Give what is known in parts, such as a row for each class; rows share their headings."""

    def to_json(self) -> dict[str, Any]:
        """Give all of it, ready for `json.dumps`."""


_SHARES = ("accuracy", "macro_f1", "worst_recall")

# How a model is measured, by the name of its task.
_MEASURES: dict[str, Callable[[Any, Examples], Evaluation]] = {
    "text-classifier": measure_classifier,
    "sequence-classifier": measure_classifier,
    "token-tagger": measure_tagger,
    "forecaster": measure_forecaster,
    "language-model": measure_language_model,
}


def evaluate(model: AnyTask, examples: Examples) -> Evaluation:
    """Measure a fitted model.

    Args:
        model: what `tidegate.load` returns, or any fitted task.
        examples: inputs and true answers, at least one.

    Raises:
        DataError: there is no example, or an answer that the model does not know; the first one is named.
        MissingPackageError: a package that the metrics come from is not installed.
    """
    found: Evaluation = _MEASURES[model.name](model, examples)
    return found


def show_measures(measures: Mapping[str, float], worst: str | None = None) -> dict[str, str]:
    """Write measures for a reader, under their names without underscores; `worst` is the class of the worst recall.

    >>> show_measures({"accuracy": 0.9772, "worst_recall": 0.0}, "rare")
    {'accuracy': '97.72%', 'worst recall': '0.00% (rare)'}
    """
    shown = {name.replace("_", " "): show_measure(name, value) for name, value in measures.items()}
    if worst is not None and "worst recall" in shown:
        shown["worst recall"] += f" ({worst})"
    return shown


def show_measure(name: str, value: float) -> str:
    """Write one measure for a reader.

    >>> show_measure("accuracy", 0.8861), show_measure("loss", 0.3141)
    ('88.61%', '0.3141 nats')
    """
    shares = dict.fromkeys((*_SHARES, "f1", "precision", "recall", "mean_outside"), "{:.2%}")
    units: dict[str, Any] = shares | {"loss": "{:.4f} nats", "perplexity": "{:.2f}"}
    return str(units.get(name, "{:.4g}").format(value))
