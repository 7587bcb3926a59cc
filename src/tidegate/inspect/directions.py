"""The names of the directions of a network's layers: `layer 0 forward`, `layer 0 backward`, `layer 1 forward`.

Layers of a node that has a name are called by it, and counted within it: `encoder layer 0 forward`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from tidegate.errors import OptionError
from tidegate.runtime import LayerRun, NodeRun


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


def layers_of(runs: Iterable[NodeRun]) -> Iterator[tuple[LayerRun, list[str]]]:
    """Go over the layers of a network that was run, with the names of their directions."""
    number = 0
    for run in runs:
        for within, layer in enumerate(run.layers):
            name = f"layer {number}" if run.node.name is None else f"{run.node.name} layer {within}"
            yield layer, [f"{name} {'backward' if each.reverse else 'forward'}" for each in layer.directions]
            number += 1
