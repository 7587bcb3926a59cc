"""The card of the language model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate.tasks.card import Card
from tidegate.tasks.language.presets import PRESETS

if TYPE_CHECKING:
    from tidegate.tasks.answers import Answers
    from tidegate.tasks.language.model import LanguageModel
    from tidegate.tasks.scores import Scores


def _task() -> type[LanguageModel]:
    from tidegate.tasks.language.model import LanguageModel

    return LanguageModel


def _scores() -> Scores:
    from tidegate.tasks.language.scores import SCORES

    return SCORES


def _answers() -> Answers:
    from tidegate.tasks.language.answers import ANSWERS

    return ANSWERS


CARD = Card(
    name="language-model",
    owner="LanguageModel",
    verb="language",
    reads="corpus",
    many="language models",
    chief="perplexity",
    follows="generate RUN",
    asked=frozenset({"predict", "generate", "complete"}),
    presets=PRESETS,
    task=_task,
    scores=_scores,
    answers=_answers,
)
CARDS = (CARD,)
