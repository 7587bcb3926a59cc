"""Set-ups by name: parameters of a task that are known to do well, or that tutorials teach.

The tutorials on film reviews train an embedding, one recurrent layer and a dense layer with Adam for a few epochs. What
they leave out is switched off here: word dropout, clipping, a schedule. All epochs are run, as overfitting begins in
the second or third and that is worth seeing; the weights of the best epoch are kept. Every parameter but the seed is
written out, so that a better default leaves a preset as it was.
"""

from __future__ import annotations

from typing import Any

from tidegate.errors import InputError, OptionError

_TUTORIAL: dict[str, Any] = {
    "num_layers": 1,
    "merge": "concat",
    "pooling": ("last",),
    "recurrent_dropout": 0.0,
    "chrono": 0,
    "class_weight": None,
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

# The network and the loss of SegRNN (Lin et al. 2023, arXiv:2308.11200), with a quarter of its units: sizes and rates
# were chosen on the validation part of ETTh1 (docs/forecasting.md).
_FORECAST: dict[str, Any] = {
    "lookback": 96,
    "horizon": 96,
    "num_layers": 1,
    "bidirectional": False,
    "independent": True,
    "quantiles": (),
    "scale": True,
    "window_scaling": "last",
    "calendar": False,
    "strategy": "direct",
    "steps_at_once": 1,
    "validation_fraction": 0.1,
    "optimizer": "adamw",
    "weight_decay": 0.0,
    "schedule": "cosine",
    "warmup": 0.0,
    "max_grad_norm": 1.0,
    "epochs": 10,
    "patience": 3,
    "batch_size": 64,
}
_STEPWISE = _FORECAST | {"segment": 0, "hidden_size": 64, "dropout": 0.2, "loss": "mse", "learning_rate": 1e-3}
# A BiLSTM-CRF (Huang, Xu, Yu 2015); with characters, that of Lample et al. (2016).
_TAGGER: dict[str, Any] = {
    "scheme": "auto",
    "learn_scheme": "same",
    "cell": "lstm",
    "hidden_size": 128,
    "num_layers": 1,
    "vocabulary_size": 50_000,
    "min_count": 2,
    "embedding_size": 100,
    "character_embedding_size": 32,
    "character_hidden_size": 48,
    "dropout": 0.5,
    "recurrent_dropout": 0.0,
    "word_dropout": 0.2,
    "character_dropout": 0.0,
    "validation_fraction": 0.1,
    "epochs": 10,
    "batch_size": 32,
    "optimizer": "adamw",
    "learning_rate": 5e-3,
    "weight_decay": 0.01,
    "schedule": "cosine",
    "warmup": 0.1,
    "max_grad_norm": 1.0,
    "patience": 0,
}

# Of the set of AWD-LSTM (Merity, Keskar and Socher 2017) what one small layer wants; see docs/language-models.md.
_LANGUAGE: dict[str, Any] = {
    "cell": "lstm",
    "num_layers": 1,
    "embedding_dropout": 0.0,
    "input_dropout": 0.0,
    "hidden_dropout": 0.0,
    "dropout": 0.3,
    "weight_dropout": 0.0,
    "average": 0.0,
    "validation_fraction": 0.1,
    "optimizer": "adamw",
    "learning_rate": 4e-3,
    "weight_decay": 0.01,
    "schedule": "cosine",
    "warmup": 0.1,
    "max_grad_norm": 1.0,
    "patience": 5,
}
_WORDS = _LANGUAGE | {"tokens": "words", "vocabulary_size": 10_000, "embedding_size": 0, "tied": True}

# By task, then by name.
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "forecaster": {
        "segrnn": _FORECAST
        | {"cell": "gru", "segment": 24, "hidden_size": 128, "dropout": 0.3, "loss": "mae", "learning_rate": 1e-3},
        "lstm": _STEPWISE | {"cell": "lstm", "independent": False},
        "bilstm": _STEPWISE | {"cell": "lstm", "independent": False, "bidirectional": True},
    },
    "language-model": {
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
    },
    "sequence-classifier": {
        # One number per step and hundreds of steps, such as the pixels of MNIST; see docs/signals.md.
        "pixels": {
            "cell": "lstm",
            "hidden_size": 128,
            "num_layers": 1,
            "bidirectional": False,
            "merge": "concat",
            "pooling": ("last", "mean"),
            "dense_size": 0,
            "dropout": 0.1,
            "recurrent_dropout": 0.0,
            "chrono": 784,
            "class_weight": None,
            "scale": True,
            "validation_fraction": 0.1,
            "epochs": 6,
            "batch_size": 32,
            "optimizer": "adamw",
            "learning_rate": 8e-3,
            "weight_decay": 0.01,
            "schedule": "cosine",
            "warmup": 0.1,
            "max_grad_norm": 1.0,
            "patience": 0,
        },
    },
    "text-classifier": {
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
    },
    "token-tagger": {
        "tagger-words": _TAGGER | {"characters": False},
        "tagger-characters": _TAGGER | {"characters": True},
        # Half the units and twice the batch: as good but for a third of a percent on English EWT, in half the time.
        "tagger-small": _TAGGER | {"characters": True, "hidden_size": 64, "batch_size": 64, "learning_rate": 6e-3},
        # For corpora that are tagged by character: few sentences, so smaller steps.
        "tagger-by-character": _TAGGER
        | {
            "hidden_size": 200,
            "characters": False,
            "word_dropout": 0.05,
            "epochs": 15,
            "batch_size": 10,
            "learning_rate": 2e-3,
        },
    },
}


def names(task: str) -> tuple[str, ...]:
    """List the names of the presets of a task; most have none."""
    return tuple(PRESETS.get(task, {}))


def get(name: str, *, task: str) -> dict[str, Any]:
    """Copy the parameters of a preset of a task.

    Raises OptionError with the nearest name for one that is not known, InputError for one of another task.

    >>> get("tutorial-lstm", task="text-classifier")["hidden_size"]
    32
    """
    known = PRESETS.get(task, {})
    if name in known:
        return dict(known[name])
    if others := [other for other, presets in PRESETS.items() if name in presets]:
        raise InputError(f"the preset {name!r} is for a {others[0]}, not for a {task}. Set the parameters instead.")
    raise OptionError.unknown("preset", name, known or [name for presets in PRESETS.values() for name in presets])
