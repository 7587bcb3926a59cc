"""Both classifiers, small enough to train in a moment, each with data that can be learned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tidegate as tg
from samples import texts, waves

SMALL: dict[str, Any] = {
    "hidden_size": 4,
    "epochs": 12,
    "batch_size": 8,
    "learning_rate": 0.05,
    "patience": 0,
    "dropout": 0.1,
    "validation_fraction": 0.25,
}
PLAIN: dict[str, Any] = {"evidence": 0, "linear": False}
"""What makes a classifier of texts read words alone."""


@dataclass(frozen=True)
class Kind:
    """A task, and how to draw data for it."""

    task: Callable[..., Any]
    data: Callable[..., tuple[list[Any], list[str]]]


KINDS = {"text": Kind(tg.TextClassifier, texts), "sequence": Kind(tg.SequenceClassifier, waves)}
