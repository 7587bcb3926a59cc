"""One side of pairs."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

from tidegate.nodes.embed import Embed
from tidegate.nodes.part import Extent, Part, Place, Rows


class Take(Part):
    """Hand on the rows of one side of each pair: `[N, F]` -> `[N', F]`, those of its source, or of its target.

    A network that has it reads `Pairs`, and begins with an `Embed` of the vocabulary that both sides share. What stands
    before it goes row by row, over both.
    """

    live: ClassVar[bool] = False
    by_row: ClassVar[bool] = True
    kind: Literal["take"] = "take"
    side: Literal["source", "target"]

    def fit(self, place: Place) -> int:
        """Return the features that come; raises ValueError where no rows of both sides come."""
        first = place.nodes[0]
        if not isinstance(first, Embed) or first.beside:
            raise ValueError(f"{place.name} needs an embed node at the beginning, with nothing beside: pairs are ids")
        if place.read.side != "both":
            raise ValueError(f"{place.name} takes a side of pairs, but reads {place.read}")
        return place.known()

    def gives(self, read: Rows, width: int) -> Rows:
        """Say which rows it makes: those of one side."""
        return replace(super().gives(read, width), side=self.side)

    def extent(self, read: Extent) -> Extent:
        """Count the rows of the side that it takes."""
        return Extent(read.source if self.side == "source" else read.rows - read.source)
