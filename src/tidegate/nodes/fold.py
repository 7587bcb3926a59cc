"""Blocks of an image as cells."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tidegate.nodes.part import WIDEST, Extent, Part, Place, Rows

Side = Annotated[int, Field(ge=1, le=2**10)]


class Fold(Part):
    """Put the cells of each block of an image side by side: `[N, F]` -> `[N', rows * columns * F]`.

    An image of height h and width w becomes one of ceil(h / rows) and ceil(w / columns) cells, which hold those of a
    block row by row, zeros where the image has ended (Graves and Schmidhuber 2008).

    block: rows and columns of a block.
    """

    live: ClassVar[bool] = False
    reads_images: ClassVar[bool] = True
    kind: Literal["fold"] = "fold"
    block: Annotated[tuple[Side, Side], Field(strict=False)]
    size: Annotated[int, Field(ge=1, le=2**16)] | None = None

    @property
    def incoming(self) -> int | None:
        """Count the features of a cell, where they are stated."""
        return self.size

    def fit(self, place: Place) -> int:
        """Return the features of a block; raises ValueError where no cells of images come, or other ones."""
        place.must_have_images()
        if self.size is not None:
            place.must_be(self.size)
        width = place.known() * self.block[0] * self.block[1]
        if width > WIDEST:
            raise ValueError(f"{place.name} makes cells of {width:,} features; at most {WIDEST:,} are allowed")
        return width

    def gives(self, read: Rows, width: int) -> Rows:
        """Say which rows it makes: cells that each stand for a block."""
        rows, columns = read.cell
        return replace(super().gives(read, width), cell=(rows * self.block[0], columns * self.block[1]))

    def extent(self, read: Extent) -> Extent:
        """Count the cells that it makes of an image."""
        height, width = -(-read.height // self.block[0]), -(-read.width // self.block[1])
        return Extent(height * width, height, width)
