"""Both classifiers, small enough to train in a moment, each with data that can be learned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import tidegate as tg
from samples import WORDS, texts, waves

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
NAMES = sorted(WORDS)
"""The labels of `draw_several`."""


def draw_several(kind: Kind, count: int, seed: int = 0) -> tuple[list[Any], list[list[str]]]:
    """Draw inputs in which each of three labels can be seen or not."""
    rng = np.random.default_rng(seed)
    truth = rng.random((count, 3)) < 0.4
    y = [[name for name, there in zip(NAMES, row, strict=True) if there] for row in truth]
    if kind is KINDS["text"]:
        X: list[Any] = []
        for labels in y:
            words = [str(rng.choice(WORDS[name].split())) for name in labels for _ in range(2)] + ["the", "of"]
            X.append(" ".join(rng.permutation(words)))
        return X, y
    return [rng.normal(3.0 * row, 0.5, (rng.integers(2, 8), 3)) for row in truth], y
