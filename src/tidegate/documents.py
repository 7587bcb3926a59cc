"""Texts as a network reads them that looks at more than the ids of their tokens.

Knows numbers, not what they stand for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.errors import ShapeError
from tidegate.ragged import Ragged, Tokened

Array = NDArray[Any]


@dataclass(frozen=True, eq=False, repr=False)
class Sparse:
    """Hold B rows of which nearly all numbers are zero: the others, and where they stand.

    Args:
        columns: int32, [M] in B rows, in which column each number stands.
        values: [M], the numbers.

    Raises:
        ShapeError: there is not one column for each number.

    >>> rows = Sparse(Ragged.from_list([[1, 3], [3]], dtype=np.int32), np.array([1.0, 2.0, 4.0], np.float32))
    >>> rows.select([1]).values
    array([4.], dtype=float32)
    """

    columns: Ragged
    values: Array

    def __post_init__(self) -> None:
        found = np.asarray(self.columns.values)
        if self.values.shape != found.shape or found.dtype != np.int32:
            raise ShapeError(
                f"values are {list(self.values.shape)} and columns {found.dtype} {list(found.shape)}; "
                "one int32 column for each number is wanted."
            )

    def select(self, indices: Any) -> Sparse:
        """Take the rows at `indices`, in that order."""
        return Sparse(self.columns.select(indices), self.columns.with_values(self.values).select(indices).values)

    def __len__(self) -> int:
        """Return the number of rows B."""
        return len(self.columns)


@dataclass(frozen=True, eq=False, repr=False)
class Documents(Tokened):
    """Hold B texts of N tokens together.

    Args:
        tokens: the id of each token, [N] int32, in B texts; any may be empty.
        beside: [N, D] numbers that stand beside the tokens.
        features: what is known of each text as a whole, B rows; None where nothing reads it.

    Raises:
        ShapeError: there is not one row of numbers for each token, or one of features for each text.

    >>> Documents(Ragged.from_list([[5, 6], [6]], dtype=np.int32), np.zeros((3, 2), np.float32))
    Documents(2 texts, 3 tokens, 2 numbers beside each)
    """

    beside: Array
    features: Sparse | None = None

    def __post_init__(self) -> None:
        if self.beside.ndim != 2 or len(self.beside) != len(self.tokens.values):
            raise ShapeError(f"beside is {list(self.beside.shape)}; [{len(self.tokens.values)}, D] is wanted.")
        if self.features is not None and len(self.features) != len(self.tokens):
            raise ShapeError(f"there are features of {len(self.features)} texts, and {len(self.tokens)} texts.")

    def select(self, indices: Any) -> Documents:
        """Take the texts at `indices`, in that order."""
        beside = self.tokens.with_values(self.beside).select(indices).values
        features = None if self.features is None else self.features.select(indices)
        return Documents(self.tokens.select(indices), beside, features)

    def where(self, kept: Array) -> Documents:
        """Keep the tokens at which `kept` [N] is true, with the numbers beside them."""
        return replace(self, tokens=self.tokens.where(kept), beside=self.beside[kept])

    def astype(self, kind: np.dtype[Any] | type[np.floating[Any]]) -> Documents:
        """Bring all numbers that are no ids to another type."""
        features = self.features
        if features is not None:
            features = Sparse(features.columns, features.values.astype(kind))
        return Documents(self.tokens, self.beside.astype(kind), features)

    def __repr__(self) -> str:
        sizes = f"{len(self)} texts, {len(self.beside)} tokens, {self.beside.shape[1]} numbers beside each"
        return f"Documents({sizes})"
