"""Cells of grids as a part of a network: which directions there are, their parameters, and what those begin with."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from tidegate.cells import GRID_CELLS, GRID_GATES, GridCellName
from tidegate.nodes.glorot import glorot
from tidegate.nodes.part import Array, Part, Place, Shapes, Size, Start
from tidegate.nodes.recurrent import Merge

CORNERS = ("top_left", "top_right", "bottom_left", "bottom_right")
"""Where directions come from, in their order."""

MOST_STATE = 50.0
"""What holds the cell state of an `mdlstm`, which could double from wave to wave."""


class Waves(Part):
    """Run a cell of grids over images in 1, 2 or 4 directions: `[N, input_size]` -> `[N, output_size]`."""

    kind: Literal["waves"] = "waves"
    cell: GridCellName = "stable"
    input_size: Size
    hidden_size: Size
    directions: Literal[1, 2, 4] = 4
    merge: Merge = "concat"

    @property
    def output_size(self) -> int:
        """Count the features of each cell."""
        return self.hidden_size * (self.directions if self.merge == "concat" else 1)

    def fit(self, place: Place) -> int:
        """Return the features of each cell; raises ValueError where no cells of images come, or other ones."""
        place.must_have_images()
        place.must_be(self.input_size)
        return self.output_size

    def shapes(self) -> Shapes:
        """List the matrices of the input and of both neighbours, and the bias, of each direction."""
        rows, H = GRID_GATES * self.hidden_size, self.hidden_size
        each: Shapes = {"weight_ih": (rows, self.input_size), "weight_x": (rows, H), "weight_y": (rows, H)}
        each["bias"] = (rows,)
        return {f"{corner}.{name}": shape for corner in CORNERS[: self.directions] for name, shape in each.items()}

    def draw(self, parameter: str, shape: tuple[int, ...], rng: np.random.Generator, start: Start) -> Array:
        """Draw orthogonal matrices of neighbours, Glorot uniform ones of the input, and biases that keep a state.

        Both neighbours add up, so that each has its matrix divided by the root of two. The forget gate of the stable
        cell begins as that of an LSTM does. The two of an `mdlstm` add up as well, and begin at one half each.
        """
        if parameter.endswith("weight_ih"):
            return glorot(shape, rng)
        if parameter.endswith(("weight_x", "weight_y")):
            q, r = np.linalg.qr(rng.standard_normal(shape))  # [5*H, H]
            return np.asarray(q * np.sign(np.diag(r)) / np.sqrt(2))
        gates = np.zeros((GRID_GATES, self.hidden_size))
        if "f" in GRID_CELLS[self.cell]:
            gates[GRID_CELLS[self.cell].index("f")] = start.forget_bias
        return gates.ravel()


def merged(merge: str, h: Any, directions: int) -> Any:
    """Make one of the directions that stand side by side in h [N, D * H], by whichever library made it."""
    if merge == "concat" or directions == 1:
        return h
    parts = h.reshape(h.shape[0], directions, h.shape[1] // directions)
    if merge == "mul":
        return parts.prod(1)
    return parts.sum(1) if merge == "sum" else parts.mean(1)
