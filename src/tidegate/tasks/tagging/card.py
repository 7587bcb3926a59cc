"""The card of the tagger."""

from __future__ import annotations

from tidegate.tasks.card import Card
from tidegate.tasks.tagging.presets import PRESETS

CARD = Card(
    name="token-tagger",
    verb="tag",
    reads="tagged",
    many="taggers",
    chief="accuracy",
    options=frozenset({"spans"}),
    presets=PRESETS,
    task_at="tagging.tagger:TokenTagger",
    scores_at="tagging.scores:SCORES",
    answers_at="tagging.answers:ANSWERS",
    baselines_at="tagging.baselines:fit_baselines",
)
CARDS = (CARD,)
