"""Tells whether training is in good health: the criteria, in numbers, and the words for what they find.

Knows numbers, not where they come from: `nn.health` measures them, `train` asks here after each update. One `Warning_`
of a kind is given per run.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.ragged import Ragged

Array: TypeAlias = npt.NDArray[Any]

EVERY = 50  # steps between two looks at gates and reach; the first step and the last of an epoch are looked at, too
SATURATED_SIGMOID = (0.05, 0.95)  # outside of it the slope is below 0.05, a fifth of the largest
SATURATED_TANH = 0.95  # beyond it the slope is below 0.1, a tenth of the largest

VANISHED = 1e-3  # reach: of what the loss tells the steps nearest to it, a thousandth gets to the far end
EXPLODED = 1e3
LEARNED = 0.98  # a mean loss above this share of that of a guess means that an epoch taught nothing
CLIPPED = 0.9  # share of the steps of an epoch
JUMP, USUAL = 100.0, 20  # times the median norm of so many first steps
CLOSED = 0.5  # share of the values of every gate that are saturated before the first update
PADDED_ENDS, PADDED_STEPS = 0.5, 0.2  # shares: of the sequences that end in a run, and of all steps that lie in runs


@dataclass(frozen=True)
class HealthWarning:
    """Say what is wrong with a run, and what to do; `kind` is one word for machines."""

    kind: str
    message: str
    advice: str

    def __str__(self) -> str:
        return f"{self.message} {self.advice}"


@dataclass(frozen=True)
class Health:
    """Record the health of one step; layers go by names such as `1 recurrent layer 0 forward`.

    grad_norms: the length of the gradient of each layer's parameters, before clipping.
    clipped: the share of the steps so far whose gradient was clipped.
    saturated: for each recurrent layer and direction the share of each gate's values that are saturated: sigmoid gates
        below 0.05 or above 0.95, candidates and the state of a SimpleRNN beyond +-0.95. None where not measured.
    reach: for each recurrent layer and direction the length of the gradient that gets through to the far end of a
        sequence, in terms of the longest that the loss gives any of its steps; the median sequence. None where not
        measured.
    """

    grad_norms: dict[str, float]
    clipped: float
    saturated: dict[str, dict[str, float]] | None = None
    reach: dict[str, float] | None = None


@dataclass(frozen=True)
class Background:
    """Say what is known of the training data before the first step.

    rows: [B] the index of each training sequence in the data as the user passed it; None where that is its own.
    guess: the loss of the best answer that ignores the input; None where it is not known.
    warnings: what was found in the data.
    """

    rows: npt.NDArray[np.int64] | None = None
    guess: float | None = None
    warnings: tuple[HealthWarning, ...] = ()

    def row(self, index: int) -> int:
        """Give the index of a training sequence in the user's data."""
        return index if self.rows is None else int(self.rows[index])


@dataclass(frozen=True)
class Blame:
    """Say which examples of a batch give, each alone, a number that is not finite.

    first: the place of the first of them in the batch; where there is none, of the one with the largest gradient.
    guilty, examples: how many do, of how many.
    """

    first: int
    guilty: int
    examples: int

    def tell(self, row: int) -> str:
        """Say where to look, given the index of the first one in the user's data.

        >>> print(Blame(first=3, guilty=1, examples=64).tell(1207))
        Row 1207 of the training data gives it alone, the other 63 of the batch do not: look at that row.
        """
        name = f"Row {row} of the training data"
        if not self.guilty:
            return f"No row of the batch gives it alone; {name[0].lower()}{name[1:]} has the largest gradient."
        if self.guilty == self.examples:
            return f"{name} gives it, and so does every row of the batch: the weights have diverged, not one row."
        if self.guilty == 1:
            return f"{name} gives it alone, the other {self.examples - 1} of the batch do not: look at that row."
        return f"{name} is the first of {self.guilty} among the {self.examples} of the batch that give it alone."


@dataclass
class Watch:
    """Follow a run and warn once of each kind of trouble.

    Its fields are plain, so that it goes along in a saved state.
    """

    steps: int = 0
    clipped: int = 0
    given: list[str] = field(default_factory=list)  # kinds of the warnings
    usual: list[float] = field(default_factory=list)  # gradient norms of the first steps
    guess: float | None = None  # the mean loss of the first epoch
    epoch_steps: int = 0
    epoch_clipped: int = 0
    epoch_reach: dict[str, float] = field(default_factory=dict)  # the largest of the epoch

    def record(
        self,
        grad_norms: dict[str, float],
        *,
        clipped: bool,
        saturated: dict[str, dict[str, float]] | None = None,
        reach: dict[str, float] | None = None,
    ) -> Health:
        """Count a step in and record its health."""
        self.steps, self.clipped = self.steps + 1, self.clipped + clipped
        self.epoch_steps, self.epoch_clipped = self.epoch_steps + 1, self.epoch_clipped + clipped
        for name, value in (reach or {}).items():
            self.epoch_reach[name] = max(value, self.epoch_reach.get(name, 0.0))
        return Health(grad_norms, self.clipped / self.steps, saturated, reach)

    def warnings(
        self, health: Health, *, grad_norm: float, mean_loss: float, end_of_epoch: bool, background: Background
    ) -> tuple[HealthWarning, ...]:
        return ()
