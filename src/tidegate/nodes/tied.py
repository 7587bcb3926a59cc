"""The table of the embedding, as the matrix of the scores."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tidegate.nodes.embed import Embed
from tidegate.nodes.part import Name, Part, Place, Shapes, Size


class Tied(Part):
    """Compare each row with the table of an embedding: `[., size]` -> `[., vocabulary_size]`, with a bias of its own.

    A dense node whose matrix is the table (Press & Wolf 2017; Inan et al. 2017). `table` names the node that has it;
    where it is left out, the one that the network begins with.
    """

    kind: Literal["tied"] = "tied"
    vocabulary_size: Annotated[int, Field(ge=1, le=2**24)]
    size: Size
    table: Name | None = None
    later: ClassVar[tuple[str, ...]] = (*Part.later, "table")

    @property
    def incoming(self) -> int:
        """Count the features of a row."""
        return self.size

    def fit(self, place: Place) -> int:
        """Return the size of the vocabulary; raises ValueError where there is no such table."""
        first, sizes = place.nodes[0], (self.vocabulary_size, self.size)
        if self.table is not None and self.table != first.name:
            raise ValueError(f"{place.name} wants the table of {self.table!r}, which is no embed node of the network")
        if not (isinstance(first, Embed) and (first.vocabulary_size, first.size) == sizes):
            raise ValueError(f"{place.name} needs an embed node of its own sizes, {list(sizes)}, at the beginning")
        place.must_be(self.size)
        return self.vocabulary_size

    def shapes(self) -> Shapes:
        """List its bias; the matrix is the table's."""
        return {"bias": (self.vocabulary_size,)}
