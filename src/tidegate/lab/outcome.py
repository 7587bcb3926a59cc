"""What one cell came to on one memory task: its curve, and what follows from that. Trains and draws nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Check:
    """Hold what was measured after so many updates, on problems that are never trained on.

    Args:
        update: how many had been made.
        loss: the mean over the updates since the check before.
        level: as `Outcome.level`.
    """

    update: int
    loss: float
    level: float


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Hold what one cell came to on a task of one length.

    Args:
        cell: its name in the lab.
        length: T, steps.
        trivial_level: what can be reached without memory.
        goal: the level from which the task counts as solved.
        right: the share of classes or symbols told right at the last check; None of numbers.
        updates: made until training ended.
        seconds: of training, the checks included.
        parameters: of the network.
        trouble: why training ended before its time; None where it did not.
        curve: every check.

    >>> checks = (Check(50, 0.2, 0.16), Check(100, 0.02, 0.008))
    >>> outcome = Outcome(
    ...     cell="gru", length=10, trivial_level=1 / 6, goal=0.01, updates=100, seconds=1.5, parameters=99, curve=checks
    ... )
    >>> outcome.solved, outcome.level, outcome.headline()["solved"]
    (True, 0.008, 'yes')
    """

    cell: str
    length: int
    trivial_level: float
    goal: float
    right: float | None = None
    updates: int
    seconds: float
    parameters: int
    trouble: str | None = None
    curve: tuple[Check, ...]

    @property
    def level(self) -> float | None:
        """The level at the last check; None where training ended before the first."""
        return self.curve[-1].level if self.curve else None

    @property
    def solved(self) -> bool:
        """Whether the level came down to the goal."""
        return self.level is not None and self.level <= self.goal

    def headline(self) -> dict[str, Any]:
        """Give the figures that a reader looks for first, under their names."""
        right = {} if self.right is None else {"right": f"{self.right:.1%}"}
        return {
            "cell": self.cell,
            "T": self.length,
            "solved": "yes" if self.solved else "not finite" if self.trouble else "no",
            "level": self.level,
            "trivial level": self.trivial_level,
            **right,
            "updates": self.updates,
            "seconds": round(self.seconds, 1),
        }

    def to_json(self) -> dict[str, Any]:
        """Say all of it in plain values, the curve last."""
        first = {"cell": self.cell, "length": self.length, "solved": self.solved, "level": self.level}
        return first | asdict(self)
