"""The card of the transcriber."""

from __future__ import annotations

from tidegate.tasks.card import Card
from tidegate.tasks.transcribing.presets import PRESETS, QUICK_LINES

CARD = Card(
    name="transcriber",
    verb="transcribe",
    reads="transcribed",
    many="transcribers",
    chief="cer",
    follows="transcribe RUN FILE",
    asked=frozenset({"transcribe"}),
    presets=PRESETS,
    demo_data="digit_lines",
    demo_params=QUICK_LINES,
    task_at="transcribing.transcriber:Transcriber",
    scores_at="transcribing.scores:SCORES",
    answers_at="transcribing.answers:ANSWERS",
)
CARDS = (CARD,)
