"""How far the probabilities of a classifier can be trusted, and one number that makes them so. Knows no task.

A network that trains on until it knows its examples is more certain than it is right. Its scores divided by one number,
the temperature, tell the same classes with probabilities that come true as often as they say (Guo et al. 2017).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tidegate.network import Dense, Network, Wide

Floats: TypeAlias = NDArray[np.float64]
Numbers: TypeAlias = NDArray[np.int64]
Weights: TypeAlias = dict[str, NDArray[Any]]

BINS = 15  # of equal width, as Guo et al. have them
_COLDEST, _HOTTEST = 0.01, 100.0
_CLOSE = 1e-6  # of the inverse
_IMAGINED = 10  # examples


def fit_temperature(logits: Floats, true: Numbers, weights: NDArray[Any] | None = None) -> float:
    """Find the temperature, from 0.01 to 100, with which the mean cross-entropy is least.

    It is convex in the inverse of the temperature, so that there is one answer. Ten examples more are imagined, which
    come out as often as the scores say: a few examples move it little, and it is finite where all of them are answered
    rightly.

    Args:
        logits: [B, K] scores of examples that were not trained on.
        true: [B] the numbers of their classes.
        weights: [B] how much each counts; None counts all the same.

    >>> fit_temperature(np.array([[4.0, 0.0]] * 400), np.array([0, 0, 0, 1] * 100))
    3.5429
    """
    if not np.isfinite(logits).all():
        return 1.0
    own = np.ones(len(logits)) if weights is None else weights * (len(weights) / weights.sum())
    centred = logits - logits.mean(axis=1, keepdims=True)
    right = np.take_along_axis(centred, true[:, None], axis=1)[:, 0]
    imagined = _IMAGINED / max(len(logits), 1)
    wanted = own * right + imagined * (softmax64(centred) * centred).sum(axis=1)

    def slope(inverse: float) -> float:
        reached = (softmax64(centred * inverse) * centred).sum(axis=1)
        return float(((own + imagined) * reached - wanted).sum())

    low, high = 1 / _HOTTEST, 1 / _COLDEST  # the slope rises from one to the other
    if not centred.any():
        return 1.0
    if slope(low) >= 0:
        return _HOTTEST
    if slope(high) <= 0:
        return _COLDEST
    while high - low > _CLOSE * low:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return round(2 / (low + high), 4)  # no finer than machines agree on


def read_temperature(stored: Mapping[str, Any]) -> float | None:
    """Read the temperature of a model file, None where it has none; raises ValueError for what can be none."""
    found = stored.get("temperature")
    if found is not None and not (isinstance(found, float) and _COLDEST <= found <= _HOTTEST):
        raise ValueError(f"its temperature is {found!r:.40}; wanted a number from {_COLDEST} to {_HOTTEST}")
    return found


def softmax64(logits: Floats) -> Floats:
    """Compute the probabilities `[B, K]` of scores, in double precision."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def reliability(probabilities: Floats, true: Numbers) -> list[list[float]]:
    """Sort answers by how certain they are; say how certain that is, how often they are right, and how many they are.

    Args:
        probabilities: [B, K] of each class.
        true: [B] the numbers of the right classes.

    Returns:
        Such a row for each of 15 bins of equal width that holds any answer, from the least certain to the most.

    >>> reliability(np.array([[0.9, 0.1], [0.9, 0.1], [0.45, 0.55]]), np.array([0, 1, 1]))
    [[0.55, 1.0, 1], [0.9, 0.5, 2]]
    """
    certain, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == true
    bins = np.clip(np.ceil(certain * BINS).astype(np.int64) - 1, 0, BINS - 1)
    found = []
    for each in np.unique(bins):
        here = bins == each
        found.append([float(certain[here].mean()), float(right[here].mean()), int(here.sum())])
    return found


def calibration_error(bins: list[list[float]]) -> float:
    """Compute the expected calibration error: how far certainty and share of right answers lie apart, on average.

    Args:
        bins: what `reliability` gave.

    >>> round(calibration_error([[0.55, 1.0, 1], [0.9, 0.5, 2]]), 4)
    0.4167
    """
    examples = sum(count for _, _, count in bins)
    return sum(abs(certain - right) * count for certain, right, count in bins) / max(examples, 1)


def cool(network: Network, weights: Weights, temperature: float) -> Weights:
    """Divide the scores of a network by a temperature, in the weights of the nodes that make them."""
    if temperature == 1.0:
        return weights
    last = [index for index, node in enumerate(network.nodes) if isinstance(node, Dense | Wide)][-1]
    scoring = (last - 1, last) if isinstance(network.nodes[last], Wide) else (last,)
    names = [f"{index}.{name}" for index in scoring for name in ("weight", "bias")]
    return weights | {name: weights[name] * weights[name].dtype.type(1 / temperature) for name in names}
