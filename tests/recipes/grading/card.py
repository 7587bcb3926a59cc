"""The card of the grader."""

from __future__ import annotations

from tidegate.tasks.card import Card

CARD = Card(
    name="grader",
    verb="grade",
    reads="text",
    many="graders",
    chief="mse",
    presets={"grader-small": {"hidden_size": 3, "epochs": 2}},
    task_at="grading.grader:Grader",
    scores_at="grading.scores:SCORES",
    answers_at="grading.answers:ANSWERS",
)
CARDS = (CARD,)
