"""The card of the grader."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate.tasks.card import Card

if TYPE_CHECKING:
    from tidegate.tasks.answers import Answers
    from tidegate.tasks.scores import Scores

    from .grader import Grader


def _task() -> type[Grader]:
    from .grader import Grader

    return Grader


def _scores() -> Scores:
    from .scores import SCORES

    return SCORES


def _answers() -> Answers:
    from .answers import ANSWERS

    return ANSWERS


CARD = Card(
    name="grader",
    owner="Grader",
    verb="grade",
    reads="text",
    many="graders",
    chief="mse",
    presets={"grader-small": {"hidden_size": 3, "epochs": 2}},
    task=_task,
    scores=_scores,
    answers=_answers,
)
CARDS = (CARD,)
