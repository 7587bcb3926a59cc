"""Sentences of words that are both known by name and spelled out: what a network that begins with `Spell` reads.

Knows ids, not what they stand for. Each distinct spelling is held once, however often it occurs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.errors import ShapeError
from tidegate.ragged import Ragged, Tokened

Array = NDArray[Any]


@dataclass(frozen=True, eq=False, repr=False)
class Words(Tokened):
    """Hold B sentences of N words together.

    Args:
        tokens: the id of each word, [N] int32 or int64, in B sentences; any may be empty.
        spelling: [N], which of `spellings` each word has.
        spellings: the ids of the characters of U spellings, [M] int32 or int64.

    Raises:
        ShapeError: there is not one spelling for each word, or it lies outside of `spellings`.

    >>> words = Words(Ragged.from_list([[5, 6], [6]]), np.array([0, 1, 1]), Ragged.from_list([[1, 2], [3]]))
    >>> words
    Words(2 sentences, 3 words, 2 spellings)
    >>> words.select([1]).spellings.to_list()
    [array([3])]
    """

    spelling: Array
    spellings: Ragged

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Raise ShapeError unless each word has a spelling that is there; what it selects has, and is not checked."""
        if self.spelling.shape != (len(self.tokens.values),) or self.spelling.dtype.kind != "i":
            raise ShapeError(
                f"spelling is {self.spelling.dtype} {list(self.spelling.shape)}, but {len(self.tokens.values)} words "
                "want one whole number each."
            )
        if len(self.spelling) and not 0 <= self.spelling.min() <= self.spelling.max() < len(self.spellings):
            raise ShapeError(
                f"spelling runs from {self.spelling.min()} to {self.spelling.max()}, but there are "
                f"{len(self.spellings)} spellings."
            )

    def select(self, indices: Any) -> Words:
        """Take the sentences at `indices`, in that order, and of the spellings those that occur in them."""
        of_word = self.tokens.with_values(self.spelling).select(indices).values
        used, spelling = np.unique(of_word, return_inverse=True)
        return Words(self.tokens.select(indices), spelling.astype(np.int64), self.spellings.select(used))

    def __repr__(self) -> str:
        return f"Words({len(self)} sentences, {len(self.spelling)} words, {len(self.spellings)} spellings)"
