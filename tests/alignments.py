"""What a beam is compared with: every alignment of small cases, and scores of texts read letter by letter."""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def draw(frames: int, symbols: int, seed: int = 0, scale: float = 2.0, kind: Any = np.float64) -> Array:
    """Draw log-probabilities [frames, 1 + symbols]."""
    scores = np.random.default_rng([seed, frames, symbols]).normal(size=(frames, 1 + symbols)) * scale
    return np.asarray(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True), kind)


def peaky(frames: int, symbols: int, seed: int = 0) -> Array:
    """Draw rows as a trained network gives them: most frames are all but blank."""
    rng = np.random.default_rng([seed, 9])
    scores = rng.normal(size=(frames, 1 + symbols)).astype(np.float32)
    scores[:, 0] += 12
    said = rng.random(frames) < 0.25
    scores[said, 1 + rng.integers(0, symbols, said.sum())] += rng.uniform(10, 16, said.sum()).astype(np.float32)
    return np.asarray(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True), np.float32)


def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    """Read an alignment: repeats as one, then without blanks; symbols counted from 0."""
    return tuple(key - 1 for key, _ in groupby(path) if key)


def every_text(rows: Array) -> dict[tuple[int, ...], float]:
    """Sum the probabilities of all alignments of each text."""
    found: dict[tuple[int, ...], float] = defaultdict(float)
    for path in product(range(rows.shape[1]), repeat=len(rows)):
        found[collapse(path)] += float(np.exp(sum(row[k] for row, k in zip(rows, path, strict=True))))
    return dict(found)


def ranked(rows: Array) -> list[tuple[tuple[int, ...], float]]:
    """Sort all texts, the best first."""
    return sorted(every_text(rows).items(), key=lambda item: (-item[1], item[0]))


def best_spans(rows: Array, text: tuple[int, ...]) -> list[list[int]]:
    """Find the frames of each symbol in the best of all alignments of a text."""
    paths = [path for path in product(range(rows.shape[1]), repeat=len(rows)) if collapse(path) == text]
    best = max(paths, key=lambda path: sum(row[k] for row, k in zip(rows, path, strict=True)))
    spans, at = [], 0
    for key, group in groupby(best):
        end = at + len(list(group))
        if key:
            spans.append([at, end - 1])
        at = end
    return spans
