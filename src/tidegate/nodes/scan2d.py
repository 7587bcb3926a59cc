"""Cells of a recurrent layer over images, in up to four directions."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import model_validator

from tidegate.cells import CellName
from tidegate.nodes.part import Array, Part, Place, Shapes, Size, Start
from tidegate.nodes.recurrent import Merge, Recurrent

Order = Literal["rows-columns", "columns-rows", "rows", "columns"]


class Scan2d(Part):
    """Run a cell over each image along its rows, its columns, or one after the other: `[N, input_size]` -> `[N, F]`.

    The second pass reads what the first one gave, so that with all four directions every cell knows of the whole image
    (ReNet: Visin et al. 2015).

    directions: 1 goes from left to right and down; 2 both ways along the rows and down; 4 both ways along both. Where
        only rows or only columns are read, 1 is one way and 2 is both.
    merge: how both ways of a pass become one, as in `Recurrent`.
    order: which pass comes first, or which is the only one.
    """

    live: ClassVar[bool] = False
    reads_images: ClassVar[bool] = True
    kind: Literal["scan2d"] = "scan2d"
    cell: CellName = "lstm"
    input_size: Size
    hidden_size: Size
    directions: Literal[1, 2, 4] = 4
    merge: Merge = "concat"
    order: Order = "rows-columns"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.directions == 4 and len(self.axes) == 1:
            raise ValueError(f"order={self.order!r} has two directions at most; got directions=4")
        return self

    @property
    def axes(self) -> tuple[str, ...]:
        """Name what the passes go along, `rows` or `columns`, in their order."""
        return tuple(self.order.split("-"))

    @property
    def passes(self) -> dict[str, Recurrent]:
        """Describe each pass as a layer over the lines of an image, by what it goes along."""
        found, size = dict[str, Recurrent](), self.input_size
        for axis in self.axes:
            both = self.directions == 4 or (self.directions == 2 and (axis == "rows" or len(self.axes) == 1))
            found[axis] = Recurrent(
                cell=self.cell, input_size=size, hidden_size=self.hidden_size, bidirectional=both, merge=self.merge
            )
            size = found[axis].output_size
        return found

    @property
    def output_size(self) -> int:
        """Count the features of each cell after the last pass."""
        return self.passes[self.axes[-1]].output_size

    @property
    def incoming(self) -> int:
        """Count the features of a cell."""
        return self.input_size

    def fit(self, place: Place) -> int:
        """Return the features of each cell; raises ValueError where no cells of images come, or other ones."""
        place.must_have_images()
        place.must_be(self.input_size)
        return self.output_size

    def shapes(self) -> Shapes:
        """List the parameters of the layer of each pass: what it goes along, a dot, their names there."""
        return {
            f"{axis}.{name}": shape for axis, layer in self.passes.items() for name, shape in layer.shapes().items()
        }

    def owner(self, parameter: str) -> tuple[Part, str]:
        """Find the layer of its own that a parameter belongs to, and its name there."""
        axis, _, rest = parameter.partition(".")
        return self.passes[axis], rest

    def draw(self, parameter: str, shape: tuple[int, ...], rng: np.random.Generator, start: Start) -> Array:
        """Draw what the layer of the pass draws."""
        layer, name = self.owner(parameter)
        return layer.draw(name, shape, rng, start)
