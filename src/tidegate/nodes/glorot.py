"""A start that several kinds of node share."""

from __future__ import annotations

import math

import numpy as np

from tidegate.nodes.part import Array


def glorot(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draw a matrix uniformly, so wide that what passes keeps its variance (Glorot & Bengio 2010)."""
    limit = math.sqrt(6 / sum(shape))
    return rng.uniform(-limit, limit, shape)
