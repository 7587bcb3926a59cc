"""A matrix, a bias and an activation."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from tidegate.nodes.glorot import glorot
from tidegate.nodes.part import WIDEST, Array, Part, Place, Shapes, Size, Start

Activation = Literal["relu", "tanh", "sigmoid"]


class Dense(Part):
    """Multiply each row by a matrix, add a bias, apply an activation: `[., in_features]` -> `[., out_features]`."""

    by_row: ClassVar[bool] = True
    kind: Literal["dense"] = "dense"
    in_features: Annotated[int, Field(ge=1, le=WIDEST)]
    out_features: Size
    activation: Activation | None = None

    @property
    def incoming(self) -> int:
        """Count the features of a row."""
        return self.in_features

    def fit(self, place: Place) -> int:
        """Return the features of each row; raises ValueError where others come."""
        place.must_be(self.in_features)
        return self.out_features

    def shapes(self) -> Shapes:
        """List its matrix and its bias."""
        return {"weight": (self.out_features, self.in_features), "bias": (self.out_features,)}

    def draw(self, parameter: str, shape: tuple[int, ...], rng: np.random.Generator, start: Start) -> Array:
        """Draw a Glorot uniform matrix; the bias is zero."""
        return glorot(shape, rng) if parameter == "weight" else np.zeros(shape)
