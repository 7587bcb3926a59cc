"""Images as sequences over one axis."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from tidegate.nodes.part import WIDEST, Extent, Part, Place, Rows

Flattening = Literal["sum", "concat", "last"]


class Flatten(Part):
    """Make a sequence over one axis of each image: `[N, F]` -> `[N', F]`, or `[N', cells * F]`.

    A step is a column of the image (`axis="x"`) or a row (`"y"`). Of the cells of a step, `sum` adds all, `last` keeps
    the lowest one of a column, or the rightmost one of a row, which is where a scan ends that runs that way, and
    `concat` puts `cells` of them side by side, zeros where there are fewer; where there are more the image is refused.

    cells: of a step, as mode `concat` needs them; None for the others.
    """

    live: ClassVar[bool] = False
    reads_images: ClassVar[bool] = True
    kind: Literal["flatten"] = "flatten"
    axis: Literal["x", "y"] = "x"
    mode: Flattening
    cells: Annotated[int, Field(ge=1, le=2**12)] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.mode == "concat") != (self.cells is not None):
            raise ValueError("mode='concat' wants cells=, how many stand side by side; the other modes have none")
        return self

    def fit(self, place: Place) -> int:
        """Return the features of a step; raises ValueError where no cells of images come."""
        place.must_have_images()
        width = place.known() * (self.cells or 1)
        if width > WIDEST:
            raise ValueError(f"{place.name} makes rows of {width:,} features; at most {WIDEST:,} are allowed")
        return width

    def gives(self, read: Rows, width: int) -> Rows:
        """Say which rows it makes: one of each column, or of each row."""
        kept = (0, read.cell[1]) if self.axis == "x" else (read.cell[0], 0)
        came = read.came
        if came and isinstance(last := came[-1], tuple) and last[2:3] == (self.axis,):
            came = (*came[:-1], (*last[:3], 0))  # how many cells a step had no longer counts
        return replace(super().gives(read, width), cell=kept, stride=read.stride * max(kept), came=came)

    def extent(self, read: Extent) -> Extent:
        """Count the steps that it makes of an image; raises ValueError where one has more cells than it can hold."""
        steps, across = (read.width, read.height) if self.axis == "x" else (read.height, read.width)
        most = np.max(across, initial=0)
        if self.cells is not None and most > self.cells:
            raise ValueError(f"{most} cells lie across a step of an image, and {self.cells} is the most it can hold")
        return Extent(steps)
