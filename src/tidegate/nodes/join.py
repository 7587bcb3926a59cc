"""What several nodes hand on, as one row."""

from __future__ import annotations

from typing import ClassVar, Literal

from tidegate.nodes.part import WIDEST, Part, Place


class Join(Part):
    """Put the rows of several nodes side by side, in the order of their names: `[., F1]`, `[., F2]` -> `[., F1 + F2]`.

    All of them must be rows of the same: of each step, or one of each sequence.
    """

    several: ClassVar[bool] = True
    by_row: ClassVar[bool] = True
    kind: Literal["join"] = "join"

    def fit(self, place: Place) -> int:
        """Return the features of all that it reads; raises ValueError where their rows do not stand for the same."""
        place.known()
        for name, rows in zip(self.named, place.reads, strict=True):
            if not rows.beside(place.read):
                first = self.named[0]
                raise ValueError(f"{place.name} cannot put {name!r} beside {first!r}: {rows} is not {place.read}")
        width = sum(rows.width for rows in place.reads if rows.width is not None)
        if width > WIDEST:
            raise ValueError(f"{place.name} makes rows of {width:,} features; at most {WIDEST:,} are allowed")
        return width
