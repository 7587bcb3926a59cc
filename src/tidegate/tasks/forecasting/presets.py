"""Set-ups of forecasters by name."""

from __future__ import annotations

from typing import Any

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
    "momentum": 0.0,
    "nesterov": False,
    "decay": 0.0,
    "weight_decay": 0.0,
    "schedule": "cosine",
    "warmup": 0.0,
    "max_grad_norm": 1.0,
    "epochs": 10,
    "patience": 3,
    "batch_size": 64,
}
_STEPWISE = _FORECAST | {"segment": 0, "hidden_size": 64, "dropout": 0.2, "loss": "mse", "learning_rate": 1e-3}

PRESETS: dict[str, dict[str, Any]] = {
    "segrnn": _FORECAST
    | {"cell": "gru", "segment": 24, "hidden_size": 128, "dropout": 0.3, "loss": "mae", "learning_rate": 1e-3},
    "lstm": _STEPWISE | {"cell": "lstm", "independent": False},
    "bilstm": _STEPWISE | {"cell": "lstm", "independent": False, "bidirectional": True},
}
