"""Sentences with the tags of the names in them, and a tagger small enough to learn them at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from tidegate.data import schemes

SMALL: dict[str, Any] = {
    "hidden_size": 8,
    "embedding_size": 6,
    "character_embedding_size": 4,
    "character_hidden_size": 4,
    "epochs": 10,
    "batch_size": 8,
    "learning_rate": 0.05,
    "dropout": 0.1,
    "validation_fraction": 0.2,
}
NAMES = {"person": ["Ada", "Rex", "Eve Li", "Bo van Ek"], "place": ["Bern", "Rome", "New York", "Ulm"]}


def posts(count: int, scheme: schemes.Scheme = "bio", seed: int = 0) -> tuple[list[list[str]], list[list[str]]]:
    """Draw sentences such as `Ada Li left New York .` with the tags of the names in them."""
    rng = np.random.default_rng(seed)
    X, y = [], []
    for _ in range(count):
        words: list[str] = []
        spans = []
        for label in rng.permutation(["person", "place"]):
            name = str(rng.choice(NAMES[label])).split()
            spans.append(schemes.Span(len(words), len(words) + len(name) - 1, label))
            words += [*name, str(rng.choice(["left", "saw", "likes"]))]
        X.append(words[: len(words) - int(rng.integers(0, 2))])
        y.append(schemes.write_tags(spans, len(X[-1]), scheme))
    return X, y
