"""The cards of the two classifiers: of texts, and of sequences of features."""

from __future__ import annotations

from tidegate.tasks.card import Card
from tidegate.tasks.classifying import presets

TEXTS = Card(
    name="text-classifier",
    verb="classify",
    reads="text",
    many="classifiers of texts",
    chief="accuracy",
    presets=presets.TEXTS,
    task_at="classifying.texts:TextClassifier",
    scores_at="classifying.scores:SCORES",
    answers_at="classifying.answers:OF_TEXTS",
    baselines_at="classifying.baselines:fit_baselines",
)
SEQUENCES = Card(
    name="sequence-classifier",
    verb="signals",
    reads="sequence",
    many="models of sequences",
    chief="accuracy",
    follows="predict RUN < sequences.jsonl",
    options=frozenset({"group", "lookahead"}),
    presets=presets.SEQUENCES,
    task_at="classifying.sequences:SequenceClassifier",
    scores_at="classifying.scores:SCORES",
    answers_at="classifying.answers:OF_SEQUENCES",
)
CARDS = (TEXTS, SEQUENCES)
