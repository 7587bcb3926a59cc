"""The names of the directions of a network's layers: `layer 0 forward`, `layer 0 backward`, `layer 1 forward`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from tidegate.errors import OptionError
from tidegate.kernels import Direction


class HasName(Protocol):
    """Type what belongs to one direction and says to which."""

    @property
    def name(self) -> str:
        """The name of the direction."""


Named = TypeVar("Named", bound=HasName)


def named(name: str, directions: Sequence[Named]) -> Named:
    """Find what is called `name`; raises OptionError that lists the names there are."""
    found = {direction.name: direction for direction in directions}
    if name not in found:
        raise OptionError.unknown("layer or direction", name, found)
    return found[name]


def direction_name(number: int, direction: Direction) -> str:
    """Name a direction of a layer.

    >>> import numpy as np
    >>> direction_name(1, Direction(np.zeros((1, 1)), np.zeros((1, 1)), reverse=True))
    'layer 1 backward'
    """
    return f"layer {number} {'backward' if direction.reverse else 'forward'}"
