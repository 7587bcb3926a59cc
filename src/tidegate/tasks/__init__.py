"""What users come for: one file per task, and `load`, which reads the model file of any of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tidegate.checkpoint import Model, load_model
from tidegate.data.dataset import Kind
from tidegate.errors import ModelFileError, OptionError
from tidegate.tasks._forecast import Forecast
from tidegate.tasks._task import Task
from tidegate.tasks.forecaster import Forecaster
from tidegate.tasks.language_model import LanguageModel
from tidegate.tasks.run import MODEL
from tidegate.tasks.sequence_classifier import SequenceClassifier
from tidegate.tasks.text_classifier import TextClassifier
from tidegate.tasks.token_tagger import TokenTagger

__all__ = [
    "Forecast",
    "Forecaster",
    "LanguageModel",
    "SequenceClassifier",
    "Task",
    "TextClassifier",
    "TokenTagger",
    "for_kind",
    "from_recipe",
    "load",
    "model_file",
    "restore",
]

AnyTask = Task[Any]
_TASKS: dict[str, type[AnyTask]] = {
    task.name: task for task in (TextClassifier, SequenceClassifier, TokenTagger, Forecaster, LanguageModel)
}


def load(path: str | os.PathLike[str]) -> Any:
    """Read a model file, or the model of a run folder, ready to predict; torch is not needed.

    What comes is the fitted task that was saved: the file decides of which class.

    Raises ModelFileError when the file is truncated, altered or of another kind.
    """
    file = model_file(path)
    model = load_model(file)
    try:
        return restore(model)
    except ModelFileError as error:
        raise ModelFileError(f"{file}: {error}") from None


def model_file(path: str | os.PathLike[str]) -> Path:
    """Name the model file that a path means: itself, or the one in a run folder."""
    return Path(path) / MODEL if Path(path).is_dir() else Path(path)


def restore(model: Model) -> Any:
    """Make ready to predict what a model file said; raises ModelFileError where it describes no task of ours."""
    task = _TASKS.get(str(model.task.get("name")))
    if task is None:
        raise ModelFileError(f"for the task {model.task.get('name')!r:.80}, which this Tidegate does not know")
    return task.from_model(model)


def for_kind(kind: Kind) -> type[AnyTask]:
    """Find the task that a data set of this kind is for.

    >>> for_kind("text").name
    'text-classifier'
    """
    return next(task for task in _TASKS.values() if task.reads == kind)


def from_recipe(recipe: dict[str, Any]) -> AnyTask:
    """Make an untrained task with the name and parameters of `RunFolder.recipe`.

    Raises OptionError, with the nearest known name, for a task or parameter that does not exist.
    """
    if recipe["task"] not in _TASKS:
        raise OptionError.unknown("task", recipe["task"], _TASKS)
    return _TASKS[recipe["task"]]().set_params(**recipe["params"])
