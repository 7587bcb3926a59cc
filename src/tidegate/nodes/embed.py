"""A table of rows, one for each token."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from tidegate.nodes.part import Array, Part, Place, Probability, Shapes, Size, Start


class Embed(Part):
    """Replace each token id by its row of a table: `[N]` -> `[N, size]`.

    `dropout` hides whole words in training, wherever they stand in the batch (Gal & Ghahramani 2016). With `beside`,
    each token comes with so many numbers of its own, which stand behind its row: `Documents` -> `[N, size + beside]`.
    """

    by_row: ClassVar[bool] = True
    kind: Literal["embed"] = "embed"
    vocabulary_size: Annotated[int, Field(ge=1, le=2**24)]
    size: Size
    dropout: Probability = 0.0
    beside: Annotated[int, Field(ge=0, le=2**10)] = 0
    reads_ids: ClassVar[bool] = True
    later: ClassVar[tuple[str, ...]] = (*Part.later, "beside")

    @property
    def incoming(self) -> int:
        """Count the ids of the vocabulary."""
        return self.vocabulary_size

    def fit(self, place: Place) -> int:
        """Return the features of each row; raises ValueError where it does not come first."""
        place.must_come_first("reads token ids")
        return self.size + self.beside

    def shapes(self) -> Shapes:
        """List its table."""
        return {"weight": (self.vocabulary_size, self.size)}

    def draw(self, parameter: str, shape: tuple[int, ...], rng: np.random.Generator, start: Start) -> Array:
        """Draw a table uniformly."""
        return rng.uniform(-start.embedding_scale, start.embedding_scale, shape)
