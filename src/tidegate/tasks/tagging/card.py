"""The card of the tagger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate.tasks.card import Card
from tidegate.tasks.tagging.presets import PRESETS

if TYPE_CHECKING:
    from tidegate.tasks.answers import Answers
    from tidegate.tasks.scores import Scores
    from tidegate.tasks.tagging.tagger import TokenTagger


def _task() -> type[TokenTagger]:
    from tidegate.tasks.tagging.tagger import TokenTagger

    return TokenTagger


def _scores() -> Scores:
    from tidegate.tasks.tagging.scores import SCORES

    return SCORES


def _answers() -> Answers:
    from tidegate.tasks.tagging.answers import ANSWERS

    return ANSWERS


CARD = Card(
    name="token-tagger",
    owner="TokenTagger",
    verb="tag",
    reads="tagged",
    many="taggers",
    chief="accuracy",
    options=frozenset({"spans"}),
    presets=PRESETS,
    task=_task,
    scores=_scores,
    answers=_answers,
)
CARDS = (CARD,)
