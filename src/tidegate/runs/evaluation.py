"""Measures a model on examples whose answers are known: each task in the manner of its field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tidegate.tasks.cards import CARDS
from tidegate.tasks.scores import Evaluation

if TYPE_CHECKING:
    from tidegate.data import Examples
    from tidegate.tasks.task import AnyTask

_SHARES = ("accuracy", "micro_f1", "macro_f1", "worst_recall", "ece", "uncalibrated_ece", "cer", "wer", "ser")
_SEARCHED = ("beam_cer", "beam_wer", "beam_ser")


def evaluate(model: AnyTask, examples: Examples, learned: Examples | None = None, **asked: Any) -> Evaluation:
    """Measure a fitted model.

    Args:
        model: what `tidegate.load` returns, or any fitted task.
        examples: inputs and true answers, at least one.
        learned: what the model was trained on; where given, some tasks also tell how good it is without examples whose
            answers stand there.
        asked: how the model answers, where its task can be asked in several ways: of a transcriber `beam`, texts that
            a search keeps, and `language`, whether it uses what training learned of texts.

    Raises:
        DataError: there is no example, or an answer that the model does not know; the first one is named.
        MissingPackageError: a package that the metrics come from is not installed.
    """
    scores = CARDS[model.name].scores()
    found = scores.measure(model, examples, **asked)
    return found if scores.apart is None or learned is None else scores.apart(found, learned)


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
    shares = dict.fromkeys((*_SHARES, *_SEARCHED, "f1", "precision", "recall", "mean_outside"), "{:.2%}")
    units: dict[str, Any] = shares | dict.fromkeys(("loss", "uncalibrated_loss"), "{:.4f} nats")
    units |= {"perplexity": "{:.2f}", "temperature": "{:.4f}"}
    return str(units.get(name, "{:.4g}").format(value))
