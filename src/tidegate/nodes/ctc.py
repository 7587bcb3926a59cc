"""Frames that spell labels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tidegate.nodes.part import Part, Place


class Ctc(Part):
    """Score the symbols of each frame, which together spell a label: `[N, symbols]` -> `[N, symbols]`, passed on.

    Symbol 0 is the blank, which names nothing (Graves et al. 2006). It has no parameters; that a network ends with it
    says how its rows are trained and read, by `tidegate.ctc`.
    """

    kind: Literal["ctc"] = "ctc"
    symbols: Annotated[int, Field(ge=2, le=2**16)]

    @property
    def incoming(self) -> int:
        """Count the symbols, the blank among them."""
        return self.symbols

    def fit(self, place: Place) -> int:
        """Return the number of symbols; raises ValueError where it does not end a network of steps."""
        if place.read.pooled or not place.is_last:
            raise ValueError(f"{place.name} must come last and not follow a pool: it scores the symbols of each frame")
        place.must_be(self.symbols)
        return self.symbols
