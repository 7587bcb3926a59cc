"""The table of the embedding, as the matrix of the scores."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tidegate.nodes.embed import Embed
from tidegate.nodes.part import Part, Place, Shapes, Size


class Tied(Part):
    """Compare each row with the table of the embedding: `[., size]` -> `[., vocabulary_size]`, with a bias of its own.

    A dense node whose matrix is the table (Press & Wolf 2017; Inan et al. 2017).
    """

    kind: Literal["tied"] = "tied"
    vocabulary_size: Annotated[int, Field(ge=1, le=2**24)]
    size: Size

    @property
    def incoming(self) -> int:
        """Count the features of a row."""
        return self.size

    def fit(self, place: Place) -> int:
        """Return the size of the vocabulary; raises ValueError where the network begins with no such table."""
        first, sizes = place.first, (self.vocabulary_size, self.size)
        if not (isinstance(first, Embed) and (first.vocabulary_size, first.size) == sizes):
            raise ValueError(f"{place.name} needs an embed node of its own sizes, {list(sizes)}, at the beginning")
        place.must_be(self.size)
        return self.vocabulary_size

    def shapes(self) -> Shapes:
        """List its bias; the matrix is the table's."""
        return {"bias": (self.vocabulary_size,)}
