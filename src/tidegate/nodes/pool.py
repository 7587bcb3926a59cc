"""One row of each sequence."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from tidegate.nodes.part import Part, Place, Rows
from tidegate.nodes.recurrent import Recurrent

PoolMode = Literal["last", "first", "max", "mean"]


def _distinct(modes: tuple[PoolMode, ...]) -> tuple[PoolMode, ...]:
    if len(set(modes)) != len(modes):
        raise ValueError(f"{', '.join(modes)} name one mode twice")
    return modes


PoolModes = Annotated[tuple[PoolMode, ...], Field(min_length=1, strict=False), AfterValidator(_distinct)]


class Pool(Part):
    """Make one row of each sequence: `[N, F]` -> `[B, F * len(modes)]`, mode after mode.

    `last` is the final state of the `Recurrent` node that it reads (of both directions, merged as its tokens are). A
    sequence of length zero gives zeros.
    """

    kind: Literal["pool"] = "pool"
    modes: PoolModes

    def fit(self, place: Place) -> int:
        """Return the features of all modes; raises ValueError where no steps come, or no final state is known."""
        place.must_have_steps("another pool")
        if "last" in self.modes and not isinstance(place.read.node, Recurrent):
            raise ValueError(f"{place.name} with mode 'last' must stand right after a recurrent node, or read one")
        return place.known() * len(self.modes)

    def gives(self, read: Rows, width: int) -> Rows:
        """Say which rows it makes: one of each sequence."""
        found = super().gives(read, width)
        return replace(found, pooled=True, steps=0, stride=1, cell=(0, 0), side="", came=())

    def count(self, rows: Any) -> Any:
        """Count the rows that it makes of a sequence: one, whatever it holds."""
        return rows * 0 + 1
