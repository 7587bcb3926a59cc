"""Set-ups by name: parameters of `TextClassifier` that tutorials teach, so that their results can be reproduced.

The tutorials train an embedding, one recurrent layer and a dense layer with Adam for a few epochs. What they leave out
is switched off here: word dropout, clipping, a schedule. All epochs are run, as overfitting begins in the second or
third and that is worth seeing; the weights of the best epoch are kept. Every parameter but the seed is written out, so
that a better default leaves a preset as it was.
"""

from __future__ import annotations

from typing import Any

from tidegate.errors import OptionError

_TUTORIAL: dict[str, Any] = {
    "num_layers": 1,
    "merge": "concat",
    "pooling": ("last",),
    "recurrent_dropout": 0.0,
    "vocabulary_size": 10_000,
    "keep": "last",
    "word_dropout": 0.0,
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "weight_decay": 0.0,
    "schedule": "constant",
    "warmup": 0.0,
    "max_grad_norm": 0.0,
    "batch_size": 128,
    "validation_fraction": 0.2,
}
_SMALL = _TUTORIAL | {
    "hidden_size": 32,
    "max_tokens": 500,
    "embedding_size": 32,
    "dense_size": 256,
    "dropout": 0.2,
    "epochs": 5,
    "patience": 5,
}

PRESETS: dict[str, dict[str, Any]] = {
    "tutorial-simplernn": _SMALL | {"cell": "rnn", "bidirectional": False},
    "tutorial-lstm": _SMALL | {"cell": "lstm", "bidirectional": False},
    "tutorial-bilstm": _SMALL | {"cell": "lstm", "bidirectional": True},
    "tutorial-bilstm64": _TUTORIAL
    | {
        "cell": "lstm",
        "bidirectional": True,
        "hidden_size": 64,
        "max_tokens": 200,
        "embedding_size": 128,
        "dense_size": 0,
        "dropout": 0.5,
        "epochs": 4,
        "patience": 4,
    },
}


def names() -> tuple[str, ...]:
    """List the names of the presets."""
    return tuple(PRESETS)


def get(name: str) -> dict[str, Any]:
    """Copy the parameters of a preset; raises OptionError with the nearest name for one that is not known.

    >>> get("tutorial-lstm")["hidden_size"]
    32
    """
    if name not in PRESETS:
        raise OptionError.unknown("preset", name, PRESETS)
    return dict(PRESETS[name])
