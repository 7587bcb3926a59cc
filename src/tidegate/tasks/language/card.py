"""The card of the language model."""

from __future__ import annotations

from tidegate.tasks.card import Card
from tidegate.tasks.language.presets import PRESETS

CARD = Card(
    name="language-model",
    verb="language",
    reads="corpus",
    many="language models",
    chief="perplexity",
    follows="generate RUN",
    asked=frozenset({"predict", "generate", "complete"}),
    presets=PRESETS,
    task_at="language.model:LanguageModel",
    scores_at="language.scores:SCORES",
    answers_at="language.answers:ANSWERS",
)
CARDS = (CARD,)
