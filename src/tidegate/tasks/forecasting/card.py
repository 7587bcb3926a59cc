"""The card of the forecaster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate.tasks.card import Card
from tidegate.tasks.forecasting.presets import PRESETS

if TYPE_CHECKING:
    from tidegate.tasks.answers import Answers
    from tidegate.tasks.forecasting.forecaster import Forecaster
    from tidegate.tasks.scores import Scores


def _task() -> type[Forecaster]:
    from tidegate.tasks.forecasting.forecaster import Forecaster

    return Forecaster


def _scores() -> Scores:
    from tidegate.tasks.forecasting.scores import SCORES

    return SCORES


def _answers() -> Answers:
    from tidegate.tasks.forecasting.answers import ANSWERS

    return ANSWERS


CARD = Card(
    name="forecaster",
    owner="Forecaster",
    verb="forecast",
    reads="series",
    many="forecasters",
    chief="mse",
    follows="predict RUN series.csv",
    options=frozenset({"picture"}),
    presets=PRESETS,
    task=_task,
    scores=_scores,
    answers=_answers,
)
CARDS = (CARD,)
