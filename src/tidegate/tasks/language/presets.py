"""Set-ups of language models by name."""

from __future__ import annotations

from typing import Any

from tidegate.cells import USUAL

# Of the set of AWD-LSTM (Merity, Keskar and Socher 2017) what one small layer wants; see docs/language-models.md.
_LANGUAGE: dict[str, Any] = {
    "keep_case": True,
    "cell": USUAL,
    "num_layers": 1,
    "embeddings": None,
    "train_embeddings": True,
    "embedding_dropout": 0.0,
    "input_dropout": 0.0,
    "hidden_dropout": 0.0,
    "dropout": 0.3,
    "weight_dropout": 0.0,
    "average": 0.0,
    "validation_fraction": 0.1,
    "optimizer": "adamw",
    "momentum": 0.0,
    "nesterov": False,
    "decay": 0.0,
    "learning_rate": 4e-3,
    "weight_decay": 0.01,
    "schedule": "cosine",
    "warmup": 0.1,
    "max_grad_norm": 1.0,
    "patience": 5,
}
_WORDS = _LANGUAGE | {"tokens": "words", "vocabulary_size": 10_000, "embedding_size": 0, "tied": True}


PRESETS: dict[str, dict[str, Any]] = {
    "language-characters": _LANGUAGE
    | {
        "tokens": "characters",
        "vocabulary_size": 1000,
        "direction": "forward",
        "embedding_size": 64,
        "hidden_size": 256,
        "tied": False,
        "steps": 100,
        "batch_size": 32,
        "epochs": 12,
    },
    "language-words": _WORDS
    | {
        "direction": "forward",
        "hidden_size": 128,
        "embedding_dropout": 0.1,
        "input_dropout": 0.3,
        "dropout": 0.5,
        "weight_dropout": 0.3,
        "average": 0.99,
        "steps": 64,
        "batch_size": 32,
        "epochs": 15,
    },
    "language-gaps": _WORDS | {"direction": "both", "hidden_size": 128, "steps": 32, "batch_size": 64, "epochs": 4},
}
