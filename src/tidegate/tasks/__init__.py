"""What users come for: one folder per task, and `load`, which reads the model file of any of them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidegate.tasks import presets
    from tidegate.tasks.card import Card
    from tidegate.tasks.cards import CARDS
    from tidegate.tasks.classifying.sequences import SequenceClassifier
    from tidegate.tasks.classifying.texts import TextClassifier
    from tidegate.tasks.forecasting.forecast import Forecast
    from tidegate.tasks.forecasting.forecaster import Forecaster
    from tidegate.tasks.language.model import LanguageModel
    from tidegate.tasks.live import Live
    from tidegate.tasks.loading import for_kind, from_recipe, load, model_file, restore
    from tidegate.tasks.tagging.tagger import TokenTagger
    from tidegate.tasks.task import AnyTask as AnyTask
    from tidegate.tasks.task import Task

__all__ = [
    "CARDS",
    "Card",
    "Forecast",
    "Forecaster",
    "LanguageModel",
    "Live",
    "SequenceClassifier",
    "Task",
    "TextClassifier",
    "TokenTagger",
    "for_kind",
    "from_recipe",
    "load",
    "model_file",
    "presets",
    "restore",
]

_HOMES = {
    "AnyTask": "task",
    "CARDS": "cards",
    "Card": "card",
    "Forecast": "forecasting.forecast",
    "Live": "live",
    "Task": "task",
    "for_kind": "loading",
    "from_recipe": "loading",
    "load": "loading",
    "model_file": "loading",
    "restore": "loading",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: a process that predicts needs one task, not all."""
    if name == "presets":
        return import_module("tidegate.tasks.presets")
    if name in _HOMES:
        return getattr(import_module(f"tidegate.tasks.{_HOMES[name]}"), name)
    for card in import_module("tidegate.tasks.cards").CARDS.values():
        if name == card.owner:
            return card.task()
    raise AttributeError(f"module 'tidegate.tasks' has no attribute {name!r}")
