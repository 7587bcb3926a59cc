"""What users come for: one file per task, and `load`, which reads the model file of any of them."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.checkpoint import NO_TASK, Model, load_model
from tidegate.data.dataset import Kind
from tidegate.errors import ModelFileError, OptionError
from tidegate.runtime import Executor
from tidegate.tasks._task import Task
from tidegate.tasks.run import RunFolder

if TYPE_CHECKING:
    from tidegate.tasks._forecast import Forecast
    from tidegate.tasks.forecaster import Forecaster
    from tidegate.tasks.language_model import LanguageModel
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
# By the name of the task, the kind of data that it is for and its class, which stands in a file of its name.
_TASKS: dict[str, tuple[Kind, str]] = {
    "text-classifier": ("text", "TextClassifier"),
    "sequence-classifier": ("sequence", "SequenceClassifier"),
    "token-tagger": ("tagged", "TokenTagger"),
    "forecaster": ("series", "Forecaster"),
    "language-model": ("corpus", "LanguageModel"),
}


def load(path: str | os.PathLike[str]) -> Any:
    """Read a model file, or the model of a run folder, ready to predict; torch is not needed.

    What comes is the fitted task that was saved: the file decides of which class. A network without a task, as
    `runtime.Executor.save` writes it, comes as an executor.

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
    return RunFolder(path).model if Path(path).is_dir() else Path(path)


def restore(model: Model) -> Any:
    """Make ready to predict what a model file said, a task or a network alone.

    Raises ModelFileError where it describes neither.
    """
    name = str(model.task.get("name"))
    if name == NO_TASK:
        return Executor(model.network, model.weights)
    if name not in _TASKS:
        raise ModelFileError(f"for the task {name!r:.80}, which this Tidegate does not know")
    return _class(name).from_model(model)


def for_kind(kind: Kind) -> type[AnyTask]:
    """Find the task that a data set of this kind is for.

    >>> for_kind("text").name
    'text-classifier'
    """
    return next(_class(name) for name, (reads, _) in _TASKS.items() if reads == kind)


def from_recipe(recipe: dict[str, Any]) -> AnyTask:
    """Make an untrained task with the name and parameters of `RunFolder.recipe`.

    Raises OptionError, with the nearest known name, for a task or parameter that does not exist.
    """
    if recipe["task"] not in _TASKS:
        raise OptionError.unknown("task", recipe["task"], _TASKS)
    return _class(recipe["task"])().set_params(**recipe["params"])


def _class(name: str) -> type[AnyTask]:
    home = import_module(f"tidegate.tasks.{name.replace('-', '_')}")
    found: type[AnyTask] = getattr(home, _TASKS[name][1])
    return found


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: a process that predicts needs one task, not all."""
    if name == "Forecast":
        return import_module("tidegate.tasks._forecast").Forecast
    for task, (_, owner) in _TASKS.items():
        if name == owner:
            return _class(task)
    raise AttributeError(f"module 'tidegate.tasks' has no attribute {name!r}")
