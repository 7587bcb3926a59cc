"""The cards of the two classifiers: of texts, and of sequences of features."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate.tasks.card import Card
from tidegate.tasks.classifying import presets

if TYPE_CHECKING:
    from tidegate.tasks.answers import Answers
    from tidegate.tasks.classifying.sequences import SequenceClassifier
    from tidegate.tasks.classifying.texts import TextClassifier
    from tidegate.tasks.scores import Scores


def _texts() -> type[TextClassifier]:
    from tidegate.tasks.classifying.texts import TextClassifier

    return TextClassifier


def _sequences() -> type[SequenceClassifier]:
    from tidegate.tasks.classifying.sequences import SequenceClassifier

    return SequenceClassifier


def _scores() -> Scores:
    from tidegate.tasks.classifying.scores import SCORES

    return SCORES


def _of_texts() -> Answers:
    from tidegate.tasks.classifying.answers import OF_TEXTS

    return OF_TEXTS


def _of_sequences() -> Answers:
    from tidegate.tasks.classifying.answers import OF_SEQUENCES

    return OF_SEQUENCES


TEXTS = Card(
    name="text-classifier",
    owner="TextClassifier",
    verb="classify",
    reads="text",
    many="classifiers of texts",
    chief="accuracy",
    presets=presets.TEXTS,
    task=_texts,
    scores=_scores,
    answers=_of_texts,
)
SEQUENCES = Card(
    name="sequence-classifier",
    owner="SequenceClassifier",
    verb="signals",
    reads="sequence",
    many="models of sequences",
    chief="accuracy",
    follows="predict RUN < sequences.jsonl",
    options=frozenset({"group", "lookahead"}),
    presets=presets.SEQUENCES,
    task=_sequences,
    scores=_scores,
    answers=_of_sequences,
)
CARDS = (TEXTS, SEQUENCES)
