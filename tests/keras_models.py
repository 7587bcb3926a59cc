"""Models of Keras, built as the tests want them, with weights that are no zeros."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Layers = Callable[[Any], list[Any]]


def sequential(keras: Any, layers: Layers, *, ids: bool = False, features: int = 3) -> Any:
    """Build a Sequential model whose weights are all drawn anew, biases too: Keras begins with zeros."""
    entry = keras.Input((None,), dtype="int32") if ids else keras.Input((None, features))
    return drawn(keras.Sequential([entry, *layers(keras.layers)]))


def drawn(model: Any) -> Any:
    rng = np.random.default_rng(5)
    model.set_weights([rng.normal(0, 0.5, array.shape).astype(np.float32) for array in model.get_weights()])
    return model


def saved(model: Any, path: Path) -> Path:
    model.save(path)
    return path
