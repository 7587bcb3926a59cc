"""Rows that attend to those of another node."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from tidegate.nodes.glorot import glorot
from tidegate.nodes.part import Array, Name, Part, Place, Shapes, Size, Start

Score = Literal["dot", "general", "additive"]


class Attend(Part):
    """Give each row the mean of what it attends to: `[N, query_size]` -> `[N, memory_size]`.

    The rows that it reads are the queries. They are compared with the rows of the node that `memory` names, of the
    same sequence, and the softmax of the scores weighs those; where there are none, the mean is zero. With query q and
    row k the score is `q . k` ("dot"), `q . (weight k)` ("general", Luong et al. 2015), or
    `v . tanh(weight_q q + weight_k k + bias)` ("additive", Bahdanau et al. 2015), of `size` hidden units.
    """

    live: ClassVar[bool] = False
    kind: Literal["attend"] = "attend"
    memory: Name
    score: Score = "general"
    query_size: Size
    memory_size: Size
    size: Annotated[int, Field(ge=1, le=2**16)] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.size is not None) != (self.score == "additive"):
            raise ValueError(f"size={self.size} with score={self.score!r}: an additive score has a size, and no other")
        if self.score == "dot" and self.query_size != self.memory_size:
            raise ValueError(
                f"a dot score wants rows of one size, but query_size={self.query_size} and "
                f"memory_size={self.memory_size}. Take score='general'"
            )
        return self

    @property
    def further(self) -> tuple[str, ...]:
        """Name what it reads besides the queries."""
        return (self.memory,)

    @property
    def incoming(self) -> int:
        """Count the features of a query."""
        return self.query_size

    def fit(self, place: Place) -> int:
        """Return the features of a row of memory; raises ValueError where no such rows come."""
        place.must_have_steps()
        place.must_be(self.query_size)
        query, memory = place.reads
        if memory.pooled or memory.channels != query.channels:
            raise ValueError(f"{place.name} cannot attend from {query} to {self.memory!r}, which is {memory}")
        if memory.width != self.memory_size:
            raise ValueError(
                f"{place.name} wants {self.memory_size} features but gets {memory.width} from {self.memory!r}"
            )
        return self.memory_size

    def shapes(self) -> Shapes:
        """List what compares queries with rows."""
        if self.size is None:
            return {"weight": (self.query_size, self.memory_size)} if self.score == "general" else {}
        matrices: Shapes = {"weight_q": (self.size, self.query_size), "weight_k": (self.size, self.memory_size)}
        return matrices | {"bias": (self.size,), "v": (self.size,)}

    def draw(self, parameter: str, shape: tuple[int, ...], rng: np.random.Generator, start: Start) -> Array:
        """Draw Glorot uniform matrices, and `v` as a matrix of one row; the bias is zero."""
        if parameter == "v":
            return glorot((1, *shape), rng).reshape(shape)
        return glorot(shape, rng) if parameter.startswith("weight") else np.zeros(shape)
