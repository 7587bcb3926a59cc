"""Set-ups of classifiers by name: those that tutorials teach, and one for long sequences of single numbers.

The tutorials on film reviews train an embedding, one recurrent layer and a dense layer for a few epochs: a SimpleRNN
with RMSprop, an LSTM in one direction or two with Adam, two directions that are summed with SGD, one review at a time.
What they leave out is switched off here: word dropout, clipping, a schedule. All epochs are run, as overfitting begins
in the second or third and that is worth seeing; the weights of the best epoch are kept.
"""

from __future__ import annotations

from typing import Any

_TUTORIAL: dict[str, Any] = {
    "num_layers": 1,
    "merge": "concat",
    "pooling": ("last",),
    "recurrent_dropout": 0.0,
    "chrono": 0,
    "class_weight": None,
    "calibrate": False,
    "refit": False,
    "multilabel": "auto",
    "thresholds": None,
    "vocabulary_size": 10_000,
    "keep": "last",
    "embeddings": None,
    "train_embeddings": True,
    "cooccurrence": False,
    "word_dropout": 0.0,
    "evidence": 0,
    "linear": False,
    "pretrained": None,
    "teacher": None,
    "optimizer": "adam",
    "momentum": 0.0,
    "nesterov": False,
    "decay": 0.0,
    "learning_rate": 1e-3,
    "weight_decay": 0.0,
    "schedule": "constant",
    "warmup": 0.0,
    "max_grad_norm": 0.0,
    "batch_size": 128,
    "validation_fraction": 0.2,
}

_IMAGES: dict[str, Any] = {
    "block": 2,
    "shift": 2,
    "cell": "lstm",
    "num_layers": 2,
    "bidirectional": True,
    "pooling": ("max", "mean"),
    "dense_size": 0,
    "dropout": 0.2,
    "recurrent_dropout": 0.0,
    "chrono": 0,
    "class_weight": None,
    "calibrate": True,
    "refit": False,
    "multilabel": "auto",
    "thresholds": None,
    "scale": True,
    "validation_fraction": 0.1,
    "batch_size": 32,
    "optimizer": "adamw",
    "momentum": 0.0,
    "nesterov": False,
    "decay": 0.0,
    "weight_decay": 0.01,
    "schedule": "cosine",
    "warmup": 0.1,
    "max_grad_norm": 1.0,
    "patience": 0,
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

TEXTS: dict[str, dict[str, Any]] = {
    # The network alone, without n-grams, which can answer while a text comes in; the default until December 2026.
    "plain-bilstm": _TUTORIAL
    | {
        "cell": "lstm",
        "hidden_size": 64,
        "bidirectional": True,
        "pooling": ("max", "mean"),
        "dense_size": 0,
        "dropout": 0.5,
        "vocabulary_size": 20_000,
        "max_tokens": 500,
        "embedding_size": 64,
        "word_dropout": 0.5,
        "epochs": "auto",
        "batch_size": 64,
        "optimizer": "adamw",
        "learning_rate": 6e-3,
        "weight_decay": 0.01,
        "schedule": "cosine",
        "warmup": 0.1,
        "max_grad_norm": 1.0,
        "patience": 5,
        "validation_fraction": 0.1,
    },
    "tutorial-simplernn": _SMALL | {"cell": "rnn", "bidirectional": False, "optimizer": "rmsprop"},
    "tutorial-lstm": _SMALL | {"cell": "lstm", "bidirectional": False},
    "tutorial-bilstm": _SMALL | {"cell": "lstm", "bidirectional": True},
    "tutorial-bilstm-sum": _SMALL
    | {
        "cell": "lstm",
        "bidirectional": True,
        "merge": "sum",
        "batch_size": 1,
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "momentum": 0.9,
        "nesterov": True,
        "schedule": "inverse",
        "decay": 1e-5,
    },
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

SEQUENCES: dict[str, dict[str, Any]] = {
    # One number per step and hundreds of steps, such as the pixels of MNIST; see docs/signals.md.
    "pixels": {
        "scan": None,
        "block": 2,
        "shift": 0,
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
        "calibrate": True,
        "refit": False,
        "multilabel": "auto",
        "thresholds": None,
        "scale": True,
        "validation_fraction": 0.1,
        "epochs": 6,
        "batch_size": 32,
        "optimizer": "adamw",
        "momentum": 0.0,
        "nesterov": False,
        "decay": 0.0,
        "learning_rate": 8e-3,
        "weight_decay": 0.01,
        "schedule": "cosine",
        "warmup": 0.1,
        "max_grad_norm": 1.0,
        "patience": 0,
    },
    # Images, each layer along rows and then columns, both ways (Visin et al. 2015); see docs/grids.md.
    "renet": _IMAGES
    | {
        "scan": "renet",
        "hidden_size": 48,
        "merge": "concat",
        "epochs": 16,
        "learning_rate": 1e-2,
    },
    # Images, each layer from all corners along the diagonals (after Leifert et al. 2016); see docs/grids.md.
    "mdlstm": _IMAGES
    | {
        "scan": "stable",
        "hidden_size": 32,
        "merge": "sum",
        "epochs": 12,
        "learning_rate": 4e-3,
    },
}
