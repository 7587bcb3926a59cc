"""What everybody else may know of a task: its card, filled in the folder of the task.

Runs, commands and servers loop over the cards and name no task. A card loads nothing heavy: what it computes with is
imported when it is asked for. Knows no task itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from tidegate.data.dataset import Kind
    from tidegate.tasks.answers import Answers
    from tidegate.tasks.scores import Scores
    from tidegate.tasks.task import AnyTask

Option: TypeAlias = Literal["spans", "picture", "group", "lookahead"]
"""An option of `tidegate predict` that says something to some tasks alone."""
Command: TypeAlias = Literal["predict", "generate", "complete"]
"""A command that asks a model."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """Say what a task is called, how it is found, measured and asked.

    Args:
        name: of the task, in model files and recipes.
        owner: the name of its class, as `tidegate.tasks` gives it out.
        verb: what the option `--task` calls it.
        reads: the kind of data set that it is for.
        many: what its models are called in a sentence.
        chief: the measure that tells how good a model is.
        follows: what to type after a training, where RUN is the run folder.
        asked: the commands that ask a model of it.
        options: the options of `tidegate predict` that say something to it.
        presets: parameters that are known to do well, by name.
        task: imports the class.
        scores: imports how it is measured.
        answers: imports how it answers.
    """

    name: str
    owner: str
    verb: str
    reads: Kind
    many: str
    chief: str
    follows: str = "predict RUN TEXT"
    asked: frozenset[Command] = frozenset({"predict"})
    options: frozenset[Option] = frozenset()
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    task: Callable[[], type[AnyTask]]
    scores: Callable[[], Scores]
    answers: Callable[[], Answers]
