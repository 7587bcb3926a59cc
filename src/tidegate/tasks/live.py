"""What a live session of every task offers: it is fed step by step, put away, taken up again, and forked.

Knows no task. `Task.stream` begins a session.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Self, runtime_checkable

from tidegate.errors import DataError


@runtime_checkable
class Live(Protocol):
    """Feed one live sequence to a model, and be answered as it goes on.

    In whatever pieces a sequence comes, it is answered alike, to the bit. What a step and an answer are, is for the
    task to say.
    """

    def step(self, x: Any, /) -> Any:
        """Take one step, and return what is answered now; None where nothing is yet.

        Raises InputError for a step that cannot be read, the session as before; StreamEndedError after the end.
        """

    def push(self, chunk: Any, /) -> Any:
        """Take any number of steps at once, and return what is answered now. Raises as `step`, no step taken."""

    def finish(self) -> Any:
        """End the sequence, and return what waited for more to come. Raises StreamEndedError after the end."""

    def fork(self) -> Self:
        """Begin another session where this one is; from then on they know nothing of each other.

        Raises StreamEndedError after the end.
        """

    def resume(self, state: bytes, /) -> Self:
        """Begin another session of the same model where a saved one was; this one stays as it is.

        Raises StateError for the state of another model, or one that was altered.
        """

    def close(self) -> None:
        """End the session; what waits is dropped. One that was closed may be closed again."""

    @property
    def state(self) -> bytes:
        """All that is needed to go on elsewhere, with the same model. Raises StreamEndedError after the end."""

    @property
    def steps(self) -> int:
        """Count the steps that were taken."""

    @property
    def ended(self) -> bool:
        """Whether the session was finished or closed."""


def read_numbers(cells: Sequence[str]) -> list[float]:
    """Read the numbers of a step from the cells of a row; raises DataError, naming the first that is none."""
    for cell in cells:
        if not is_number(cell):
            raise DataError(f"{cell!r:.40} is no number.")
    return [float(cell) for cell in cells]


def is_number(cell: str) -> bool:
    """Tell whether a cell holds a number.

    >>> is_number("1e3"), is_number("y")
    (True, False)
    """
    try:
        float(cell)
    except ValueError:
        return False
    return True
