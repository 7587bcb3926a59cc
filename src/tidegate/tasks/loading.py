"""Makes tasks: of model files, of recipes, and for the kind of a data set. Finds them by their cards."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tidegate.checkpoint import NO_TASK, Model, load_model
from tidegate.data.kinds import Kind
from tidegate.errors import ModelFileError, OptionError
from tidegate.runtime import Executor
from tidegate.tasks.card import Card
from tidegate.tasks.cards import CARDS
from tidegate.tasks.run import RunFolder
from tidegate.tasks.task import AnyTask


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
    if name not in CARDS:
        raise ModelFileError(f"for the task {name!r:.80}, which this Tidegate does not know")
    return CARDS[name].task().from_model(model)


def for_kind(kind: Kind) -> type[AnyTask]:
    """Find the task that a data set of this kind is for.

    >>> for_kind("text").name
    'text-classifier'
    """
    found: type[AnyTask] = next(card.task() for card in CARDS.values() if card.reads == kind)
    return found


def from_recipe(recipe: dict[str, Any]) -> AnyTask:
    """Make an untrained task with the name and parameters of `RunFolder.recipe`.

    Raises OptionError, with the nearest known name, for a task or parameter that does not exist.
    """
    kind: type[AnyTask] = card_named(recipe["task"]).task()
    return kind().set_params(**kind.later | recipe["params"])


def card_named(name: str) -> Card:
    """Find the card of a task by the name of the task; raises OptionError, with the nearest known name, for no task."""
    if name not in CARDS:
        raise OptionError.unknown("task", name, CARDS)
    return CARDS[name]
