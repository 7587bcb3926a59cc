"""What Keras's layers compute, step by step in float64, from its own arrays in its own order: the yardstick.

Written from the documentation and the papers of the cells; shares nothing with the kernels or the conversion but the
settings of the layers. Knows one sequence at a time and no masks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.convert.keras_layers import (
    Activate,
    Bidirectional,
    Dense,
    Embedding,
    Layer,
    Pooling,
    Recurrent,
)

Array: TypeAlias = npt.NDArray[Any]


def evaluate(layers: Sequence[Layer], weights: Sequence[Sequence[Array]], x: Array, *, logits: bool = False) -> Array:
    """Compute what a model makes of one sequence, [T] ids or [T, C]: [K] where it pools, else [T, K].

    With `logits` a softmax at the end is left out.
    """
    for index, (layer, own) in enumerate(zip(layers, weights, strict=True)):
        last = not any(isinstance(other.settings, Dense | Activate) for other in layers[index + 1 :])
        x = _apply(layer.settings, own, x, logits=logits and last)
    return x


def _apply(settings: Any, stored: Sequence[Array], x: Array, *, logits: bool) -> Array:
    if isinstance(settings, Embedding):  # the table may be large: a few rows of it become float64
        return stored[0][x].astype(np.float64)
    own = [array.astype(np.float64) for array in stored]
    match settings:
        case Recurrent():
            return _run(settings, own, x)
        case Bidirectional():
            half = len(own) // 2
            forward, backward = _run(settings.forward, own[:half], x), _run(settings.backward, own[half:], x)
            return _join(settings.merge_mode, forward, backward[::-1] if backward.ndim == 2 else backward)
        case Dense():
            return _activate(settings.activation, x @ own[0] + (own[1] if settings.use_bias else 0.0), logits=logits)
        case Activate():
            return _activate(settings.activation, x, logits=logits)
        case Pooling():
            return np.asarray(x.max(axis=0) if settings.mode == "max" else x.mean(axis=0))
    return x  # dropout and masks have nothing to do


def _join(mode: str, forward: Array, backward: Array) -> Array:
    match mode:
        case "concat":
            return np.concatenate([forward, backward], axis=-1)
        case "sum":
            return forward + backward
        case "mul":
            return forward * backward
    return (forward + backward) / 2


def _activate(name: str, a: Array, *, logits: bool) -> Array:
    match name:
        case "relu":
            return np.maximum(a, 0.0)
        case "tanh":
            return np.tanh(a)
        case "sigmoid":
            return _sigmoid(a)
        case "softmax" if not logits:
            e = np.exp(a - a.max(axis=-1, keepdims=True))
            return np.asarray(e / e.sum(axis=-1, keepdims=True))
    return a


def _run(settings: Recurrent, own: list[Array], x: Array) -> Array:
    """Run a cell over the steps [T, C]: all states [T, H] in the order of the run, or the last one [H]."""
    step: Callable[..., tuple[Array, Array]] = {"SimpleRNN": _rnn, "LSTM": _lstm, "GRU": _gru}[settings.cell]
    kernel, recurrent = own[:2]
    bias = own[2] if settings.use_bias else np.zeros((2, 1) if settings.cell == "GRU" else 1)
    h = c = np.zeros(settings.units)
    out = []
    for row in x[::-1] if settings.go_backwards else x:
        h, c = step(row, h, c, kernel, recurrent, bias, settings.activation)
        out.append(h)
    return np.stack(out) if settings.return_sequences else h


def _rnn(x: Array, h: Array, c: Array, kernel: Array, recurrent: Array, bias: Array, f: str) -> tuple[Array, Array]:
    """H' = f(x W + h U + b) (Elman 1990)."""
    return _activate(f, x @ kernel + h @ recurrent + bias, logits=False), c


def _lstm(x: Array, h: Array, c: Array, kernel: Array, recurrent: Array, bias: Array, f: str) -> tuple[Array, Array]:
    """Gates i f c o side by side; c' = f * c + i * tanh(.), h' = o * tanh(c') (Gers et al. 2000)."""
    i, forget, g, o = np.split(x @ kernel + h @ recurrent + bias, 4)
    c = _sigmoid(forget) * c + _sigmoid(i) * np.tanh(g)
    return _sigmoid(o) * np.tanh(c), c


def _gru(x: Array, h: Array, c: Array, kernel: Array, recurrent: Array, bias: Array, f: str) -> tuple[Array, Array]:
    """Gates z r h side by side, reset after the product: h' = z * h + (1 - z) * tanh(. + r * .) (Cho et al. 2014)."""
    xz, xr, xh = np.split(x @ kernel + bias[0], 3)
    hz, hr, hh = np.split(h @ recurrent + bias[1], 3)
    z, r = _sigmoid(xz + hz), _sigmoid(xr + hr)
    return z * h + (1 - z) * np.tanh(xh + r * hh), c


def _sigmoid(a: Array) -> Array:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * a)))
