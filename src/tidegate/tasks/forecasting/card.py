"""The card of the forecaster."""

from __future__ import annotations

from tidegate.tasks.card import Card
from tidegate.tasks.forecasting.presets import PRESETS

CARD = Card(
    name="forecaster",
    verb="forecast",
    reads="series",
    many="forecasters",
    chief="mse",
    follows="predict RUN series.csv",
    options=frozenset({"picture"}),
    presets=PRESETS,
    task_at="forecasting.forecaster:Forecaster",
    scores_at="forecasting.scores:SCORES",
    answers_at="forecasting.answers:ANSWERS",
)
CARDS = (CARD,)
