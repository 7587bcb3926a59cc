"""From probabilities to answers: the likeliest class, or what is likely enough by a threshold of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Thresholds: TypeAlias = tuple[float | None, ...]
"""From which probability on each of K classes is named; None for one that is named where no other is."""
Aim: TypeAlias = Literal["f1"] | None

LEAST = 10  # examples of a label, and as many without it, below which it keeps the usual threshold
USUAL = 0.5


def decide(likely: Array, *, several: bool, thresholds: Thresholds | None) -> Array:
    """Name the class of each row of probabilities `[B, K]` by its number `[B]`, or say which labels it has `[B, K]`.

    Args:
        likely: of each class, or of each label by itself.
        several: whether a row may have several labels.
        thresholds: one for each label; of two classes for one of them.

    >>> decide(np.array([[0.7, 0.3], [0.9, 0.1]]), several=False, thresholds=(None, 0.25)).tolist()
    [1, 0]
    """
    if several:
        return likely > USUAL if thresholds is None else likely >= np.array(thresholds, np.float64)
    if thresholds is None:
        return np.asarray(likely.argmax(axis=1))
    (mine,) = (number for number, threshold in enumerate(thresholds) if threshold is not None)
    return np.where(likely[:, mine] >= thresholds[mine], mine, 1 - mine)


def choose_thresholds(likely: Array, truth: Array) -> Thresholds:
    """Choose the thresholds with which the F1 of each label is largest; of two classes that of the rarer one.

    A label of which there are fewer than ten examples, or all but ten, keeps 0.5: so few tell nothing.

    Args:
        likely: [B, K] probabilities on a part that was not trained on.
        truth: [B] the numbers of the right ones of two classes, or [B, K] which labels are there.
    """
    if truth.ndim == 2:
        return tuple(_best(likely[:, k], truth[:, k] > 0.5) for k in range(truth.shape[1]))
    rare = 1 if 2 * int(truth.sum()) <= len(truth) else 0
    threshold = _best(likely[:, rare], truth == rare)
    return (None, threshold) if rare else (threshold, None)


def _best(likely: Array, there: Array) -> float:
    """Find the threshold with the largest F1, in the middle between two probabilities; the one closest to 0.5."""
    if min(int(there.sum()), int((~there).sum())) < LEAST:
        return USUAL
    order = np.argsort(-likely, kind="stable")
    sure, right = likely[order].astype(np.float64), np.cumsum(there[order])
    f1 = 2 * right / (np.arange(1, len(sure) + 1) + there.sum())
    cuts = np.flatnonzero(np.append(sure[1:] < sure[:-1], True))  # whoever is as likely is named, too
    middle = (sure[cuts] + np.append(sure[1:], 0.0)[cuts]) / 2
    best = np.flatnonzero(f1[cuts] >= f1[cuts].max() - 1e-12)
    return round(float(middle[best[np.abs(middle[best] - USUAL).argmin()]]), 6)


def read_thresholds(stored: Any, classes: int, *, several: bool) -> Thresholds | None:
    """Read the thresholds of a model file, None where it has none; raises ValueError for what can be none."""
    if stored is None:
        return None
    given = stored if isinstance(stored, list) else []
    numbers = [each for each in given if each is not None]
    wanted = classes if several else 1
    if len(given) != classes or len(numbers) != wanted or (not several and classes != 2):
        raise ValueError(f"its thresholds are {stored!r:.80}; wanted {wanted} for {classes} classes")
    if not all(isinstance(each, float) and 0 <= each <= 1 for each in numbers):
        raise ValueError(f"its thresholds are {stored!r:.80}; wanted numbers from 0 to 1")
    return tuple(given)


def tell_thresholds(thresholds: Thresholds | None, names: Sequence[object]) -> dict[str, float]:
    """Name the classes that have a threshold.

    >>> tell_thresholds((None, 0.25), ["neg", "pos"])
    {'pos': 0.25}
    """
    pairs = zip(names, thresholds or (), strict=False)
    return {str(name): threshold for name, threshold in pairs if threshold is not None}
