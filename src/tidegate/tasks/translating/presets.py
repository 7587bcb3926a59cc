"""Set-ups of translators by name."""

from __future__ import annotations

from typing import Any

from tidegate.cells import USUAL

_COMMON: dict[str, Any] = {
    "source_language": "",
    "target_language": "",
    "cell": USUAL,
    "num_layers": 1,
    "attention": "general",
    "starts": True,
    "longest": 200,
    "ratio": 9.0,
    "validation_fraction": 0.05,
    "optimizer": "adamw",
    "momentum": 0.0,
    "nesterov": False,
    "decay": 0.0,
    "weight_decay": 0.01,
    "schedule": "cosine",
    "warmup": 0.05,
    "max_grad_norm": 1.0,
}

PRESETS: dict[str, dict[str, Any]] = {
    # Tens of thousands of pairs of sentences: small vocabularies and strong dropout (Sennrich & Zhang 2019).
    "translation": _COMMON
    | {
        "units": "subwords",
        "vocabulary_size": 8000,
        "embedding_size": 256,
        "hidden_size": 256,
        "decoder_size": 512,
        "hops": 1,
        "dropout": 0.3,
        "recurrent_dropout": 0.2,
        "word_dropout": 0.1,
        "label_smoothing": 0.1,
        "average": 0.998,
        "stop_on": "auto",
        "epochs": 16,
        "batch_size": 64,
        "learning_rate": 2e-3,
        "patience": 6,
    },
    # Spelling to sound, dates, transliteration: short outputs of a few dozen symbols.
    "translation-symbols": _COMMON
    | {
        "units": "characters",
        "vocabulary_size": 500,
        "embedding_size": 64,
        "hidden_size": 96,
        "decoder_size": 128,
        "hops": 1,
        "dropout": 0.2,
        "recurrent_dropout": 0.0,
        "word_dropout": 0.0,
        "label_smoothing": 0.05,
        "average": 0.99,
        "stop_on": "exact",
        "epochs": 30,
        "batch_size": 32,
        "learning_rate": 5e-3,
        "patience": 6,
    },
}
