"""The card of the translator."""

from __future__ import annotations

from tidegate.tasks.card import Card
from tidegate.tasks.translating.presets import PRESETS

CARD = Card(
    name="translator",
    verb="translate",
    reads="pairs",
    many="translators",
    chief="bleu",
    follows="translate RUN TEXT",
    asked=frozenset({"translate"}),
    presets=PRESETS,
    task_at="translating.translator:Translator",
    scores_at="translating.scores:SCORES",
    answers_at="translating.answers:ANSWERS",
)
CARDS = (CARD,)
