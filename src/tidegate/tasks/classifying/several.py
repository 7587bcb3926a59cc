"""Several labels for each input, or none: each label is a question of its own, answered by yes or no. Knows numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tidegate.health import ClassHealth, judge_classes

Array: TypeAlias = NDArray[Any]
Truth: TypeAlias = NDArray[Any]
"""Which of K labels each of B inputs has, `[B, K]`."""


def questions(
    scores: NDArray[np.float64], truth: Truth, weights: Array | None
) -> tuple[NDArray[np.float64], NDArray[np.int64], Array | None]:
    """Turn B inputs with K labels into B * K inputs with two classes, yes and no.

    Args:
        scores: [B, K] of each label.
        truth: [B, K].
        weights: [B] of each input, if they differ.

    Returns:
        Scores `[B * K, 2]` of yes and no, the class of each `[B * K]`, and the weights `[B * K]` if there are any.
    """
    pairs = np.stack([scores.ravel(), np.zeros(scores.size)], axis=1)
    return pairs, np.where(truth.ravel() > 0.5, 0, 1), None if weights is None else np.repeat(weights, truth.shape[1])


def judge_labels(truth: Truth, said: Truth, names: Sequence[object]) -> tuple[dict[str, float], ClassHealth]:
    """Measure answers that name several labels.

    Args:
        truth: [B, K] which labels are there, at least one input.
        said: [B, K] which ones are named.
        names: [K].

    Returns:
        `accuracy`, the share of inputs of which all labels are right; `micro_f1`, the F1 over all pairs of an input and
        a label; `macro_f1` and `worst_recall` as `health.measure_classes` has them; and which labels are neglected.

    >>> judge_labels(np.array([[1, 0], [1, 1]]), np.array([[1, 0], [1, 0]]), ["a", "b"])[0]
    {'accuracy': 0.5, 'micro_f1': 0.8, 'macro_f1': 0.5, 'worst_recall': 0.0}
    """
    truth, said = np.asarray(truth, bool), np.asarray(said, bool)
    right, there, named = (truth & said).sum(axis=0), truth.sum(axis=0), said.sum(axis=0)
    found = {
        "accuracy": float((truth == said).all(axis=1).mean()),
        "micro_f1": float(2 * right.sum() / max(there.sum() + named.sum(), 1)),
    }
    if not there.any():
        return found | {"macro_f1": 0.0, "worst_recall": 0.0}, ClassHealth(str(names[0]), ())
    whole, health = judge_classes(right, there, named, names)
    return found | whole, health


def surprise(truth: Truth, weights: Array | None) -> float:
    """Compute what the best answer that ignores the input loses of each input, in nats: the share of each label."""
    shares = np.clip(np.average(truth, axis=0, weights=weights).astype(np.float64), 1e-12, 1 - 1e-12)
    return float(-(shares * np.log(shares) + (1 - shares) * np.log(1 - shares)).sum())
