"""Names what a cell computes for each unit at every step, and picks steps and units of it. Draws nothing."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.cells import CELLS
from tidegate.errors import InputError, OptionError
from tidegate.inspect.tracing import DirectionTrace

Array: TypeAlias = npt.NDArray[Any]

_GATES = {
    "i": ("input gate i", "how much of the candidate is written into the cell: 0 nothing, 1 all"),
    "f": ("forget gate f", "how much of the cell state is kept: 0 nothing, 1 all"),
    "g": ("candidate g", "what would be written into the cell"),
    "o": ("output gate o", "how much of the cell state is shown: 0 nothing, 1 all"),
    "r": ("reset gate r", "how much of the state the candidate sees: 0 nothing, 1 all"),
    "z": ("update gate z", "how much of the state is kept: 0 nothing, 1 all"),
    "n": ("candidate n", "what would take the place of the state"),
}


@dataclass(frozen=True, eq=False)
class Quantity:
    """Hold one thing that a direction computes for every unit at every step.

    Args:
        letter: as in the equations: `i`, `c`, `dh`.
        name: in words and letters: `input gate i`.
        meaning: what it says, in one line.
        values: [N, H]
        low, high: the least and the largest value that the scale of a picture must reach.
    """

    letter: str
    name: str
    meaning: str
    values: Array
    low: float
    high: float


def gates(direction: DirectionTrace) -> list[Quantity]:
    """List the gates of a direction in torch's order.

    Raises InputError for a cell that has none.
    """
    if not direction.gates:
        raise InputError(f"{direction.name} is a {direction.cell} cell, which has no gates. Draw its states instead.")
    signed = CELLS[direction.cell].tanh
    return [
        Quantity(letter, *_GATES[letter], values, -1.0 if letter in signed else 0.0, 1.0)
        for letter, values in direction.gates.items()
    ]


def gate_name(letter: str) -> str:
    """Name a gate in words and its letter.

    >>> gate_name("f")
    'forget gate f'
    """
    return _GATES[letter][0]


def states(direction: DirectionTrace) -> list[Quantity]:
    """List the cell state, where there is one, and the hidden state."""
    hidden = _signed("h", "hidden state h", "what the unit shows to the next step and to the next layer", direction.h)
    if direction.c is None:
        return [hidden]
    return [_signed("c", "cell state c", "what the unit remembers", direction.c), hidden]


def gradients(direction: DirectionTrace) -> list[Quantity]:
    """List the derivatives of the loss by the states, where the trace has them."""
    meaning = "how much the loss would grow if the unit's {} after this step were one larger"
    found = (
        ("dc", "gradient dL/dc", "cell state", direction.dc),
        ("dh", "gradient dL/dh", "hidden state", direction.dh),
    )
    return [
        _signed(letter, name, meaning.format(state), values)
        for letter, name, state, values in found
        if values is not None
    ]


def _signed(letter: str, name: str, meaning: str, values: Array) -> Quantity:
    """Give a quantity a scale that is as wide below zero as above."""
    reach = float(np.abs(values).max(initial=0.0)) or 1.0
    return Quantity(letter, name, meaning, values, -reach, reach)


@dataclass(frozen=True)
class Window:
    """Say which steps, or units, are shown of all that there are: `begin` to `end`, without `end`."""

    begin: int
    end: int
    total: int

    @classmethod
    def of(cls, total: int, *, begin: int = 0, limit: int) -> Window:
        """Show at most `limit` of `total` from `begin` on; a negative `begin` counts from the end.

        Raises InputError when nothing is there from `begin` on.

        >>> Window.of(300, begin=-20, limit=80)
        Window(begin=280, end=300, total=300)
        """
        first = max(0, begin + total) if begin < 0 else begin
        if first >= total:
            there = f"it has steps 0 to {total - 1}" if total else "it is empty"
            raise InputError(f"the sequence has no step {begin} to begin at: {there}.")
        return cls(first, min(total, first + limit), total)

    @property
    def rows(self) -> slice:
        """The rows that are shown."""
        return slice(self.begin, self.end)

    def left_out(self, what: str) -> str:
        """Say what is not shown; nothing where all is.

        >>> Window.of(300, limit=80).left_out("steps")
        'steps 0 to 79 of 300; 220 are left out'
        """
        missing = self.total - (self.end - self.begin)
        return f"{what} {self.begin} to {self.end - 1} of {self.total}; {missing} are left out" if missing else ""


def warn_of(*left_out: str) -> str:
    """Join what a picture leaves out into one note, and warn the caller of the picture where there is anything."""
    note = "; ".join(filter(None, left_out))
    if note:
        warnings.warn(f"the picture shows {note}.", UserWarning, stacklevel=3)
    return note


class Stepped(Protocol):
    """Have steps: a trace, or an attribution."""

    @property
    def offsets(self) -> npt.NDArray[Any]:
        """[B+1] where each sequence begins."""

    @property
    def steps(self) -> list[str] | None:
        """N labels, where the model reads text."""


def steps_to_draw(of: Stepped, *, begin: int, limit: int) -> Window:
    """Choose the steps that a picture shows of the one sequence there is.

    Raises InputError when there is not exactly one, or nothing in it to begin at.
    """
    sequences = len(of.offsets) - 1
    if sequences != 1:
        raise InputError(
            f"a picture shows one sequence; these are {sequences}. Inspect one input, or pass trace.sequence(index)."
        )
    return Window.of(int(of.offsets[-1]), begin=begin, limit=limit)


def step_names(of: Stepped, window: Window) -> list[str]:
    """Name the steps of a window: by their tokens where there are any, else by their numbers."""
    if of.steps is None:
        return [str(step) for step in range(window.begin, window.end)]
    return [visible(token) for token in of.steps[window.rows]]


def check_units(units: Sequence[int], direction: DirectionTrace) -> list[int]:
    """Return units as they were named; raises OptionError, which says what there are, for another or for none."""
    size = direction.read("h", units).shape[1]
    if not size:
        raise OptionError(f"no unit is named: {direction.name} has the units 0 to {direction.h.shape[1] - 1}.")
    return [int(unit) for unit in units]


def most_moving(values: Array) -> list[int]:
    """Order units by how far their values range over the steps, `[N, H]` -> H units, the farthest first.

    >>> most_moving(np.array([[0.0, 0.5, 0.1], [0.0, -0.5, 0.3]]))
    [1, 2, 0]
    """
    return [int(unit) for unit in np.argsort(-np.ptp(values, axis=0), kind="stable")]


def visible(token: str, *, width: int = 16) -> str:
    r"""Write a token so that it can be seen and is not too long.

    >>> visible(" "), visible("a\n"), visible("incomprehensibilities")
    ('␣', 'a↵', 'incomprehensibi…')
    """
    plain = "".join(
        "␣" if char == " " else "↵" if char == "\n" else char if char.isprintable() else "�" for char in token
    )
    return plain if len(plain) <= width else plain[: width - 1] + "…"
