"""What everybody else may know of a task: its card, filled in the folder of the task.

Runs, commands and servers loop over the cards and name no task. A card loads nothing heavy: what it computes with is
imported when it is asked for. Knows no task itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from tidegate.data.kinds import Kind
    from tidegate.tasks.answers import Answers
    from tidegate.tasks.baselines import FitBaselines
    from tidegate.tasks.scores import Scores

Option: TypeAlias = Literal["spans", "picture", "group", "lookahead"]
"""An option of `tidegate predict` that says something to some tasks alone."""
Command: TypeAlias = Literal["predict", "generate", "complete", "transcribe", "translate"]
"""A command that asks a model."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """Say what a task is called, how it is found, measured and asked.

    Args:
        name: of the task, in model files and recipes.
        verb: what the option `--task` calls it.
        reads: the kind of data set that it is for.
        many: what its models are called in a sentence.
        chief: the measure that tells how good a model is.
        follows: what to type after a training, where RUN is the run folder.
        follows_images: the same after one on images.
        asked: the commands that ask a model of it.
        options: the options of `tidegate predict` that say something to it.
        presets: parameters that are known to do well, by name.
        demo_data: a data set that needs no download and shows what it does in a minute; empty where there is none.
        demo_params: parameters with which it does.
        task_at: where its class stands in the folder `tasks`, as `file:name`.
        scores_at: where it stands how it is measured, a `Scores`.
        answers_at: where it stands how it answers, an `Answers`.
        baselines_at: where it stands how simple models are fitted beside it, a `FitBaselines`; nothing where none are.
    """

    name: str
    verb: str
    reads: Kind
    many: str
    chief: str
    follows: str = "predict RUN TEXT"
    follows_images: str = "predict RUN PICTURES"
    asked: frozenset[Command] = frozenset({"predict"})
    options: frozenset[Option] = frozenset()
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    demo_data: str = ""
    demo_params: Mapping[str, Any] = field(default_factory=dict)
    task_at: str
    scores_at: str
    answers_at: str
    baselines_at: str = ""

    def next_step(self, x: Any, run: str) -> str:
        """Say what to type after a training on inputs `x` in a run folder."""
        from tidegate.grid import Grid

        return (self.follows_images if isinstance(x, Grid) else self.follows).replace("RUN", run)

    @property
    def owner(self) -> str:
        """The name of its class."""
        return self.task_at.partition(":")[2]

    def task(self) -> Any:
        """Import its class, a heir of `Task`."""
        return _found(self.task_at)

    def scores(self) -> Scores:
        """Import how it is measured."""
        scores: Scores = _found(self.scores_at)
        return scores

    def answers(self) -> Answers:
        """Import how it answers."""
        answers: Answers = _found(self.answers_at)
        return answers

    def baselines(self) -> FitBaselines | None:
        """Import how simple models are fitted beside it; None where none are."""
        if not self.baselines_at:
            return None
        fit: FitBaselines = _found(self.baselines_at)
        return fit


def _found(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(f"tidegate.tasks.{module}"), name)
