"""Sequences as images."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tidegate.nodes.part import Extent, Part, Place, Rows, Size


class Unflatten(Part):
    """Make an image of each sequence: `[N, cells * features]` -> `[N * cells, features]`; what `Flatten` undoes.

    A step is a column of the image (`axis="x"`) or a row (`"y"`), and its features are the cells of that from the top
    down, or from left to right. So a line of writing, read by its columns, and the bands of a sound are images.

    cells: of a step.
    features: of a cell.
    """

    live: ClassVar[bool] = False
    makes_images: ClassVar[bool] = True
    kind: Literal["unflatten"] = "unflatten"
    axis: Literal["x", "y"] = "x"
    cells: Annotated[int, Field(ge=1, le=2**12)]
    features: Size = 1

    @property
    def incoming(self) -> int:
        """Count the features of a step."""
        return self.cells * self.features

    def fit(self, place: Place) -> int:
        """Return the features of a cell; raises ValueError where no steps come, or rows of another width."""
        place.must_have_steps()
        place.must_be(self.incoming)
        return self.features

    def gives(self, read: Rows, width: int) -> Rows:
        """Say which rows it makes: cells of images."""
        came = (*read.came, (read.cell, read.steps, self.axis, self.cells))
        return replace(super().gives(read, width), steps=0, cell=(1, 1), came=came)

    def extent(self, read: Extent) -> Extent:
        """Count the cells that it makes of a sequence."""
        sides = (self.cells, read.rows) if self.axis == "x" else (read.rows, self.cells)
        return Extent(read.rows * self.cells, *sides)
