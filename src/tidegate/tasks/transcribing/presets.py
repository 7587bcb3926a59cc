"""Set-ups of transcribers by name."""

from __future__ import annotations

from typing import Any

from tidegate.cells import USUAL

_COMMON: dict[str, Any] = {
    "rate": None,
    "front": "window",
    "front_size": 16,
    "cell": USUAL,
    "num_layers": 3,
    "bidirectional": True,
    "bands": 40,
    "speed": 0.15,
    "time_masks": 3,
    "longest_mask": 12,
    "feature_masks": 1,
    "noise": 0.1,
    "gain": 0.0,
    "average": 0.998,
    "language": True,
    "short_first": 1,
    "pretrained": None,
    "validation_fraction": 0.05,
    "batch_size": 16,
    "optimizer": "adamw",
    "momentum": 0.0,
    "nesterov": False,
    "decay": 0.0,
    "learning_rate": 3e-3,
    "weight_decay": 0.01,
    "schedule": "cosine",
    "warmup": 0.05,
    "max_grad_norm": 1.0,
    "patience": 0,
}

_LINES: dict[str, Any] = _COMMON | {
    "reads": "line",
    "hidden_size": 128,
    "num_layers": 2,
    "dropout": 0.3,
    "window": 8,
    "stride": 4,
    "centred": False,
    "time_masks": 2,
    "longest_mask": 16,
    "widest_mask": 8,
    "speed": 0.1,
    "noise": 0.05,
    "shift": 0.0,
    "epochs": 30,
}

PRESETS: dict[str, dict[str, Any]] = {
    # Short utterances as cepstra, 100 frames a second: less than an hour of speech of many speakers.
    "speech-cepstra": _COMMON
    | {
        "reads": "features",
        "hidden_size": 128,
        "dropout": 0.5,
        "window": 7,
        "stride": 3,
        "centred": True,
        "speed": 0.2,
        "time_masks": 4,
        "longest_mask": 15,
        "feature_masks": 2,
        "widest_mask": 3,
        "noise": 0.2,
        "shift": 0.25,
        "average": 0.999,
        "epochs": 70,
        "batch_size": 8,
        "learning_rate": 2e-3,
        "weight_decay": 0.05,
    },
    # Digits and short commands from samples.
    "speech-commands": _COMMON
    | {
        "reads": "sound",
        "hidden_size": 96,
        "num_layers": 2,
        "dropout": 0.4,
        "window": 5,
        "stride": 3,
        "centred": False,
        "widest_mask": 8,
        "shift": 0.15,
        "gain": 0.7,
        "epochs": 30,
    },
    # Lines of print, 48 pixels high.
    "lines": _LINES,
    # The same behind a layer down each column of the image (Lfys of Tesseract 4), or in four directions (ReNet).
    "lines-columns": _LINES | {"front": "columns", "front_size": 48},
    "lines-renet": _LINES | {"front": "renet", "front_size": 24},
    "lines-mdlstm": _LINES | {"front": "mdlstm", "front_size": 16},
}

SUITED: dict[str, str] = {"features": "speech-cepstra", "sound": "speech-commands", "line": "lines"}
"""The preset that is taken for what is read, where none is named."""
QUICK_LINES: dict[str, Any] = {
    "hidden_size": 64,
    "num_layers": 1,
    "dropout": 0.1,
    "time_masks": 0,
    "epochs": 24,
    "learning_rate": 0.01,
}
"""What reads lines of digits after half a minute of training, over the preset."""
