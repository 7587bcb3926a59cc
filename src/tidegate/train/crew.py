"""What training asks of others who find gradients with it. Knows nothing of where they are, or how they are reached."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tidegate.engine import Lost
from tidegate.engine.compiled import States
from tidegate.engine.gauge import Seen
from tidegate.train.state import State
from tidegate.train.work import Asked


class Crew(Protocol):
    """Find the gradient of a batch together: the bits of `Program.gradient`, however many there are."""

    @property
    def seen(self) -> Sequence[Seen]:
        """What the others saw of the last batch that was looked at, each of its own part."""

    def gradient(self, state: State, asked: Asked, *, seed: int, states: States | None, look: bool) -> Lost:
        """Leave the gradient of a whole batch in the program of a state; what is lost is that of the whole batch, too.

        Whoever finds it with us has then the same gradient, and moves its weights when `apply` is called.
        """

    def apply(self, state: State, rate: float, scale: float) -> None:
        """Let the others do what the optimiser of a state does next."""
