"""What signals go through in training, anew each time: other speeds, hidden stretches and bands, noise.

Hidden parts follow Park et al. (2019), without their warping of time. Knows arrays alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Disturbance:
    """Say how much is done to a signal `[T, C]` whose features are brought to a common scale.

    speed: its length changes by up to this share, either way.
    time_masks: so many stretches are hidden, each of up to `longest` steps, but never more than a fifth of a signal.
    feature_masks: so many bands are hidden, each of up to `widest` features.
    noise: deviation of what is added to each number.
    shift: of what is added to each feature throughout.
    gain: of what is added to all features throughout alike, as where a sound is louder, or quieter.
    """

    speed: float = 0.0
    time_masks: int = 0
    longest: int = 0
    feature_masks: int = 0
    widest: int = 0
    noise: float = 0.0
    shift: float = 0.0
    gain: float = 0.0

    def __call__(self, x: Array, rng: np.random.Generator, *, least: int = 1) -> Array:
        """Disturb a copy; it keeps at least so many steps, or the length it had."""
        steps, width = x.shape
        if not steps:
            return x
        if self.speed:
            wanted = max(round(steps * rng.uniform(1 - self.speed, 1 + self.speed)), 1)
            x = stretched(x, wanted if wanted >= least else steps)
        x = x.copy()
        if self.shift:
            x += np.asarray(rng.normal(0, self.shift, width), np.float32)
        if self.gain:
            x += np.float32(rng.normal(0, self.gain))
        if self.noise:
            x += rng.normal(0, self.noise, x.shape).astype(np.float32)
        for _ in range(self.time_masks):
            size = rng.integers(0, min(self.longest, len(x) // 5) + 1)
            begin = rng.integers(0, len(x) - size + 1)
            x[begin : begin + size] = 0
        for _ in range(self.feature_masks):
            size = rng.integers(0, min(self.widest, width) + 1)
            begin = rng.integers(0, width - size + 1)
            x[:, begin : begin + size] = 0
        return x


def stretched(x: Array, steps: int) -> Array:
    """Bring a signal to another number of steps, between its own along straight lines.

    >>> stretched(np.array([[0.0], [2.0]], np.float32), 3).ravel().tolist()
    [0.0, 1.0, 2.0]
    """
    at = np.linspace(0, len(x) - 1, steps)
    before = np.minimum(at.astype(int), len(x) - 1)
    after = np.minimum(before + 1, len(x) - 1)
    share = np.asarray(at - before, np.float32)[:, None]
    return np.asarray((x[before] * (1 - share) + x[after] * share).astype(np.float32))
