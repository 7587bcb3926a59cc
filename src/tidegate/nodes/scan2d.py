"""Cells of a recurrent layer over images, in up to four directions."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self, cast

import numpy as np
from pydantic import model_validator

from tidegate.cells import GRID_CELLS, USUAL, CellName, GridCellName
from tidegate.nodes.part import Array, Part, Place, Shapes, Size, Start
from tidegate.nodes.recurrent import Merge, Recurrent
from tidegate.nodes.waves import Waves

Order = Literal["rows-columns", "columns-rows", "rows", "columns", "diagonals"]


class Scan2d(Part):
    """Run a cell over each image: `[N, input_size]` -> `[N, F]`.

    A cell of sequences goes along the rows, the columns, or one after the other. The second pass reads what the first
    one gave, so that with all four directions every cell knows of the whole image (ReNet: Visin et al. 2015). A cell of
    grids, `stable` or `mdlstm`, follows two neighbours at once, and goes from corners along the diagonals (Graves &
    Schmidhuber 2008; after Leifert et al. 2016).

    directions: along rows and columns 1 goes from left to right and down; 2 both ways along the rows and down; 4 both
        ways along both. Where only rows or only columns are read, 1 is one way and 2 is both. Along the diagonals 1
        comes from the top left, 2 from the top right, too, and 4 from all corners.
    merge: how the ways of a pass, or all directions along the diagonals, become one, as in `Recurrent`.
    order: which pass comes first, or which is the only one; "diagonals", and that alone, for cells of grids.
    """

    live: ClassVar[bool] = False
    reads_images: ClassVar[bool] = True
    kind: Literal["scan2d"] = "scan2d"
    cell: CellName | GridCellName = USUAL
    input_size: Size
    hidden_size: Size
    directions: Literal[1, 2, 4] = 4
    merge: Merge = "concat"
    order: Order = "rows-columns"

    @model_validator(mode="before")
    @classmethod
    def _usual_order(cls, given: Any) -> Any:
        is_of_grids = isinstance(given, dict) and given.get("cell") in GRID_CELLS
        return {"order": "diagonals"} | given if is_of_grids else given

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.order == "diagonals") != (self.cell in GRID_CELLS):
            raise ValueError(f"order={self.order!r} does not fit cell={self.cell!r}: cells of grids go by diagonals")
        if self.directions == 4 and len(self.axes) == 1:
            raise ValueError(f"order={self.order!r} has two directions at most; got directions=4")
        return self

    @property
    def waves(self) -> Waves | None:
        """Describe the layer of a cell of grids; None of another cell."""
        if self.cell not in GRID_CELLS:
            return None
        names = ("cell", "input_size", "hidden_size", "directions", "merge")
        return Waves(**{name: getattr(self, name) for name in names})

    @property
    def axes(self) -> tuple[str, ...]:
        """Name what the passes go along, `rows` or `columns`, in their order."""
        return () if self.waves else tuple(self.order.split("-"))

    @property
    def passes(self) -> dict[str, Recurrent]:
        """Describe each pass as a layer over the lines of an image, by what it goes along."""
        found, size = dict[str, Recurrent](), self.input_size
        for axis in self.axes:
            both = self.directions == 4 or (self.directions == 2 and (axis == "rows" or len(self.axes) == 1))
            found[axis] = Recurrent(
                cell=cast(CellName, self.cell),
                input_size=size,
                hidden_size=self.hidden_size,
                bidirectional=both,
                merge=self.merge,
            )
            size = found[axis].output_size
        return found

    @property
    def output_size(self) -> int:
        """Count the features of each cell after the last pass."""
        last: Waves | Recurrent = self.waves or self.passes[self.axes[-1]]
        return last.output_size

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
        """List the parameters of the layer of each pass, or direction: what it goes along, a dot, their names there."""
        if self.waves:
            return self.waves.shapes()
        return {
            f"{axis}.{name}": shape for axis, layer in self.passes.items() for name, shape in layer.shapes().items()
        }

    def owner(self, parameter: str) -> tuple[Part, str]:
        """Find the layer of its own that a parameter belongs to, and its name there."""
        if self.waves:
            return self.waves, parameter
        axis, _, rest = parameter.partition(".")
        return self.passes[axis], rest

    def draw(self, parameter: str, shape: tuple[int, ...], rng: np.random.Generator, start: Start) -> Array:
        """Draw what the layer of the pass draws."""
        layer, name = self.owner(parameter)
        return layer.draw(name, shape, rng, start)
